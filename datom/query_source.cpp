#include "tributary/datom/query_source.hpp"

namespace tributary::datom::datalog {

namespace {

[[noreturn]] void fail(const std::string& problem) {
    throw error(errc::bad_input, "db.error/invalid-source", problem);
}

class tuple_source : public source {
public:
    explicit tuple_source(cell tuples) : tuples_(tuples) {}

    bool is_database() const override { return false; }
    query_input as_input() const override { return to_value(tuples_); }
    cell literal(std::size_t, const cell& c, const cell*) const override { return c; }
    std::optional<cell> entity(const cell&) const override { refuse(); }
    cell ident(const cell&) const override { refuse(); }
    std::optional<value_type> type_of(const cell&) const override { return std::nullopt; }
    std::optional<cell> stored(const cell&, const cell& c) const override { return c; }
    void scan(std::span<const cell* const> fixed,
              unsigned,
              const value_bounds&,
              const row_visitor& visit) const override {
        for (const cell& tuple : tuples_.span()) {
            if (tuple.size < fixed.size()) continue;
            bool fits = true;
            for (std::size_t i = 0; fits && i < fixed.size(); ++i)
                fits = fixed[i] == nullptr || equal(tuple.items[i], *fixed[i]);
            if (fits && !visit(tuple.items, tuple.size)) return;
        }
    }
    double estimate(std::span<const position> positions, const value_bounds&) const override {
        double rows = tuples_.size;
        for (const position& p : positions) {
            if (p.is != position::state::open) rows /= 10;
        }
        return rows;
    }
    bool can_seek(std::span<const position>) const override { return false; }
    bool rows_differ(std::span<const position>, unsigned) const override { return false; }
    void fulltext(const cell&, std::string_view, const row_visitor&) const override { refuse(); }

private:
    [[noreturn]] static void refuse() {
        fail("this needs a database; the source is a collection of tuples");
    }

    cell tuples_;
};

}  // namespace

std::unique_ptr<source> make_source(const value& tuples, arena& memory) {
    const cell c = to_cell(tuples, memory);
    if (!c.is_sequence()) {
        fail("a source is a database or a collection of tuples, found " + describe(c));
    }
    for (const cell& tuple : c.span()) {
        if (!tuple.is(kind::vector) && !tuple.is(kind::list))
            fail("a source is a collection of tuples, found in it " + describe(tuple));
    }
    return std::make_unique<tuple_source>(c);
}

}  // namespace tributary::datom::datalog
