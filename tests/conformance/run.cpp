#include "conformance/run.hpp"

#include "conformance/operations.hpp"
#include <algorithm>
#include <array>
#include <set>

namespace tributary::conformance {

namespace {

outcome failed(std::string why) { return {outcome::kind::failed, std::move(why)}; }

/// Every attribute here has a type, and no type is a map, a vector of any length, or anything at
/// all.
constexpr std::array untyped{"mixed-type-attr", "opaque-value", "vector-value"};

std::optional<std::string> needs_no_types(const test_case& c) {
    const value* needs = c.find("needs");
    if (needs == nullptr || elements(*needs) == nullptr) return {};
    for (const value& need : *elements(*needs)) {
        for (const char* name : untyped)
            if (need == value(keyword{name})) return "needs " + edn::print(need);
    }
    return {};
}

std::string listed(const char* title, const std::vector<value>& items) {
    std::string text;
    for (const value& item : items) text += "\n    " + std::string(title) + edn::print(item);
    return text;
}

/// What only one of two collections has, if they can be told apart without renaming.
std::string difference(const value& expected, const value& found) {
    const auto* want = elements(expected);
    const auto* have = elements(found);
    if (want == nullptr || have == nullptr || want->size() + have->size() < 4)
        return "\n    expected " + edn::print(expected) + "\n    found    " + edn::print(found);
    const std::multiset<value> all_wanted(want->begin(), want->end());
    const std::multiset<value> all_found(have->begin(), have->end());
    std::vector<value> missing, extra;
    std::set_difference(all_wanted.begin(),
                        all_wanted.end(),
                        all_found.begin(),
                        all_found.end(),
                        std::back_inserter(missing));
    std::set_difference(all_found.begin(),
                        all_found.end(),
                        all_wanted.begin(),
                        all_wanted.end(),
                        std::back_inserter(extra));
    if (missing.empty() && extra.empty())
        return "\n    expected " + edn::print(expected) + "\n    in that order; found    " +
               edn::print(found);
    return listed("missing    ", missing) + listed("unexpected ", extra);
}

std::vector<value> collection(const value& v) {
    const auto* items = elements(v);
    if (items == nullptr) return {v};
    return *items;
}

std::vector<value> distinct(std::vector<value> items) {
    std::sort(items.begin(), items.end());
    items.erase(std::unique(items.begin(), items.end()), items.end());
    return items;
}

/// The parts of a transaction's report that the case expects, as sets, under one renaming.
outcome compare_report(const test_case& c, const value& found, matcher m) {
    const value expected = normal(c.get("expected"));
    vector ours, theirs;
    std::string why;
    for (const char* part : {"datoms-after", "tx-data", "tempids"}) {
        const value* want = member(expected, part);
        if (want == nullptr) continue;
        const value have = normal(*member(found, part));
        ours.push_back(have);
        theirs.push_back(elements(*want) != nullptr ? make_set(distinct(*elements(*want))) : *want);
        if (ours.back() != theirs.back())
            why += "\n  :" + std::string(part) + difference(theirs.back(), ours.back());
    }
    if (m.same(ours, theirs)) return {};
    return failed(why);
}

/// Whether 104 / 4 is 26 or 26.0 differs between databases.
bool divides(const test_case& c) {
    const value* q = c.find("query");
    const std::string text = q != nullptr ? edn::print(*q) : "";
    const auto named = [&](const char* aggregate) { return text.find(aggregate) != text.npos; };
    return named("(avg ") || named("(median ") || named("(variance ") || named("(stddev ");
}

outcome compare(const test_case& c, const std::string& how, const value& result, matcher m) {
    if (how == "tx") return compare_report(c, result, std::move(m));
    const auto plain = [any = divides(c)](const value& v) { return normal(v, any); };
    const value found = plain(result);
    const auto fits = [&](const value& wanted) {
        const value want = plain(wanted);
        if (how == "set")
            return m.same_bag(distinct(collection(found)), distinct(collection(want)));
        if (how == "bag") return m.same_bag(collection(found), collection(want));
        return m.same(found, want);
    };
    if (how == "one-of") {
        const std::vector<value> candidates = collection(c.get("candidates"));
        if (std::any_of(candidates.begin(), candidates.end(), fits)) return {};
        return failed("\n    expected one of " + edn::print(c.get("candidates")) +
                      "\n    found           " + edn::print(found));
    }
    if (how != "set" && how != "bag" && how != "exact" && how != "exact-order")
        throw bad_case("unknown :compare :" + how);
    const value& expected = c.get("expected");
    if (fits(expected)) return {};
    return failed(difference(plain(expected), found));
}

/// How the case wants to be compared; what it leaves out is told by the rest.
std::string comparison_of(const test_case& c) {
    if (c.expects_error()) return "error";
    if (c.find("compare") != nullptr) return c.word("compare");
    if (c.word("op") == "transact") return "tx";
    return c.get("expected").get_if<set>() != nullptr ? "set" : "exact";
}

outcome refused(const error& e, bool unchanged) {
    if (e.code() == errc::canceled || e.code() == errc::limit)
        return failed(std::string("\n    expected an error about the input, found ") + e.what());
    if (!unchanged) return failed("\n    refused as expected, but the database changed");
    return {};
}

outcome attempt(const test_case& c, const std::string& how, const options& o, sight s) {
    const operation* op = find_operation(c.word("op"));
    if (op == nullptr) throw bad_case("unknown :op :" + c.word("op"));
    worlds all(c, s);
    world& w = all.first();
    const std::vector<datom::datom> before =
        how == "error" ? everything(w.current()) : std::vector<datom::datom>{};
    value result;
    try {
        result = (*op)(c, all, o);
    } catch (const error& e) {
        if (how == "error") return refused(e, everything(w.current()) == before);
        return failed(std::string("\n    refused: ") + e.name() + ": " + e.what());
    }
    if (how == "error") return failed("\n    expected an error, found " + edn::print(result));
    if (how != "tx") return compare(c, how, result, w.renaming(nullptr, nullptr));
    return compare(c,
                   how,
                   result,
                   w.renaming(member(result, "new-eids"), member(c.get("expected"), "new-eids")));
}

/// An open pattern like [?e ?a ?v] meets schema and :db/txInstant as well where these are datoms,
/// and whether they were is a choice of the case's author that the case does not tell: it passes if
/// the database is right under one sight.
outcome attempt_any(const test_case& c, const options& o) {
    const std::string how = comparison_of(c);
    outcome best = attempt(c, how, o, {});
    if (how == "error") return best;
    const sight others[] = {{.schema = false}, {false, false}, {.instants = false}};
    for (const sight s : others) {
        if (best.what == outcome::kind::passed) break;
        outcome other = attempt(c, how, o, s);
        if (other.what == outcome::kind::passed || other.why.size() < best.why.size())
            best = std::move(other);
    }
    return best;
}

}  // namespace

outcome run(const test_case& c, const options& o) {
    if (const value* why = c.find("unreadable"))
        return failed("\n    cannot be read: " + why->as<std::string>());
    if (const auto need = needs_no_types(c)) return {outcome::kind::not_run, *need};
    try {
        return attempt_any(c, o);
    } catch (const bad_case& e) {
        return failed(std::string("\n    bad case: ") + e.what());
    } catch (const error& e) {
        return failed(std::string("\n    before the case could be asked: ") + e.name() + ": " +
                      e.what());
    } catch (const std::exception& e) {
        return failed(std::string("\n    not an error of the database's own: ") + e.what());
    }
}

}  // namespace tributary::conformance
