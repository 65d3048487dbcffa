#include "history_file.hpp"

#include "tributary/store/memory_kv.hpp"
#include "tributary/value/edn.hpp"

#include "command.hpp"
#include "datom_directory.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "transaction_text.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>

namespace tributary::cli {

namespace {

/// What is imported before it is written.
constexpr std::size_t batch_bytes = 4u << 20;

const value& in(const value& m, const char* name) {
    static const value nothing;
    const value* found = m.find(value(keyword{name}));
    return found ? *found : nothing;
}

bool is_attribute_id(std::int64_t id) {
    return id > 0 && id < datom::tx_partition && id >= (std::int64_t{2} << datom::partition_shift);
}

/// The transactions of a file, or of stdin ("-"), a line each.
class exported_lines {
public:
    explicit exported_lines(std::string file) : file_(std::move(file)) {
        if (file_ == "-") return;
        opened_.open(file_, std::ios::binary);
        if (!opened_) throw error(errc::not_found, "cannot read " + file_);
        std::error_code unknown;
        const auto size = std::filesystem::file_size(file_, unknown);
        if (!unknown) bytes_in_all_ = size;
    }

    std::optional<value> next() {
        if (peeked_) return *std::exchange(peeked_, std::nullopt);
        for (std::string line; std::getline(file_ == "-" ? std::cin : opened_, line);) {
            ++number_;
            bytes_read_ += line.size() + 1;
            if (line.find_first_not_of(" \t\r") != line.npos) return edn::read(line);
        }
        return std::nullopt;
    }

    /// What next() will give.
    const std::optional<value>& peek() {
        if (!peeked_) peeked_ = next();
        return *peeked_;
    }

    /// What is wrong with the line that was read last; a reader of one line thinks it is the first.
    std::string at_line(std::string what) const {
        constexpr std::string_view first = "line 1, ";
        const std::string line = "line " + std::to_string(number_);
        const bool has_place = what.starts_with(first);
        for (std::size_t at = 0; (at = what.find(first, at)) != what.npos; at += line.size())
            what.replace(at, first.size() - 2, line);
        return file_ + ": " + (has_place ? what : line + ": " + what);
    }
    std::uint64_t bytes_read() const { return bytes_read_; }
    std::uint64_t bytes_in_all() const { return bytes_in_all_; }  ///< 0 if nobody knows

private:
    std::string file_;
    std::ifstream opened_;
    std::optional<std::optional<value>> peeked_;
    std::uint64_t number_ = 0, bytes_read_ = 0, bytes_in_all_ = 0;
};

/// Transactions of a file on their way into a database that has no others.
class importer {
public:
    explicit importer(datom::connection& c) : connection_(c), db_(c.current()) {}

    /// A transaction that is there already, with the ids of the file.
    void pass(const value& tx) {
        for (const value& form : in(tx, "data").as<vector>()) {
            parts_of_tuple(form);
            for (const std::size_t part : {1, 3}) {
                const auto* e = form.as<vector>().at(part).get_if<std::int64_t>();
                if (e != nullptr && is_attribute_id(*e)) attributes_[tempid_of(*e)] = *e;
            }
        }
        last_t_ = in(tx, "t").as<std::int64_t>();
    }

    void add(const value& tx) {
        const auto t = in(tx, "t").as<std::int64_t>();
        if (t != last_t_ + 1)
            throw error(errc::bad_input,
                        "expected the transaction :t " + std::to_string(last_t_ + 1) +
                            ", found :t " + std::to_string(t));
        if (!in(tx, "rewind-to").is_nil()) return rewind(tx);
        vector forms;
        for (const value& form : in(tx, "data").as<vector>()) {
            if (const vector* parts = parts_of_tuple(form))
                say_parts(form, *parts, forms);
            else
                forms.push_back(renamed(form));
        }
        const datom::tx_report report = connection_.stage(
            value(std::move(forms)), in(tx, "instant").as<inst>().ms, datom::forms_are::logged);
        for (const auto& [name, e] : report.tempids) attributes_[name] = e;
        last_t_ = t;
    }

private:
    /// What it undoes follows from what is here; the file must say the same.
    void rewind(const value& tx) {
        connection_.flush();
        const datom::rewind_mark mark{
            in(tx, "rewind-to").as<std::int64_t>(),
            in(tx, "stream").as<std::string>(),
            static_cast<std::uint64_t>(in(tx, "position").as<std::int64_t>())};
        const inst instant = in(tx, "instant").as<inst>();
        attribute_names names(connection_.current());
        datom::tx_report did = connection_.stage_rewind(mark, instant.ms);
        vector said;
        for (const value& form : in(tx, "data").as<vector>()) said.push_back(renamed(form));
        const value done = as_forms({did.t, instant, mark, std::move(did.tx_data)}, names);
        if (edn::print(in(done, "data")) != edn::print(value(std::move(said)))) {
            connection_.discard();
            throw error(errc::bad_input,
                        "the :data of the rewind are not what going back to t " +
                            std::to_string(mark.to) + " does");
        }
        connection_.flush();
        last_t_ = did.t;
    }

