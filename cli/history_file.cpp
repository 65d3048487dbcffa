#include "history_file.hpp"

#include "tributary/value/edn.hpp"

#include "command.hpp"
#include "datom_directory.hpp"
#include "progress.hpp"
#include <fstream>
#include <iostream>
#include <map>

namespace tributary::cli {

namespace {

/// What is imported before it is written.
constexpr std::size_t batch_bytes = 4u << 20;

const value& in(const value& m, const char* name) {
    static const value nothing;
    const value* found = m.find(value(keyword{name}));
    return found ? *found : nothing;
}

/// A transaction as it is kept: a rewind is what it did.
std::string line_of(const value& tx) {
    return edn::print(make_map({{keyword{"t"}, in(tx, "t")},
                                {keyword{"instant"}, in(tx, "instant")},
                                {keyword{"data"}, in(tx, "data")}}));
}

bool is_attribute_id(std::int64_t id) {
    return id > 0 && id < datom::tx_partition && id >= (std::int64_t{2} << datom::partition_shift);
}

/// Transactions of a file on their way into a new database.
class importer {
public:
    explicit importer(datom::connection& c) : connection_(c), db_(c.current()) {}

    void add(const value& tx) {
        const auto t = in(tx, "t").as<std::int64_t>();
        if (t != last_t_ + 1)
            throw error(errc::bad_input,
                        "expected the transaction :t " + std::to_string(last_t_ + 1) +
                            ", found :t " + std::to_string(t));
        vector forms;
        for (const value& form : in(tx, "data").as<vector>()) {
            if (is_derived(form)) continue;
            forms.push_back(renamed(form));
        }
        const datom::tx_report report =
            connection_.stage(value(std::move(forms)), in(tx, "instant").as<inst>().ms);
        for (const auto& [name, e] : report.tempids) attributes_[name] = e;
        last_t_ = t;
    }

private:
    /// An attribute has the id it gets here, everything else the one it had.
    value id_here(const value& id) {
        const auto* e = id.get_if<std::int64_t>();
        if (e == nullptr || !is_attribute_id(*e) || db_.ident(*e)) return id;
        const std::string name = "attribute " + std::to_string(*e);
        const auto known = attributes_.find(name);
        return known == attributes_.end() ? value(name) : value(known->second);
    }

    value renamed(const value& form) {
        vector parts = form.as<vector>();
        if (parts.size() != 4)
            throw error(
                errc::bad_input,
                "expected [:db/add entity attribute value] or [:db/retract entity attribute "
                "value], found " +
                    edn::print(form));
        parts[1] = id_here(parts[1]);
        parts[3] = id_here(parts[3]);
        return parts;
    }

    /// Composite tuples follow from their parts; they cannot be said.
    bool is_derived(const value& form) {
        const auto& parts = form.as<vector>();
        if (parts.size() != 4) return false;
        if (parts[2] == value(keyword{"db/tupleAttrs"})) composites_[parts[1]] = true;
        if (parts[2] == value(keyword{"db/ident"})) names_[parts[3]] = parts[1];
        const auto named = names_.find(parts[2]);
        return named != names_.end() && composites_.contains(named->second);
    }

    datom::connection& connection_;
    datom::db db_;  ///< before anything is imported
    std::map<value, std::int64_t> attributes_;
    std::map<value, value> names_;
    std::map<value, bool> composites_;
    std::int64_t last_t_ = 0;
};

std::uint64_t write_lines(const std::filesystem::path& dir, std::ostream& out, bool show) {
    progress bar("exporting " + dir.string());
    std::uint64_t count = 0;
    ask_database(dir, "tx-range/1", map{}, [&](const value& part) {
        for (const value& tx : part.as<vector>()) {
            out << line_of(tx) << '\n';
            ++count;
        }
        if (show) bar.show(count, 0, "transactions");
    });
    out.flush();
    if (!out) throw error(errc::io, "the export could not be written");
    if (!keep_going()) throw error(errc::canceled, "the export was interrupted");
    return count;
}

}  // namespace

std::uint64_t export_history(const std::filesystem::path& dir, const std::string& file) {
    if (file == "-") return write_lines(dir, std::cout, false);
    const std::filesystem::path unfinished = file + ".unfinished";
    std::ofstream out(unfinished, std::ios::binary);
    if (!out) throw error(errc::io, "cannot write " + unfinished.string());
    try {
        const std::uint64_t count = write_lines(dir, out, true);
        out.close();
        std::filesystem::rename(unfinished, file);
        return count;
    } catch (...) {
        out.close();
        std::filesystem::remove(unfinished);
        throw;
    }
}

import_result import_history(const std::filesystem::path& dir, const std::string& file) {
    std::ifstream opened;
    if (file != "-") {
        opened.open(file, std::ios::binary);
        if (!opened) throw error(errc::not_found, "cannot read " + file);
    }
    std::istream& lines = file == "-" ? std::cin : opened;
    datom_directory directory(dir, true, sharing::reads);
    datom::connection& connection = directory.connection();
    if (connection.current().basis_t() > 0)
        throw error(errc::exists,
                    dir.string() + " has transactions already; import into a new database");
    importer into(connection);
    progress bar("importing " + file);
    import_result result;
    std::string line;
    for (std::uint64_t number = 1; result.is_whole && std::getline(lines, line); ++number) {
        if (line.find_first_not_of(" \t\r") == line.npos) continue;
        try {
            into.add(edn::read(line));
        } catch (const error& e) {
            connection.flush();
            throw error(e.code(),
                        e.name(),
                        file + ": line " + std::to_string(number) + ": " + e.what() + "\nthe " +
                            std::to_string(result.transactions) +
                            " transactions before it are in " + dir.string());
        }
        ++result.transactions;
        if (connection.staged_bytes() > batch_bytes) connection.flush();
        bar.show(result.transactions, 0, "transactions");
        result.is_whole = keep_going();
    }
    connection.flush();
    return result;
}

}  // namespace tributary::cli
