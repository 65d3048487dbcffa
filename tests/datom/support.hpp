/// Shorthand of the datom tests.
#pragma once

#include "tributary/datom/database.hpp"
#include "tributary/datom/reader.hpp"
#include "tributary/store/memory_kv.hpp"
#include "tributary/value/edn.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace tributary::datom {

/// A database in memory.
struct scratch {
    std::unique_ptr<memory_kv> store = make_memory_kv();
    std::unique_ptr<connection> conn = connection::on(*store);
    std::int64_t now = 1000;

    tx_report tx(const std::string& forms) { return conn->transact(edn::read(forms), ++now); }
    tx_report stage(const std::string& forms) { return conn->stage(edn::read(forms), ++now); }
    void reopen() {
        conn.reset();
        conn = connection::on(*store);
    }
    db now_db() const { return conn->current(); }
};

/// "e :attr value" of every fact of user entities, sorted; with `with_tx`, transaction entities
/// too.
inline std::vector<std::string> facts(const db& d, bool with_tx = false) {
    std::vector<std::string> lines;
    const reader& r = d.get();
    r.scan_all([&](const datom_ref& f) {
        const bool is_system = f.e >= system_partition && f.e < tx_partition;
        const bool is_tx = f.e >= tx_partition && f.e < user_partition;
        if (!is_system && (with_tx || !is_tx)) {
            std::string line = std::to_string(f.e) + " :" + r.find_attribute(f.a)->ident.text +
                               " " + edn::print(f.v.to_value());
            if (r.is_history())
                line += " t" + std::to_string(t_of_entity(f.tx)) + (f.added ? " +" : " -");
            lines.push_back(std::move(line));
        }
        return true;
    });
    std::sort(lines.begin(), lines.end());
    return lines;
}

template <class F>
errc code_of(F&& f, std::string* message = nullptr) {
    try {
        f();
    } catch (const error& e) {
        if (message) *message = e.what();
        return e.code();
    }
    return errc{};
}

}  // namespace tributary::datom
