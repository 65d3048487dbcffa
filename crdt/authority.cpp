#include "tributary/crdt/authority.hpp"

#include "tributary/value/msgpack.hpp"

#include <algorithm>
#include <set>
#include <tuple>

namespace tributary {

namespace {

constexpr right rights[] = {right::read, right::write, right::owner};

bool is_in_genesis(const genesis& g, const public_key& key) {
    return std::find(g.owners.begin(), g.owners.end(), key) != g.owners.end();
}

/// Finds out which facts of a set hold.
class judgement {
public:
    judgement(const genesis& g, const std::vector<fact>& facts);

    bool holds(std::size_t i) const { return verdicts_[i] == verdict::holds; }

private:
    enum class verdict : char { open, holds, is_void };
    /// Places of owners, the senior first; equal ones by their keys.
    using place = std::pair<std::uint64_t, public_key>;

    /// What facts that hold say of a key, and what those say that are open.
    struct said {
        struct of {
            int granted = 0;
            std::uint64_t last_seq = ~std::uint64_t{0};
        } surely, perhaps;
    };

    void rank_owners();
    place place_of(const public_key& key) const;
    /// What its author needs to be granted to state fact `i`.
    right needed(std::size_t i) const;
    void count(std::size_t i);
    verdict support(std::size_t i) const;
    verdict attack(std::size_t i) const;
    bool settle_clear();
    bool settle_by_seniority();

    const genesis& genesis_;
    const std::vector<fact>& facts_;
    std::vector<verdict> verdicts_;
    std::vector<std::size_t> order_;  ///< by gen, so that most facts come after what they rest on
    std::map<public_key, said> said_;
    std::set<std::pair<public_key, std::uint64_t>> successions_;  ///< commits that revoke their author
    std::map<public_key, std::uint64_t> ranks_;
};

judgement::judgement(const genesis& g, const std::vector<fact>& facts)
    : genesis_(g), facts_(facts), verdicts_(facts.size(), verdict::open) {
    for (std::size_t i = 0; i < facts_.size(); ++i) {
        const fact& f = facts_[i];
        order_.push_back(i);
        if (!f.granted && f.of == f.by) successions_.emplace(f.by, f.seq);
    }
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
        return facts_[a].gen < facts_[b].gen;
    });
    rank_owners();
    while (settle_clear() || settle_by_seniority()) {
    }
}

void judgement::rank_owners() {
    for (std::size_t i = 0; i < genesis_.owners.size(); ++i)
        ranks_.emplace(genesis_.owners[i], i);
    for (const std::size_t i : order_) {
        const fact& f = facts_[i];
        if (f.granted != right::owner) continue;
        std::uint64_t rank = genesis_.owners.size() + f.gen;
        if (successions_.contains({f.by, f.seq})) rank = place_of(f.by).first;
        const auto [at, fresh] = ranks_.emplace(f.of, rank);
        if (!fresh) at->second = std::min(at->second, rank);
    }
}

judgement::place judgement::place_of(const public_key& key) const {
    const auto found = ranks_.find(key);
    return {found == ranks_.end() ? ~std::uint64_t{0} : found->second, key};
}

right judgement::needed(std::size_t i) const {
    const fact& f = facts_[i];
    if (!successions_.contains({f.by, f.seq})) return right::owner;
    if (f.granted) return *f.granted;
    return f.of == f.by ? right::read : right::owner;
}

/// Takes fact `i` into what is said of its key.
void judgement::count(std::size_t i) {
    const fact& f = facts_[i];
    if (verdicts_[i] == verdict::is_void) return;
    said& s = said_[f.of];
    said::of& part = verdicts_[i] == verdict::holds ? s.surely : s.perhaps;
    if (f.granted)
        part.granted = std::max(part.granted, static_cast<int>(*f.granted));
    else
        part.last_seq = std::min(part.last_seq, f.last_seq);
}

/// Whether the author of fact `i` has the right to state it.
judgement::verdict judgement::support(std::size_t i) const {
    const fact& f = facts_[i];
    if (is_in_genesis(genesis_, f.by)) return verdict::holds;
    const auto found = said_.find(f.by);
    if (found == said_.end()) return verdict::is_void;
    const int need = static_cast<int>(needed(i));
    return found->second.surely.granted >= need    ? verdict::holds
           : found->second.perhaps.granted >= need ? verdict::open
                                                   : verdict::is_void;
}

/// Whether a revocation holds that ends the commits of its author before fact `i`.
judgement::verdict judgement::attack(std::size_t i) const {
    const fact& f = facts_[i];
    const auto found = said_.find(f.by);
    if (found == said_.end()) return verdict::is_void;
    return found->second.surely.last_seq < f.seq    ? verdict::holds
           : found->second.perhaps.last_seq < f.seq ? verdict::open
                                                    : verdict::is_void;
}

