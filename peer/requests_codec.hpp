/// Arguments and results of stage calls as values, for the local socket. Both ends are the same
/// program, so this is no format that lasts.
#pragma once

#include "tributary/peer/stage.hpp"

#include <chrono>
#include <concepts>
#include <tuple>
#include <utility>

namespace tributary::requests {

template <class S, class T>
concept is_a = std::same_as<std::remove_const_t<S>, T>;

// The fields of each struct that travels, in order.
auto fields(is_a<crdt_summary> auto& s) {
    return std::tie(s.name,
                    s.id,
                    s.type,
                    s.heads,
                    s.current,
                    s.commits,
                    s.ops,
                    s.linear_length,
                    s.below,
                    s.equivocations,
                    s.status);
}
auto fields(is_a<link_lag> auto& s) { return std::tie(s.they_lack, s.we_lack); }
auto fields(is_a<peer_status> auto& s) {
    return std::tie(s.crdt,
                    s.key,
                    s.name,
                    s.url,
                    s.state,
                    s.since_ms,
                    s.synced_ms,
                    s.reason,
                    s.lag,
                    s.commits_in,
                    s.commits_out,
                    s.payload_bytes,
                    s.control_bytes);
}
auto fields(is_a<create_options> auto& s) {
    return std::tie(s.owner_name, s.open_write, s.public_read, s.owners);
}
auto fields(is_a<member_view> auto& s) {
    return std::tie(s.key, s.name, s.right, s.since_ms, s.by, s.commits, s.last_seq, s.revoked_by);
}
auto fields(is_a<rotation> auto& s) { return std::tie(s.from, s.to, s.crdts, s.left); }
auto fields(is_a<commit_view> auto& s) {
    return std::tie(
        s.at, s.id, s.header, s.author_name, s.body, s.is_signed, s.linearized, s.mainline);
}
auto fields(is_a<sync_report> auto& s) {
    return std::tie(s.commits_in,
                    s.commits_out,
                    s.payload_bytes,
                    s.control_bytes,
                    s.round_trips,
                    s.blobs_in,
                    s.blob_bytes_in,
                    s.blob_bytes_out,
                    s.blobs_missing,
                    s.seconds,
                    s.heads,
                    s.warning);
}
auto fields(is_a<sync_progress> auto& s) {
    return std::tie(s.commits_in,
                    s.commits_out,
                    s.commits_in_expected,
                    s.bytes,
                    s.blob_bytes_in,
                    s.blob_bytes_in_expected,
                    s.state,
                    s.control_bytes,
                    s.round_trips,
                    s.seconds,
                    s.crdts);
}
auto fields(is_a<synced_crdt> auto& s) { return std::tie(s.name, s.report, s.failure, s.reason); }
auto fields(is_a<joint_report> auto& s) { return std::tie(s.crdts, s.total); }
auto fields(is_a<conflict_summary::side> auto& s) { return std::tie(s.head, s.commits); }
auto fields(is_a<conflict_summary> auto& s) { return std::tie(s.fork_points, s.sides); }
auto fields(is_a<tls_trust> auto& s) { return std::tie(s.ca, s.pin); }
auto fields(is_a<tls_files> auto& s) { return std::tie(s.certificate, s.key); }
auto fields(is_a<serve_options> auto& s) { return std::tie(s.listen, s.tls, s.compress); }
auto fields(is_a<garbage_report> auto& s) {
    return std::tie(s.records, s.bytes, s.blobs, s.blob_bytes);
}
auto fields(is_a<mark> auto& s) { return std::tie(s.key, s.val, s.was); }
auto fields(is_a<blob_summary> auto& s) { return std::tie(s.id, s.size, s.here, s.commit); }

template <class T>
concept fielded = requires(T& t) {
    fields(t);
};

template <class T>
struct codec;

/// Consumes the value it reads from, so that bytes are moved and not copied.
template <class T>
T unpack(value v) {
    return codec<T>::unpack(std::move(v));
}
template <class T>
value pack(const T& t) {
    return codec<T>::pack(t);
}

template <class... T>
value pack_all(const T&... t) {
    vector out;
    (out.push_back(pack(t)), ...);
    return out;
}
/// Errors: bad_input unless `v` is a vector of just these.
template <class... T>
std::tuple<T...> unpack_all(value v) {
    vector& items = v.as<vector>();
    if (items.size() != sizeof...(T))
        throw error(errc::bad_input, "a request with another number of arguments than expected");
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        return std::tuple<T...>{unpack<T>(std::move(items[I]))...};
    }
    (std::index_sequence_for<T...>{});
}

