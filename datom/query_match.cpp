#include "tributary/datom/query_match.hpp"

#include "tributary/datom/query_columns.hpp"

namespace tributary::datom::datalog {

namespace {

constexpr double rows_reserved_max = 1 << 20;

class matcher {
public:
    matcher(const match_request& request, arena& memory, stop_check& stop)
        : request_(request),
          pattern_(*request.on),
          memory_(memory),
          stop_(stop),
          fixed_(pattern_.terms.size(), nullptr),
          tests_(request.tests, memory, stop) {
        for (std::size_t place = 0; place < pattern_.terms.size(); ++place) classify(place);
        prepare_tests();
        only_exists_ = fresh_.empty();
        if (request_.base != nullptr && only_exists_) matched_.assign(request_.base->rows, false);
        if (request_.base == nullptr) {
            for (auto& [place, column] : fresh_)
                column.reserve(
                    static_cast<std::size_t>(std::min(request_.rows_expected, rows_reserved_max)));
        }
    }

    relation run() {
        if (request_.base == nullptr) {
            pattern_.on->scan(
                fixed_, wanted_, pattern_.bounds, [this](const cell* row, std::size_t) {
                    return visit_alone(row);
                });
        } else {
            join_with_base();
        }
        return result();
    }

private:
    void classify(std::size_t place) {
        const term& t = pattern_.terms[place];
        if (const cell* c = std::get_if<cell>(&t)) {
            fixed_[place] = c;
            kept_ |= bit(place);
        }
        const var_id* v = std::get_if<var_id>(&t);
        if (v == nullptr) return;
        for (std::size_t earlier = 0; earlier < place; ++earlier) {
            const var_id* same = std::get_if<var_id>(&pattern_.terms[earlier]);
            if (same == nullptr || *same != *v) continue;
            repeats_.emplace_back(earlier, place);
            wanted_ |= bit(earlier) | bit(place);
            kept_ |= bit(place);
            return;
        }
        if (request_.base != nullptr && request_.base->has(*v)) {
            keys_.push_back(place);
            key_columns_.push_back(&request_.base->of(*v));
            wanted_ |= bit(place);
            kept_ |= bit(place);
        } else if (request_.live->contains(*v)) {
            fresh_.emplace_back(place, column());
            wanted_ |= bit(place);
            kept_ |= bit(place);
        }
    }

    void prepare_tests() {
        for (const inline_test& t : request_.tests) {
            for (const auto& arg : t.args) {
                if (const std::size_t* place = std::get_if<std::size_t>(&arg))
                    wanted_ |= bit(*place);
            }
        }
    }

    static unsigned bit(std::size_t place) { return place < 32 ? 1U << place : 0; }

    bool passes(const cell* row) {
        for (const auto& [a, b] : repeats_) {
            if (!equal(row[a], row[b])) return false;
        }
        return tests_.pass(row);
    }

    void keep(const cell* row) {
        for (auto& [place, column] : fresh_) {
            column.push_back(pattern_.on->is_database() ? persist(row[place], memory_)
                                                        : row[place]);
        }
    }

    bool visit_alone(const cell* row) {
        stop_();
        if (!passes(row)) return true;
        found_ = true;
        keep(row);
        if (!only_exists_) check_rows(fresh_.front().second.size());
        return !only_exists_;
    }

    void join_with_base() {
        const row_index index(key_columns_, request_.base->rows, stop_);
        std::vector<cell> key(keys_.size());
        if (!request_.seek) {
            pattern_.on->scan(fixed_, wanted_, pattern_.bounds, [&](const cell* row, std::size_t) {
                stop_();
                for (std::size_t k = 0; k < keys_.size(); ++k) key[k] = row[keys_[k]];
                const row_id first = index.find(key.data());
                if (first != no_row && passes(row)) pair_up(index, first, row);
                return true;
            });
            return;
        }
        std::vector<const cell*> fixed = fixed_;
        for (row_id row = 0; row < request_.base->rows; ++row) {
            stop_();
            for (std::size_t k = 0; k < keys_.size(); ++k) {
                key[k] = (*key_columns_[k])[row];
                fixed[keys_[k]] = &key[k];
            }
            if (index.find(key.data()) != row) continue;
            pattern_.on->scan(fixed, wanted_, pattern_.bounds, [&](const cell* found, std::size_t) {
                stop_();
                if (!passes(found)) return true;
                pair_up(index, row, found);
                return !only_exists_;
            });
        }
    }

