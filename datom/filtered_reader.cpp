#include "tributary/datom/filtered_reader.hpp"

#include <algorithm>

namespace tributary::datom {

std::shared_ptr<const db::impl> filtered_reader::make(std::shared_ptr<const db::impl> of,
                                                      datom_predicate keep) {
    if (!keep) throw error(errc::misuse, "a filter needs a predicate");
    const auto* filtered = dynamic_cast<const filtered_reader*>(of.get());
    std::vector<datom_predicate> all;
    if (filtered) all = filtered->keep_;
    all.push_back(std::move(keep));
    return std::make_shared<filtered_reader>(filtered ? filtered->base_ : std::move(of),
                                             std::move(all));
}

bool filtered_reader::shows(const datom_ref& d) const {
    const datom whole = d.to_datom();
    return std::all_of(keep_.begin(), keep_.end(), [&](const datom_predicate& keep) {
        return keep(unfiltered_, whole);
    });
}

// -- Time

std::shared_ptr<const db::impl> filtered_reader::as_of(const time_point& p) const {
    return over(base_->as_of(p));
}
std::shared_ptr<const db::impl> filtered_reader::since(const time_point& p) const {
    return over(base_->since(p));
}
std::shared_ptr<const db::impl> filtered_reader::history() const { return over(base_->history()); }
std::shared_ptr<const db::impl> filtered_reader::without_history() const {
    return over(base_->without_history());
}

// -- Scans

void filtered_reader::scan_eavt(entity_id e, const attribute* a, const datom_visitor& visit) const {
    base_->scan_eavt(e, a, through(visit));
}
void filtered_reader::scan_aevt(const attribute& a,
                                std::optional<entity_id> e,
                                const datom_visitor& visit) const {
    base_->scan_aevt(a, e, through(visit));
}
void filtered_reader::scan_fact(entity_id e,
                                const attribute& a,
                                const value& v,
                                const datom_visitor& visit) const {
    base_->scan_fact(e, a, v, through(visit));
}
void filtered_reader::scan_avet(const attribute& a,
                                const value& v,
                                const datom_visitor& visit) const {
    base_->scan_avet(a, v, through(visit));
}
void filtered_reader::scan_avet_range(const attribute& a,
                                      const value_range& range,
                                      const datom_visitor& visit) const {
    base_->scan_avet_range(a, range, through(visit));
}
void filtered_reader::scan_vaet(entity_id target,
                                const attribute* a,
                                const datom_visitor& visit) const {
    base_->scan_vaet(target, a, through(visit));
}
void filtered_reader::scan_all(const datom_visitor& visit) const {
    base_->scan_all(through(visit));
}
void filtered_reader::walk(index_order index,
                           const index_place& from,
                           bool backward,
                           const datom_visitor& visit) const {
    base_->walk(index, from, backward, through(visit));
}

// -- Fast forms

void filtered_reader::scan_column(const attribute& a, const column_visitor& visit) const {
    scan_aevt(a, std::nullopt, [&](const datom_ref& d) { return visit(d.e, d.v); });
}

namespace {

class filtered_column final : public column_cursor {
public:
    filtered_column(std::unique_ptr<column_cursor> base, const filtered_reader& filter)
        : base_(std::move(base)), filter_(filter) {
        settle();
    }

    bool valid() const override { return base_->valid(); }
    void next() override {
        base_->next();
        settle();
    }
    void seek(entity_id e) override {
        base_->seek(e);
        settle();
    }
    const datom_ref& get() const override { return base_->get(); }

private:
    void settle() {
        while (base_->valid() && !filter_.shows(base_->get())) base_->next();
    }

    std::unique_ptr<column_cursor> base_;
    const filtered_reader& filter_;
};

}  // namespace

std::unique_ptr<column_cursor> filtered_reader::column(const attribute& a) const {
    return std::make_unique<filtered_column>(base_->column(a), *this);
}

std::optional<value> filtered_reader::lookup(entity_id e, const attribute& a) const {
    if (is_history()) return without_history()->lookup(e, a);
    std::optional<value> found;
    scan_eavt(e, &a, [&](const datom_ref& d) {
        found = d.v.to_value();
        return false;
    });
    return found;
}

std::optional<entity_id> filtered_reader::lookup_unique(const attribute& a, const value& v) const {
    if (is_history()) return without_history()->lookup_unique(a, v);
    std::optional<entity_id> found;
    scan_avet(a, v, [&](const datom_ref& d) {
        found = d.e;
        return false;
    });
    return found;
}

}  // namespace tributary::datom
