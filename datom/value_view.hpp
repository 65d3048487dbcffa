/// A stored value seen in place.
#pragma once

#include "tributary/datom/schema.hpp"

#include <cstdint>
#include <string_view>

namespace tributary::datom {

/// `text` points into an index page or a buffer of the scan: valid only during the visit.
struct value_view {
    value_type type = value_type::integer;
    std::int64_t integer = 0;  ///< boolean (0, 1), integer, instant (ms), ref (entity id)
    double real = 0;
    std::string_view
        text;  ///< string, keyword (ns/name), symbol, decimal, bytes; uuid: its 16 bytes

    /// Same type and same value.
    bool operator==(const value_view& other) const;
    value to_value() const;
};

}  // namespace tributary::datom