/// Settles what needs no choice; false if nothing was. O(facts).
bool judgement::settle_clear() {
    said_.clear();
    for (const std::size_t i : order_) count(i);
    bool settled = false;
    for (const std::size_t i : order_) {
        if (verdicts_[i] != verdict::open) continue;
        const verdict supported = support(i), attacked = attack(i);
        if (supported == verdict::is_void || attacked == verdict::holds) {
            verdicts_[i] = verdict::is_void;
            settled = true;
        } else if (supported == verdict::holds && attacked == verdict::is_void) {
            verdicts_[i] = verdict::holds;
            settled = true;
            count(i);
        }
    }
    return settled;
}

/// What is still open stands in circles: there the senior is right. False if nothing is open that
/// somebody had the right to state; then what is open only supports itself, and does not hold.
bool judgement::settle_by_seniority() {
    std::optional<std::size_t> first;
    const auto before = [&](std::size_t a, std::size_t b) {
        return std::tuple(place_of(facts_[a].by), facts_[a].seq, a) <
               std::tuple(place_of(facts_[b].by), facts_[b].seq, b);
    };
    for (const std::size_t i : order_)
        if (verdicts_[i] == verdict::open && support(i) == verdict::holds &&
            (!first || before(i, *first)))
            first = i;
    if (first) verdicts_[*first] = verdict::holds;
    return first.has_value();
}

void take_grant(authority::member& of, const fact& f, std::map<public_key, std::uint64_t>& named) {
    if (!of.granted) {
        of.by = f.by;
        of.since_ms = f.time_ms;
    }
    of.granted = of.granted ? std::max(*of.granted, *f.granted) : *f.granted;
    if (f.name.empty()) return;
    std::uint64_t& gen = named[f.of];
    if (of.name.empty() || f.gen > gen || (f.gen == gen && f.name < of.name)) of.name = f.name;
    gen = std::max(gen, f.gen);
}

const vector& row_of(const value& row, std::size_t size) {
    const auto& fields = row.as<vector>();
    if (fields.size() != size)
        throw error(errc::bad_input, "a grant is [key right name], a revocation [key last-seq]");
    return fields;
}

public_key key_of(const value& v) { return public_key::from_bytes(v.as<blob>().data); }

std::uint64_t number_of(const value& v) {
    const auto n = v.as<std::int64_t>();
    if (n < 0) throw error(errc::bad_input, "a number in a grant or a revocation is negative");
    return static_cast<std::uint64_t>(n);
}

std::vector<fact> facts_of(const commit_header& h) {
    std::vector<fact> stated;
    const auto state = [&](const value& key) -> fact& {
        return stated.emplace_back(fact{h.author, h.seq, h.gen, h.time_ms, key_of(key), {}, {}, 0});
    };
    if (const value* grants = h.ext.find(value(ext_grants)))
        for (const value& each : grants->as<vector>()) {
            const vector& row = row_of(each, 3);
            fact& f = state(row[0]);
            f.granted = right_named(row[1].as<std::string>());
            f.name = row[2].as<std::string>();
        }
    if (const value* revocations = h.ext.find(value(ext_revocations)))
        for (const value& each : revocations->as<vector>()) {
            const vector& row = row_of(each, 2);
            state(row[0]).last_seq = number_of(row[1]);
        }
    return stated;
}

/// Whether `stated` hands what `author` is granted to one other key, and nothing else.
bool is_succession(const std::vector<fact>& stated,
                   const authority& before,
                   const public_key& author) {
    const auto found = before.members().find(author);
    if (found == before.members().end() || !found->second.granted || stated.size() != 2)
        return false;
    const fact &grant = stated[0], &revocation = stated[1];
    return grant.granted && *grant.granted <= *found->second.granted && grant.of != author &&
           !revocation.granted && revocation.of == author;
}

/// What records were made of before facts were kept with the commits that state them: what had
/// been said of a key by owners of the genesis, who could not be revoked.
void add_early(const genesis& g, const vector& fields, std::vector<fact>& to) {
    fact f;
    f.by = g.owners.front();
    f.of = key_of(fields[0]);
    if (!fields[3].is_nil()) {
        f.last_seq = number_of(fields[3]);
        to.push_back(f);
        f.last_seq = 0;
    }
    if (!fields[2].as<bool>()) return;
    f.granted = right::write;
    f.name = fields[1].as<std::string>();
    to.push_back(std::move(f));
}

value one_row(std::int64_t ext, vector row) {
    vector rows;
    rows.emplace_back(std::move(row));
    return make_map({{ext, std::move(rows)}});
}

}  // namespace

const char* name_of(right r) {
    constexpr const char* names[] = {"read", "write", "owner"};
    return names[static_cast<std::size_t>(r) - 1];
}

right right_named(std::string_view word) {
    for (const right r : rights)
        if (word == name_of(r)) return r;
    throw error(errc::newer_version,
                "a grant of \"" + std::string(word) +
                    "\"; this tributary knows \"read\", \"write\" and \"owner\"");
}