    static std::string tempid_of(std::int64_t attribute) {
        return "attribute " + std::to_string(attribute);
    }

    /// An attribute has the id it gets here, everything else the one it had.
    value id_here(const value& id) {
        const auto* e = id.get_if<std::int64_t>();
        if (e == nullptr || !is_attribute_id(*e) || db_.ident(*e)) return id;
        const std::string name = tempid_of(*e);
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
                    edn::describe(form));
        parts[1] = id_here(parts[1]);
        parts[3] = id_here(parts[3]);
        return parts;
    }

    /// The parts of the composite tuple that a form is of, if it is of one.
    const vector* parts_of_tuple(const value& form) {
        const auto& said = form.as<vector>();
        if (said.size() != 4) return nullptr;
        if (said[2] == value(keyword{"db/tupleAttrs"})) composites_[said[1]] = ids_of(said[3]);
        if (said[2] == value(keyword{"db/ident"})) names_[said[3]] = said[1];
        const auto named = names_.find(said[2]);
        if (named == names_.end()) return nullptr;
        const auto found = composites_.find(named->second);
        return found == composites_.end() ? nullptr : &found->second;
    }

    /// Names may change.
    vector ids_of(const value& attributes) const {
        vector ids;
        for (const value& name : attributes.as<vector>()) {
            const auto known = names_.find(name);
            ids.push_back(known == names_.end() ? name : known->second);
        }
        return ids;
    }

    /// Composite tuples cannot be said: they follow from their parts, also where those were only
    /// said again.
    void say_parts(const value& form, const vector& parts, vector& forms) {
        const auto& said = form.as<vector>();
        if (said[0] != value(keyword{"db/add"})) return;
        const auto& elements = said[3].as<vector>();
        for (std::size_t i = 0; i < std::min(parts.size(), elements.size()); ++i)
            if (!elements[i].is_nil())
                forms.push_back(
                    vector{said[0], id_here(said[1]), id_here(parts[i]), id_here(elements[i])});
    }

    datom::connection& connection_;
    datom::db db_;  ///< before anything is imported
    std::map<value, std::int64_t> attributes_;
    std::map<value, value> names_;
    std::map<value, vector> composites_;  ///< their parts
    std::int64_t last_t_ = 0;
};

std::uint64_t write_lines(const std::filesystem::path& dir, std::ostream& out, bool show) {
    progress bar("exporting " + dir.string());
    std::uint64_t count = 0;
    const auto require_written = [&] {  // at once: the reason is that of the last call
        if (!out)
            throw error(errc::io,
                        std::string("the export could not be written: ") + std::strerror(errno));
    };
    ask_database(dir, "tx-range/1", map{}, [&](const value& part) {
        for (const value& tx : part.as<vector>()) {
            out << edn::print(tx) << '\n';
            require_written();
            ++count;
        }
        if (show) bar.show(count, 0, "transactions");
    });
    out.flush();
    require_written();
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
    exported_lines lines(file);
    // A file that begins badly leaves no database behind.
    try {
        const auto memory = make_memory_kv();
        const auto trial = datom::connection::on(*memory);
        if (const auto& first = lines.peek()) importer(*trial).add(*first);
    } catch (const error& e) {
        throw error(
            e.code(),
            e.name(),
            lines.at_line(e.what()) +
                "\nimport takes what trib export wrote; forms in a file are done with: trib "
                "transact " +
                dir.string() + (file == "-" ? " -" : " @" + file));
    }
    datom_directory directory(dir, true, sharing::reads);
    datom::connection& connection = directory.connection();
    importer into(connection);
    progress bar("importing " + file);
    import_result result;
    const auto show = [&] {
        bar.show(lines.bytes_read() >> 10,
                 lines.bytes_in_all() >> 10,
                 "KB",
                 with_commas(result.transactions) + " transactions");
    };
    // What an import that was cut short has left is how the file begins.
    attribute_names names(connection.current());
    connection.current().tx_range({}, {}, [&](const datom::log_tx& there) {
        const auto tx = lines.next();
        if (!tx || edn::print(*tx) != edn::print(as_forms(there, names)))
            throw error(errc::exists,
                        dir.string() + " has transactions that are not how " + file +
                            " begins, from :t " + std::to_string(there.t) +
                            " on; import into a new database");
        into.pass(*tx);
        result.found = ++result.transactions;
        show();
        return result.is_whole = keep_going();
    });
    try {
        for (auto tx = std::optional<value>(); result.is_whole && (tx = lines.next());) {
            into.add(*tx);
            ++result.transactions;
            if (connection.staged_bytes() > batch_bytes) connection.flush();
            show();
            result.is_whole = keep_going();
        }
    } catch (const error& e) {
        connection.flush();
        throw error(e.code(),
                    e.name(),
                    lines.at_line(e.what()) + "\nthe " + with_commas(result.transactions) +
                        " transactions before it are in " + dir.string() +
                        "; mend the line and import again to go on");
    }
    connection.flush();
    return result;
}

}  // namespace tributary::cli
