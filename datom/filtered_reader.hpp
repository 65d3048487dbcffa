/// A database value of which a predicate shows a part.
#pragma once

#include "tributary/datom/reader.hpp"

#include <vector>

namespace tributary::datom {

/// Wraps a database value; everything read from it goes through the predicates. Views of a filtered
/// one are filtered views of the base, so that all of them compose in any order.
class filtered_reader final : public db::impl {
public:
    /// `base` is not filtered.
    filtered_reader(std::shared_ptr<const db::impl> base, std::vector<datom_predicate> keep)
        : base_(std::move(base)), keep_(std::move(keep)), unfiltered_(base_->without_history()) {}

    /// `of` with one more predicate.
    static std::shared_ptr<const db::impl> make(std::shared_ptr<const db::impl> of,
                                                datom_predicate keep);

    std::shared_ptr<const db::impl> as_of(const time_point& p) const override;
    std::shared_ptr<const db::impl> since(const time_point& p) const override;
    std::shared_ptr<const db::impl> history() const override;
    std::shared_ptr<const db::impl> without_history() const override;
    const stored_reader& stored() const override { return base_->stored(); }

    std::int64_t basis_t() const override { return base_->basis_t(); }
    bool is_history() const override { return base_->is_history(); }
    bool is_filtered() const override { return true; }
    std::optional<std::int64_t> as_of_t() const override { return base_->as_of_t(); }
    std::optional<std::int64_t> since_t() const override { return base_->since_t(); }
    const schema& attributes() const override { return base_->attributes(); }

    void scan_eavt(entity_id e, const attribute* a, const datom_visitor& visit) const override;
    void scan_aevt(const attribute& a,
                   std::optional<entity_id> e,
                   const datom_visitor& visit) const override;
    void scan_fact(entity_id e,
                   const attribute& a,
                   const value& v,
                   const datom_visitor& visit) const override;
    void scan_avet(const attribute& a, const value& v, const datom_visitor& visit) const override;
    void scan_avet_range(const attribute& a,
                         const value_range& range,
                         const datom_visitor& visit) const override;
    void scan_vaet(entity_id target, const attribute* a, const datom_visitor& visit) const override;
    void scan_all(const datom_visitor& visit) const override;
    void walk(index_order index,
              const index_place& from,
              bool backward,
              const datom_visitor& visit) const override;

    void scan_column(const attribute& a, const column_visitor& visit) const override;
    std::unique_ptr<column_cursor> column(const attribute& a) const override;
    std::optional<value> lookup(entity_id e, const attribute& a) const override;
    std::optional<entity_id> lookup_unique(const attribute& a, const value& v) const override;
    /// The base's: what may be shown at most.
    std::uint64_t count(const attribute& a) const override { return base_->count(a); }
    void scan_postings(const attribute& a,
                       std::string_view term,
                       bool prefix,
                       const posting_visitor& visit) const override {
        base_->scan_postings(a, term, prefix, visit);
    }
    text_totals totals_of_texts(const attribute& a) const override {
        return base_->totals_of_texts(a);
    }

    bool shows(const datom_ref& d) const override;

private:
    std::shared_ptr<const db::impl> over(std::shared_ptr<const db::impl> base) const {
        return std::make_shared<filtered_reader>(std::move(base), keep_);
    }
    /// `visit` for what is shown. Must not outlive the two.
    datom_visitor through(const datom_visitor& visit) const {
        return [this, &visit](const datom_ref& d) { return !shows(d) || visit(d); };
    }

    std::shared_ptr<const db::impl> base_;
    std::vector<datom_predicate> keep_;
    db unfiltered_;  ///< what the predicates are given
};

}  // namespace tributary::datom
