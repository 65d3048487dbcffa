#include "tributary/peer/requests.hpp"
#include "tributary/peer/requests_codec.hpp"

#include <algorithm>
#include <exception>
#include <mutex>

namespace tributary {

using namespace requests;

namespace {

using clock = std::chrono::steady_clock;
using part_handler = std::function<void(value)>;

/// A connection unused for longer is tried before a write is risked on it.
constexpr std::chrono::milliseconds fresh(20);
constexpr std::size_t idle_max = 16;

/// What a sync that was stopped had done.
sync_report so_far(const sync_progress& p) {
    sync_report r;
    r.commits_in = p.commits_in;
    r.commits_out = p.commits_out;
    r.payload_bytes = p.bytes;
    r.control_bytes = p.control_bytes;
    r.round_trips = p.round_trips;
    r.blob_bytes_in = p.blob_bytes_in;
    r.seconds = p.seconds;
    return r;
}

class remote_stage : public stage {
public:
    remote_stage(std::filesystem::path dir, std::unique_ptr<local_client> first)
        : dir_(std::move(dir)), blob_files_(open_blob_files(dir_ / blobs_directory)) {
        idle_.push_back({std::move(first), clock::now()});
    }

    public_key key() override { return read<public_key>("key"); }
    crdt_id create(const std::string& name, const create_options& options) override {
        return write<crdt_id>("create", name, options);
    }
    crdt_id fork(const std::string& name, const std::string& to) override {
        return write<crdt_id>("fork", name, to);
    }
    commit_id pull(const std::string& name, const std::string& from) override {
        return write<commit_id>("pull", name, from);
    }
    std::vector<crdt_summary> list() override { return read<std::vector<crdt_summary>>("list"); }
    crdt_summary summary(const std::string& name) override {
        return read<crdt_summary>("summary", name);
    }
    std::vector<peer_status> peers(const std::string& name) override {
        return read<std::vector<peer_status>>("peers", name);
    }
    void grant(const std::string& name,
               const public_key& key,
               const std::string& member,
               right r) override {
        write<void>("grant", name, key, member, r);
    }
    std::uint64_t revoke(const std::string& name,
                         const public_key& key,
                         std::optional<std::uint64_t> last_seq) override {
        return write<std::uint64_t>("revoke", name, key, last_seq);
    }
    std::vector<member_view> members(const std::string& name) override {
        return read<std::vector<member_view>>("members", name);
    }
    rotation rotate() override { return write<rotation>("rotate"); }

    commit_id transact(const std::string& name,
                       const std::vector<op>& ops,
                       const std::vector<mark>& marks) override {
        return write<commit_id>("transact", name, ops, marks);
    }
    commit_id transact_encoded(const std::string& name,
                               std::vector<bytes> ops,
                               const std::vector<mark>& marks) override {
        return write<commit_id>("transact", name, ops, marks);
    }
    commit_id merge(const std::string& name,
                    const std::vector<commit_id>& order,
                    const std::vector<op>& corrections) override {
        return write<commit_id>("merge", name, order, corrections);
    }
    conflict_summary conflicts(const std::string& name) override {
        return read<conflict_summary>("conflicts", name);
    }

    std::vector<blob_summary> blobs(const std::string& name) override {
        return read<std::vector<blob_summary>>("blobs", name);
    }
    blob_store& blob_files() override { return *blob_files_; }

    void put_marks(const std::string& name, const std::vector<mark>& marks) override {
        write<void>("put-marks", name, marks);
    }
    std::optional<bytes> get_mark(const std::string& name, const std::string& key) override {
        return read<std::optional<bytes>>("get-mark", name, key);
    }

    std::vector<commit_view> read_arrival(const std::string& name,
                                          std::uint64_t number,
                                          std::size_t bytes_max,
                                          bool bodies) override {
        return read<std::vector<commit_view>>("read-arrival", name, number, bytes_max, bodies);
    }
    std::vector<commit_view> read_linear(const std::string& name,
                                         std::uint64_t position,
                                         std::size_t bytes_max,
                                         bool bodies) override {
        return read<std::vector<commit_view>>("read-linear", name, position, bytes_max, bodies);
    }
    std::optional<commit_view> find(const std::string& name,
                                    const commit_id& id,
                                    bool body) override {
        return read<std::optional<commit_view>>("find", name, id, body);
    }
    std::uint64_t wait_for_change(const std::string& name,
                                  std::uint64_t commits,
                                  std::chrono::milliseconds wait) override {
        return read<std::uint64_t>("wait-for-change", name, commits, wait);
    }

    joint_report sync(const std::vector<std::string>& names,
                      const std::string& url,
                      const connect_options& options) override {
        sync_progress last;
        if (auto done = sync_as<joint_report>("sync", names, url, options, last))
            return *std::move(done);
        return {last.crdts, so_far(last)};
    }
    sync_report clone(const std::string& url,
                      const std::string& name,
                      const connect_options& options) override {
        sync_progress last;
        if (auto done = sync_as<sync_report>("clone", url, name, options, last))
            return *std::move(done);
        return so_far(last);
    }
    sync_report deepen(const std::string& name,
                       const std::string& url,
                       const connect_options& options) override {
        sync_progress last;  // it does not follow
        return *sync_as<sync_report>("deepen", name, url, options, last);
    }

