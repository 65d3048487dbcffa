#include "tributary/datom/query_result.hpp"

#include "tributary/datom/pull_pattern.hpp"
#include "tributary/datom/query_order.hpp"

#include <numeric>

namespace tributary::datom::datalog {

namespace {

/// What a cell takes as a value.
std::size_t size_of(const cell& c) {
    std::size_t bytes = sizeof(value);
    if (c.is_text()) bytes += bytes_apart(c.size);
    if (!c.is_collection()) return bytes;
    bytes += block_bytes;
    for (const cell& item : c.span()) bytes += size_of(item);
    return bytes;
}

std::size_t size_of_row(const std::vector<column>& columns, row_id row) {
    std::size_t bytes = sizeof(value) + block_bytes;
    for (const column& c : columns) bytes += size_of(c[row]);
    return bytes;
}

class result_builder {
public:
    result_builder(const find_spec& find,
                   std::vector<column> columns,
                   const result_context& context)
        : find_(find), columns_(std::move(columns)), context_(context) {
        for (const auto& pull : context.pulls) has_pull_ = has_pull_ || pull.has_value();
    }

    value build(bool bag) {
        const bool plain = find_.order.empty() && !find_.is_cut() && !has_pull_;
        if (find_.shape == find_spec::form::relation && plain && !bag) return set_of_rows();
        choose_rows(bag);
        pull_rows();
        switch (find_.shape) {
            case find_spec::form::relation: {
                std::vector<value> all;
                all.reserve(rows_.size());
                for (std::size_t i = 0; i < rows_.size(); ++i) add_row(all, i);
                return all;
            }
            case find_spec::form::collection: {
                std::vector<value> all;
                all.reserve(rows_.size());
                for (std::size_t i = 0; i < rows_.size(); ++i) add_item(all, 0, i);
                return all;
            }
            case find_spec::form::tuple:
            case find_spec::form::scalar: {
                vector one;
                if (rows_.empty()) return {};
                if (find_.shape == find_spec::form::tuple)
                    add_row(one, 0);
                else
                    add_item(one, 0, 0);
                return std::move(one.front());
            }
        }
        return {};
    }

private:
    std::size_t row_count() const { return columns_.front().size(); }

    void choose_rows(bool bag) {
        if (bag) {
            rows_.resize(row_count());
            std::iota(rows_.begin(), rows_.end(), row_id{0});
        } else {
            std::vector<const column*> all;
            for (const column& c : columns_) all.push_back(&c);
            rows_ = distinct_rows(all, row_count(), context_.stop);
        }
        const std::size_t begin = std::min(find_.offset, rows_.size());
        const bool one =
            find_.shape == find_spec::form::tuple || find_.shape == find_spec::form::scalar;
        const std::size_t most = std::min(find_.limit.value_or(SIZE_MAX), one ? 1 : SIZE_MAX);
        const std::size_t end = begin + std::min(most, rows_.size() - begin);
        if (!find_.order.empty()) {
            context_.stop.look();
            std::partial_sort(rows_.begin(),
                              rows_.begin() + static_cast<std::ptrdiff_t>(end),
                              rows_.end(),
                              [&](row_id a, row_id b) { return before(a, b); });
        }
        rows_.resize(end);
        rows_.erase(rows_.begin(), rows_.begin() + static_cast<std::ptrdiff_t>(begin));
        for (const row_id row : rows_) counted_.take(size_of_row(columns_, row));
    }

    /// Ties are broken by the whole row, so that pages of one answer fit together.
    bool before(row_id a, row_id b) const {
        context_.stop();
        for (const order_key& key : find_.order) {
            const column& c = columns_[key.column];
            if (const auto order = compare(c[a], c[b]); order != 0)
                return key.descending ? order > 0 : order < 0;
        }
        for (const column& c : columns_) {
            if (const auto order = compare(c[a], c[b]); order != 0) return order < 0;
        }
        return false;
    }

    void pull_rows() {
        pulled_.resize(columns_.size());
        query_options options = context_.options;
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            const std::optional<pull_source>& from = context_.pulls[i];
            if (!from) continue;
            std::vector<value> entities;
            entities.reserve(rows_.size());
            for (const row_id row : rows_) entities.push_back(to_value(columns_[i][row]));
            options.timeout = context_.stop.time_left();
            try {
                pulled_[i] = pull_counted(from->database, from->pattern, entities, options);
            } catch (const error& e) {
                fail_clause(find_.elements[i].text, e);
            }
        }
    }

    /// Made where it will stay: moving values costs as much as making them.
    void add_item(vector& into, std::size_t column, std::size_t i) {
        const cell& c = columns_[column][rows_[i]];
        if (context_.pulls[column])
            into.push_back(std::move(pulled_[column].values[i]));
        else if (c.is(kind::integer))
            into.emplace_back(c.integer);
        else
            into.push_back(to_value(c));
    }

    void add_row(vector& into, std::size_t i) {
        context_.stop();
        vector& items = into.emplace_back(vector{}).as<vector>();
        items.reserve(columns_.size());
        for (std::size_t c = 0; c < columns_.size(); ++c) add_item(items, c, i);
        if (find_.keys.empty()) return;
        std::vector<std::pair<value, value>> entries;
        for (std::size_t c = 0; c < items.size(); ++c)
            entries.emplace_back(find_.keys[c], std::move(items[c]));
        into.back() = make_map(std::move(entries));
    }

    value set_of_rows() {
        // Aggregates without the variables they are grouped by may give one row twice.
        rows_ = canonical_order(columns_, context_.stop);
        set result;
        result.items.reserve(rows_.size());
        for (std::size_t i = 0; i < rows_.size(); ++i) {
            counted_.take(size_of_row(columns_, rows_[i]));
            add_row(result.items, i);
        }
        if (!find_.keys.empty()) return make_set(std::move(result.items));
        return result;
    }

    const find_spec& find_;
    std::vector<column> columns_;
    const result_context& context_;
    counted_bytes counted_;  ///< what of the result exists already
    std::vector<counted_pulls> pulled_;
    bool has_pull_ = false;
    row_ids rows_;  ///< those returned, in their order
};

}  // namespace

value result_of(const find_spec& find,
                std::vector<column> columns,
                bool bag,
                const result_context& context) {
    return result_builder(find, std::move(columns), context).build(bag);
}

}  // namespace tributary::datom::datalog
