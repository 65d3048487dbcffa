/// PEOPLE(n): facts about people from a fixed sequence, the same in every language.
///
/// A 64-bit xorshift from 12345; per person drawn in this order: name, last name, sex, age, salary.
#pragma once

#include "tributary/value/value.hpp"

#include <array>
#include <cstdint>

namespace bench {

inline constexpr const char* people_schema = R"(
[{:db/ident :age       :db/valueType :db.type/long    :db/cardinality :db.cardinality/one}
 {:db/ident :last-name :db/valueType :db.type/string  :db/cardinality :db.cardinality/one}
 {:db/ident :name      :db/valueType :db.type/string  :db/cardinality :db.cardinality/one}
 {:db/ident :salary    :db/valueType :db.type/long    :db/cardinality :db.cardinality/one}
 {:db/ident :sex       :db/valueType :db.type/keyword :db/cardinality :db.cardinality/one}])";

class people {
public:
    explicit people(std::uint64_t seed = 12345) : x_(seed) {}

    std::uint64_t draw(std::uint64_t n) {
        x_ ^= x_ << 13;
        x_ ^= x_ >> 7;
        x_ ^= x_ << 17;
        return x_ % n;
    }

    /// A transaction about the next `count` people, whose ids are 1, 2, ... or the database's
    /// choice.
    tributary::value next(std::uint64_t count, bool with_ids = true) {
        using tributary::keyword;
        tributary::vector forms;
        forms.reserve(count);
        for (std::uint64_t i = 0; i < count; ++i) {
            const char* name = names[draw(names.size())];
            const char* last = last_names[draw(last_names.size())];
            const bool female = draw(2) == 1;
            const std::uint64_t age = draw(100), salary = draw(100'000);
            std::vector<std::pair<tributary::value, tributary::value>> facts{
                {keyword{"name"}, name},
                {keyword{"last-name"}, last},
                {keyword{"sex"}, keyword{female ? "female" : "male"}},
                {keyword{"age"}, age},
                {keyword{"salary"}, salary}};
            if (with_ids) facts.emplace_back(keyword{"db/id"}, ++id_);
            forms.push_back(tributary::make_map(std::move(facts)));
        }
        return forms;
    }

private:
    static constexpr std::array names{
        "Ivan", "Petr", "Sergei", "Oleg", "Yuri", "Dmitry", "Fedor", "Denis"};
    static constexpr std::array last_names{
        "Ivanov", "Petrov", "Sidorov", "Kovalev", "Kuznetsov", "Voronoi"};

    std::uint64_t x_;
    std::int64_t id_ = 0;
};

}  // namespace bench
