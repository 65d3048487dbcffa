/// Functions that transactions call by name.
#pragma once

#include "tributary/datom/database.hpp"

#include <functional>
#include <map>
#include <mutex>

namespace tributary::datom {

/// What a connection's functions are called. Shared with its database values, which call them in
/// `with`. Any thread.
class tx_registry {
public:
    void define(const keyword& name, tx_function f);
    /// An empty one if there is none.
    tx_function find(const keyword& name) const;

private:
    mutable std::mutex mutex_;
    std::map<keyword, tx_function> functions_;
};

/// What one transaction may call.
struct tx_functions {
    std::shared_ptr<const tx_registry> registry;
    std::function<db()> before;  ///< the database before the transaction
    bool checks_specs = true;
};

/// `on` with the transaction applied, in memory.
with_report speculate(const db& on,
                      const value& tx_data,
                      std::int64_t now_ms,
                      tx_functions functions);

/// Whether a form calls something by a name that is not ours.
bool calls_functions(const value& tx_data);
/// The name a form calls; null if it is a form of the database's own.
const keyword* called_function(const value& form);

}  // namespace tributary::datom