authority::authority(const genesis& g, std::vector<fact> facts)
    : facts_(std::move(facts)), open_write_(g.open_write), public_read_(g.public_read) {
    std::sort(facts_.begin(), facts_.end());
    facts_.erase(std::unique(facts_.begin(), facts_.end()), facts_.end());
    for (const public_key& key : g.owners) {
        member& owner = members_[key];
        owner.granted = right::owner;
        owner.by = key;
    }
    const judgement judged(g, facts_);
    std::map<public_key, std::uint64_t> named, newest;
    for (std::size_t i = 0; i < facts_.size(); ++i) {
        const fact& f = facts_[i];
        if (!judged.holds(i)) continue;
        newest[f.by] = std::max(newest[f.by], f.seq);
        member& of = members_[f.of];
        if (f.granted) {
            take_grant(of, f, named);
        } else if (!of.last_seq || f.last_seq < *of.last_seq) {
            of.last_seq = f.last_seq;
            of.revoked_by = f.by;
        }
    }
    // A commit with a fact that holds counts itself.
    for (const auto& [key, seq] : newest)
        if (auto& last = members_[key].last_seq) last = std::max(*last, seq);
}

bool authority::may_write(const public_key& key, std::uint64_t seq) const {
    const auto found = members_.find(key);
    if (found == members_.end()) return open_write_;
    const member& m = found->second;
    if (m.last_seq && seq > *m.last_seq) return false;
    return open_write_ || (m.granted && *m.granted >= right::write);
}

bool authority::may_read(const public_key& key) const {
    if (public_read_) return true;
    const auto found = members_.find(key);
    return found != members_.end() && found->second.granted && !found->second.last_seq;
}

bool authority::is_owner(const public_key& key, std::uint64_t seq) const {
    const auto found = members_.find(key);
    return found != members_.end() && found->second.granted == right::owner &&
           (!found->second.last_seq || seq <= *found->second.last_seq);
}

bool authority::is_revoked(const public_key& key) const {
    const auto found = members_.find(key);
    return found != members_.end() && found->second.last_seq;
}

bool authority::is_early() const {
    return std::any_of(facts_.begin(), facts_.end(), [](const fact& f) { return f.seq == 0; });
}

authority join(const genesis& g, const authority& a, const authority& b) {
    std::vector<fact> all = a.facts();
    all.insert(all.end(), b.facts().begin(), b.facts().end());
    return authority(g, std::move(all));
}

authority apply(const authority& before, const genesis& g, const commit_header& h) {
    std::vector<fact> stated = facts_of(h);
    if (stated.empty()) return before;
    if (!before.is_owner(h.author, h.seq) && !is_succession(stated, before, h.author))
        throw error(errc::unauthorized,
                    "only an owner grants and revokes; " + h.author.brief() + " is none");
    for (const fact& f : stated)
        if (!f.granted && f.of == h.author && f.last_seq < h.seq)
            throw error(errc::bad_input, "a key revokes itself before the commit that says so");
    if (before.facts().size() + stated.size() > facts_max)
        throw error(errc::limit, "more than 4,096 grants and revocations in one CRDT");
    stated.insert(stated.end(), before.facts().begin(), before.facts().end());
    return authority(g, std::move(stated));
}

value grant_ext(const public_key& key, const std::string& name, right r) {
    return one_row(ext_grants, vector{blob{bytes(key.view())}, name_of(r), name});
}

value revocation_ext(const public_key& key, std::uint64_t last_seq) {
    return one_row(ext_revocations, vector{blob{bytes(key.view())}, last_seq});
}

value succession_ext(const public_key& from,
                     std::uint64_t seq,
                     const public_key& to,
                     const std::string& name,
                     right r) {
    vector grant{blob{bytes(to.view())}, name_of(r), name},
        revocation{blob{bytes(from.view())}, seq};
    return make_map({{ext_grants, vector{std::move(grant)}},
                     {ext_revocations, vector{std::move(revocation)}}});
}

bytes encode(const authority& a) {
    vector rows;
    for (const fact& f : a.facts())
        rows.emplace_back(vector{blob{bytes(f.by.view())},
                                 f.seq,
                                 f.gen,
                                 f.time_ms,
                                 blob{bytes(f.of.view())},
                                 f.granted ? value(name_of(*f.granted)) : value(),
                                 f.granted ? value(f.name) : value(f.last_seq)});
    return encode(value(std::move(rows)));
}

authority decode_authority(const genesis& g, bytes_view data) {
    std::vector<fact> facts;
    const value decoded = decode(data);
    for (const value& row : decoded.as<vector>()) {
        const auto& fields = row.as<vector>();
        if (fields.size() == 4) {
            add_early(g, fields, facts);
            continue;
        }
        if (fields.size() != 7) throw error(errc::bad_input, "an authority record is damaged");
        fact f;
        f.by = key_of(fields[0]);
        f.seq = number_of(fields[1]);
        f.gen = number_of(fields[2]);
        f.time_ms = fields[3].as<std::int64_t>();
        f.of = key_of(fields[4]);
        if (fields[5].is_nil()) {
            f.last_seq = number_of(fields[6]);
        } else {
            f.granted = right_named(fields[5].as<std::string>());
            f.name = fields[6].as<std::string>();
        }
        facts.push_back(std::move(f));
    }
    return authority(g, std::move(facts));
}

}  // namespace tributary