    void pair_up(const row_index& index, row_id first, const cell* row) {
        if (only_exists_ && matched_[first]) return;
        // The cells are made once and shared by all rows that match.
        std::size_t made = SIZE_MAX;
        for (row_id at = first; at != no_row; at = index.next(at)) {
            if (only_exists_) {
                matched_[at] = true;
                continue;
            }
            stop_();
            left_.push_back(at);
            if (made == SIZE_MAX) {
                made = left_.size() - 1;
                keep(row);
            } else {
                for (auto& [place, column] : fresh_) column.push_back(cell(column[made]));
            }
        }
        check_rows(left_.size());
    }

    relation result() {
        relation r;
        bool base_whole = true;
        if (request_.base != nullptr) {
            relation& base = *request_.base;
            if (only_exists_) {
                for (row_id row = 0; row < base.rows; ++row) {
                    if (matched_[row]) left_.push_back(row);
                }
            }
            for (std::size_t i = 0; i < base.vars.size(); ++i) {
                if (request_.live->contains(base.vars[i])) {
                    r.add_column(base.vars[i], take_rows(base.columns[i], left_));
                } else {
                    base_whole = false;
                }
            }
            r.rows = left_.size();
            base_whole = base_whole && base.distinct;
        } else {
            r.rows = only_exists_ ? (found_ ? 1 : 0) : fresh_.front().second.size();
        }
        for (auto& [place, column] : fresh_)
            r.add_column(std::get<var_id>(pattern_.terms[place]), std::move(column));
        r.distinct = base_whole && (only_exists_ || rows_differ());
        return r;
    }

    bool rows_differ() const {
        std::vector<position> positions(pattern_.terms.size());
        for (std::size_t i = 0; i < positions.size(); ++i) {
            if (const cell* c = std::get_if<cell>(&pattern_.terms[i]))
                positions[i] = {position::state::constant, c};
        }
        return pattern_.on->rows_differ(positions, kept_);
    }

    const match_request& request_;
    const resolved_pattern& pattern_;
    arena& memory_;
    stop_check& stop_;
    std::vector<const cell*> fixed_;
    unsigned wanted_ = 0;
    unsigned kept_ = 0;
    std::vector<std::pair<std::size_t, std::size_t>> repeats_;
    std::vector<std::size_t> keys_;  ///< places joined with the base
    std::vector<const column*> key_columns_;
    std::vector<std::pair<std::size_t, column>> fresh_;  ///< places that become columns
    row_tests tests_;
    bool only_exists_ = false;  ///< nothing of the datom is kept, only that there is one
    bool found_ = false;
    std::vector<bool> matched_;
    row_ids left_;
};

}  // namespace

row_tests::row_tests(std::vector<inline_test> tests, arena& memory, stop_check& stop)
    : tests_(std::move(tests)) {
    for (std::size_t i = 0; i < tests_.size(); ++i)
        contexts_.push_back({memory, nullptr, [&stop] { stop.look(); }, nullptr});
}

bool row_tests::pass(const cell* row) {
    for (std::size_t i = 0; i < tests_.size(); ++i) {
        const inline_test& t = tests_[i];
        args_.clear();
        for (const auto& arg : t.args) {
            const std::size_t* place = std::get_if<std::size_t>(&arg);
            args_.push_back(place != nullptr ? row[*place] : std::get<cell>(arg));
        }
        try {
            if (!t.function->run(contexts_[i], args_).is_true()) return false;
        } catch (const error& e) {
            fail_clause(*t.text, e);
        }
    }
    return true;
}

relation match_pattern(const match_request& request,
                       arena& memory,
                       stop_check& stop,
                       bool& in_memory) {
    std::optional<relation> found = match_column(request, memory, stop);
    in_memory = found.has_value();
    if (found) return std::move(*found);
    return matcher(request, memory, stop).run();
}

}  // namespace tributary::datom::datalog