    void serve(const serve_options& options,
               const std::function<void(const std::string&)>& bound,
               const std::function<bool()>& keep_going) override {
        ask_until("serve", pack_all(options), [&](value part) {
            if (part.get_if<bool>()) return keep_going();
            bound(unpack<std::string>(std::move(part)));
            return true;
        });
    }

    std::uint64_t backup(const std::filesystem::path& to,
                         const std::function<void(std::uint64_t)>& progress) override {
        const auto part = [&](value p) { progress(unpack<std::uint64_t>(std::move(p))); };
        const std::string absolute = std::filesystem::absolute(to).string();
        return unpack<std::uint64_t>(ask("backup", pack_all(absolute), false, part));
    }
    void remove(const std::string& name, bool even_the_only_copy) override {
        write<void>("remove", name, even_the_only_copy);
    }
    garbage_report collect_garbage(bool look_only) override {
        return read<garbage_report>("collect-garbage", look_only);
    }

    std::uint64_t verify(
        const std::string& name,
        const std::function<void(const std::string&)>& problem,
        const std::function<void(std::uint64_t, std::uint64_t)>& progress) override {
        value result = ask("verify", pack_all(name), false, [&](value part) {
            if (part.as<vector>().size() == 1)
                return problem(std::get<0>(unpack_all<std::string>(std::move(part))));
            auto [done, all] = unpack_all<std::uint64_t, std::uint64_t>(std::move(part));
            progress(done, all);
        });
        return unpack<std::uint64_t>(std::move(result));
    }

private:
    struct connection {
        std::unique_ptr<local_client> client;
        clock::time_point used;
    };

    template <class R, class... A>
    R read(const std::string& method, const A&... args) {
        return unpack<R>(ask(method, pack_all(args...), false));
    }
    template <class R, class... A>
    R write(const std::string& method, const A&... args) {
        value result = ask(method, pack_all(args...), true);
        if constexpr (!std::is_void_v<R>) return unpack<R>(std::move(result));
    }

    /// Nothing if it was stopped while it followed: `last` says how far it came.
    template <class Report, class First>
    std::optional<Report> sync_as(const std::string& method,
                                  const First& first,
                                  const std::string& second,
                                  const connect_options& options,
                                  sync_progress& last) {
        value args = pack_all(first,
                              second,
                              options.follow,
                              options.trust,
                              options.compress,
                              options.part,
                              options.lazy_blobs,
                              options.blobs);
        auto result = ask_until(method, std::move(args), [&](value part) {
            last = unpack<sync_progress>(std::move(part));
            return !options.keep_going || options.keep_going(last);
        });
        if (result) return unpack<Report>(std::move(*result));
        if (!options.follow)
            throw error(errc::canceled, "stopped before it was up to date; run it again to go on");
        return std::nullopt;
    }

    /// The result, or nothing once `part` said to stop: then the connection is cut, which stops the
    /// other side.
    std::optional<value> ask_until(const std::string& method,
                                   value args,
                                   const std::function<bool(value)>& part) {
        bool stopped = false;
        connection c = lease(true);
        auto on_part = [&](const value& v) {
            if (stopped || part(v)) return;
            stopped = true;
            c.client->cancel();
        };
        try {
            value answer = ask_on(c, method, args, on_part);
            give_back(std::move(c));
            return open_answer(std::move(answer));
        } catch (const error&) {
            if (stopped) return std::nullopt;
            throw;
        }
    }

    value ask(const std::string& method, value args, bool writes, const part_handler& part = {}) {
        connection c = lease(writes);
        auto on_part = [&](const value& v) {
            if (part) part(v);
        };
        value answer = ask_on(c, method, args, on_part);
        give_back(std::move(c));
        return open_answer(std::move(answer));
    }

    static value ask_on(connection& c,
                        const std::string& method,
                        const value& args,
                        const std::function<void(const value&)>& part) {
        try {
            return c.client->call(method, args, part);
        } catch (const error& e) {
            if (e.code() == errc::unavailable) throw owner_gone(true);
            throw;
        }
    }

    static value open_answer(value answer) {
        vector& parts = answer.as<vector>();
        if (parts.at(0).as<bool>()) return std::move(parts.at(1));
        throw error(static_cast<errc>(parts.at(1).as<std::int64_t>()), parts.at(2).as<blob>().data);
    }

    /// A connection nobody else uses, if `sure` one that was alive just now.
    connection lease(bool sure) {
        for (;;) {
            connection c;
            {
                std::lock_guard lock(mutex_);
                if (!idle_.empty()) {
                    c = std::move(idle_.back());
                    idle_.pop_back();
                }
            }
            if (!c.client) c = {local_client::connect(dir_), clock::now()};
            if (!c.client) throw owner_gone(false);
            if (!sure || clock::now() - c.used < fresh) return c;
            try {
                c.client->call("ping", vector{});
                return c;
            } catch (const error&) {
                // Its server is gone; a new connection tells whether there is another.
            }
        }
    }

    void give_back(connection c) {
        c.used = clock::now();
        std::lock_guard lock(mutex_);
        if (idle_.size() < idle_max) idle_.push_back(std::move(c));
    }

    const std::filesystem::path dir_;
    const std::unique_ptr<blob_store> blob_files_;
    std::mutex mutex_;
    std::vector<connection> idle_;
};

}  // namespace

std::unique_ptr<stage> make_remote_stage(const std::filesystem::path& dir,
                                         std::unique_ptr<local_client> first) {
    return std::make_unique<remote_stage>(dir, std::move(first));
}

}  // namespace tributary
