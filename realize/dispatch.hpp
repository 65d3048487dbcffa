/// Dispatch maps: what ops mean, decided by the reader.
///
/// From EDN (`trib realize --with tweets.edn`) or in C++ as a map literal of functions.
/// docs/realize.md tells the EDN forms.
#pragma once

#include "tributary/crdt/commit.hpp"
#include "tributary/value/value.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace tributary {

/// Where an op stands.
struct op_context {
    crdt_id crdt;
    commit_id commit;
    public_key author;
    std::string author_name;   ///< empty if no grant named it
    std::int64_t time_ms = 0;  ///< of the commit
    std::uint32_t op_index = 0;
};

/// Turns an op into transaction data (a vector of forms) for the datom database. May throw; then
/// the failing-op policy decides.
using op_function = std::function<value(const value& params, const op_context& context)>;

struct dispatch_map {
    std::map<std::string, op_function> ops;
    value schema =
        vector{};   ///< transactions made once, at the start of a stream, each a vector of forms
    hash32 digest;  ///< names the meaning: a changed digest means the stream must be rebuilt or go
                    ///< on "from here"
};

/// From `{:schema [...] :ops {add-tweet [...]}}`. Errors: bad_input with what and where.
dispatch_map read_dispatch_map(std::string_view edn_text);

/// From C++ functions. `version` stands for what they mean: change it when a function changes its
/// meaning, as code has no digest.
dispatch_map make_dispatch_map(std::map<std::string, op_function> ops,
                               value schema,
                               std::string_view version);

}  // namespace tributary