template <>
struct codec<bool> {
    static value pack(bool b) { return b; }
    static bool unpack(value v) { return v.as<bool>(); }
};
template <>
struct codec<right> {
    static value pack(right r) { return name_of(r); }
    static right unpack(value v) { return right_named(v.as<std::string>()); }
};
template <>
struct codec<double> {
    static value pack(double d) { return d; }
    static double unpack(value v) { return v.as<double>(); }
};
template <std::integral I>
struct codec<I> {
    static value pack(I i) { return i; }
    static I unpack(value v) { return static_cast<I>(v.as<std::int64_t>()); }
};
template <>
struct codec<std::int64_t> {
    static value pack(std::int64_t i) { return i; }
    static std::int64_t unpack(value v) { return v.as<std::int64_t>(); }
};
template <>
struct codec<link_state> {
    static value pack(link_state s) { return static_cast<int>(s); }
    static link_state unpack(value v) { return static_cast<link_state>(v.as<std::int64_t>()); }
};
template <>
struct codec<errc> {
    static value pack(errc e) { return static_cast<int>(e); }
    static errc unpack(value v) { return static_cast<errc>(v.as<std::int64_t>()); }
};
/// Text and bytes alike: a name need not be UTF-8.
template <>
struct codec<std::string> {
    static value pack(const std::string& s) { return blob{s}; }
    static std::string unpack(value v) { return std::move(v.as<blob>().data); }
};
template <class Tag>
struct codec<id32<Tag>> {
    static value pack(const id32<Tag>& id) { return blob{bytes(id.view())}; }
    static id32<Tag> unpack(value v) { return id32<Tag>::from_bytes(v.as<blob>().data); }
};
template <>
struct codec<commit_header> {
    static value pack(const commit_header& h) { return blob{encode(h)}; }
    static commit_header unpack(value v) { return decode_header(v.as<blob>().data); }
};
template <>
struct codec<op> {
    static value pack(const op& o) { return blob{encode(o)}; }
    static op unpack(value v) { return decode_op(v.as<blob>().data); }
};
template <>
struct codec<std::chrono::milliseconds> {
    static value pack(std::chrono::milliseconds t) { return static_cast<std::int64_t>(t.count()); }
    static std::chrono::milliseconds unpack(value v) {
        return std::chrono::milliseconds(v.as<std::int64_t>());
    }
};
template <>
struct codec<history_part> {
    static value pack(const history_part& p) {
        return vector{static_cast<int>(p.by), requests::pack(p.amount)};
    }
    static history_part unpack(value v) {
        auto [by, amount] = unpack_all<std::uint64_t, std::uint64_t>(std::move(v));
        return {static_cast<history_part::measure>(by), amount};
    }
};
template <class T>
struct codec<std::optional<T>> {
    static value pack(const std::optional<T>& t) {
        return t ? value(vector{requests::pack(*t)}) : value();
    }
    static std::optional<T> unpack(value v) {
        if (v.is_nil()) return std::nullopt;
        return std::get<0>(unpack_all<T>(std::move(v)));
    }
};
template <class T>
struct codec<std::vector<T>> {
    static value pack(const std::vector<T>& items) {
        vector out;
        out.reserve(items.size());
        for (const T& t : items) out.push_back(requests::pack(t));
        return out;
    }
    static std::vector<T> unpack(value v) {
        std::vector<T> out;
        for (value& item : v.as<vector>()) out.push_back(requests::unpack<T>(std::move(item)));
        return out;
    }
};
template <class A, class B>
struct codec<std::pair<A, B>> {
    static value pack(const std::pair<A, B>& p) { return pack_all(p.first, p.second); }
    static std::pair<A, B> unpack(value v) {
        auto [a, b] = unpack_all<A, B>(std::move(v));
        return {std::move(a), std::move(b)};
    }
};
template <fielded T>
struct codec<T> {
    static value pack(const T& t) {
        return std::apply([](const auto&... f) { return pack_all(f...); }, fields(t));
    }
    static T unpack(value v) {
        T t{};
        std::apply([&]<class... F>(F&... f) { std::tie(f...) = unpack_all<F...>(std::move(v)); },
                   fields(t));
        return t;
    }
};

}  // namespace tributary::requests
