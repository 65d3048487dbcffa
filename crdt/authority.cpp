#include "tributary/crdt/authority.hpp"

#include "tributary/value/msgpack.hpp"

#include <algorithm>

namespace tributary {

namespace {

constexpr std::string_view write_right = "write";

bool is_owner(const genesis& g, const public_key& key) {
    return std::find(g.owners.begin(), g.owners.end(), key) != g.owners.end();
}

authority::member join(const authority::member& a, const authority::member& b) {
    authority::member joined;
    joined.granted = a.granted || b.granted;
    // An empty name is one not given, so that a revocation alone never hides the name of a grant.
    joined.name = a.name.empty() ? b.name : b.name.empty() ? a.name : std::min(a.name, b.name);
    joined.last_seq = a.last_seq && b.last_seq ? std::min(a.last_seq, b.last_seq)
                      : a.last_seq             ? a.last_seq
                                               : b.last_seq;
    return joined;
}

const vector& row_of(const value& row, std::size_t size) {
    const auto& fields = row.as<vector>();
    if (fields.size() != size)
        throw error(errc::bad_input, "a grant is [key right name], a revocation [key last-seq]");
    return fields;
}

public_key key_of(const value& v) { return public_key::from_bytes(v.as<blob>().data); }

void add_grant(authority& to, const vector& row) {
    if (row[1].as<std::string>() != write_right)
        throw error(
            errc::newer_version,
            "a grant of \"" + row[1].as<std::string>() + "\"; this tributary knows only \"write\"");
    const authority::member given{row[2].as<std::string>(), true, std::nullopt};
    auto& member = to.members[key_of(row[0])];
    member = join(member, given);
}

void add_revocation(authority& to, const genesis& g, const vector& row) {
    const public_key key = key_of(row[0]);
    if (is_owner(g, key)) throw error(errc::bad_input, "an owner cannot be revoked");
    const auto last_seq = row[1].as<std::int64_t>();
    if (last_seq < 0) throw error(errc::bad_input, "a revocation: last-seq is negative");
    const authority::member taken{"", false, static_cast<std::uint64_t>(last_seq)};
    auto& member = to.members[key];
    member = join(member, taken);
}

value one_row(std::int64_t ext, vector row) {
    vector rows;
    rows.emplace_back(std::move(row));
    return make_map({{ext, std::move(rows)}});
}

}  // namespace

bool authority::may_write(const genesis& g, const public_key& author, std::uint64_t seq) const {
    if (is_owner(g, author)) return true;
    const auto found = members.find(author);
    if (found == members.end()) return g.open_write;
    if (found->second.last_seq && seq > *found->second.last_seq) return false;
    return g.open_write || found->second.granted;
}

authority join(const authority& a, const authority& b) {
    authority joined = a;
    for (const auto& [key, theirs] : b.members) {
        auto& member = joined.members[key];
        member = join(member, theirs);
    }
    return joined;
}

authority apply(const authority& before, const genesis& g, const commit_header& h) {
    const value* grants = h.ext.find(value(ext_grants));
    const value* revocations = h.ext.find(value(ext_revocations));
    authority after = before;
    if (!grants && !revocations) return after;
    if (!is_owner(g, h.author))
        throw error(errc::unauthorized,
                    "only an owner grants and revokes; " + h.author.brief() + " is none");
    if (grants)
        for (const value& row : grants->as<vector>()) add_grant(after, row_of(row, 3));
    if (revocations)
        for (const value& row : revocations->as<vector>()) add_revocation(after, g, row_of(row, 2));
    return after;
}

value grant_ext(const public_key& key, const std::string& name) {
    return one_row(ext_grants, vector{blob{bytes(key.view())}, write_right, name});
}

value revocation_ext(const public_key& key, std::uint64_t last_seq) {
    return one_row(ext_revocations, vector{blob{bytes(key.view())}, last_seq});
}

bytes encode(const authority& a) {
    vector rows;
    for (const auto& [key, member] : a.members) {
        value last = member.last_seq ? value(*member.last_seq) : value();
        rows.emplace_back(
            vector{blob{bytes(key.view())}, member.name, member.granted, std::move(last)});
    }
    return encode(value(std::move(rows)));
}

authority decode_authority(bytes_view data) {
    authority a;
    const value decoded = decode(data);
    for (const value& row : decoded.as<vector>()) {
        const auto& fields = row.as<vector>();
        if (fields.size() != 4) throw error(errc::bad_input, "an authority record is damaged");
        authority::member member{fields[1].as<std::string>(), fields[2].as<bool>(), std::nullopt};
        if (!fields[3].is_nil())
            member.last_seq = static_cast<std::uint64_t>(fields[3].as<std::int64_t>());
        a.members.emplace(key_of(fields[0]), std::move(member));
    }
    return a;
}

}  // namespace tributary
