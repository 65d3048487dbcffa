#include "tributary/peer/stage.hpp"

#include "tributary/peer/limits.hpp"
#include "tributary/peer/node_stage.hpp"
#include "tributary/peer/requests.hpp"

#include <mutex>
#include <thread>

namespace tributary {

namespace {

using clock = std::chrono::steady_clock;

/// How long another process may take to let go of an address that is taken over from it.
constexpr std::chrono::seconds listen_patience(5);
constexpr std::chrono::milliseconds listen_retry(50);

/// The replica open in this process, and served to others on this machine.
class owner_stage : public node_stage {
public:
    explicit owner_stage(std::unique_ptr<peer_node> n, const std::filesystem::path& dir)
        : node_stage(*n),
          node_(std::move(n)),
          server_(std::make_unique<local_server>(dir, answer_requests(*this))) {}
    ~owner_stage() override {
        // Long calls of clients end first, else the server would wait for them.
        node_->stop();
        server_.reset();
    }

private:
    std::unique_ptr<peer_node> node_;
    std::unique_ptr<local_server> server_;
};

/// The owner's stage or a remote one, whichever there is; changes from one to another when an owner
/// leaves.
class shared_stage : public stage {
public:
    explicit shared_stage(const std::filesystem::path& dir)
        : dir_(dir), blob_files_(open_blob_files(dir / blobs_directory)), now_(reopen()) {}

    public_key key() override {
        return reading([](stage& s) { return s.key(); });
    }
    crdt_id create(const std::string& name, const create_options& options) override {
        return writing([&](stage& s) { return s.create(name, options); });
    }
    crdt_id fork(const std::string& name, const std::string& new_name) override {
        return writing([&](stage& s) { return s.fork(name, new_name); });
    }
    commit_id pull(const std::string& name, const std::string& from) override {
        return writing([&](stage& s) { return s.pull(name, from); });
    }
    std::vector<crdt_summary> list() override {
        return reading([](stage& s) { return s.list(); });
    }
    crdt_summary summary(const std::string& name) override {
        return reading([&](stage& s) { return s.summary(name); });
    }
    std::vector<peer_status> peers(const std::string& name) override {
        return reading([&](stage& s) { return s.peers(name); });
    }
    void grant(const std::string& name,
               const public_key& key,
               const std::string& member,
               right r) override {
        writing([&](stage& s) { s.grant(name, key, member, r); });
    }
    std::uint64_t revoke(const std::string& name,
                         const public_key& key,
                         std::optional<std::uint64_t> last_seq) override {
        return writing([&](stage& s) { return s.revoke(name, key, last_seq); });
    }
    std::vector<member_view> members(const std::string& name) override {
        return reading([&](stage& s) { return s.members(name); });
    }
    rotation rotate() override {
        return writing([&](stage& s) { return s.rotate(); });
    }
    commit_id transact(const std::string& name,
                       const std::vector<op>& ops,
                       const std::vector<mark>& marks) override {
        return writing([&](stage& s) { return s.transact(name, ops, marks); });
    }
    commit_id transact_encoded(const std::string& name,
                               std::vector<bytes> ops,
                               const std::vector<mark>& marks) override {
        auto s = current();
        // The owner takes the ops as they are; only a call that may have to be repeated keeps them.
        if (dynamic_cast<owner_stage*>(s.get()))
            return s->transact_encoded(name, std::move(ops), marks);
        return writing([&](stage& remote) { return remote.transact_encoded(name, ops, marks); });
    }
    commit_id merge(const std::string& name,
                    const std::vector<commit_id>& order,
                    const std::vector<op>& corrections) override {
        return writing([&](stage& s) { return s.merge(name, order, corrections); });
    }
    conflict_summary conflicts(const std::string& name) override {
        return reading([&](stage& s) { return s.conflicts(name); });
    }
    std::vector<blob_summary> blobs(const std::string& name) override {
        return reading([&](stage& s) { return s.blobs(name); });
    }
    // Not the owner's: it stays when owners go.
    blob_store& blob_files() override { return *blob_files_; }
    void put_marks(const std::string& name, const std::vector<mark>& marks) override {
        // Repeating it leaves the same marks.
        reading([&](stage& s) { s.put_marks(name, marks); });
    }
    std::optional<bytes> get_mark(const std::string& name, const std::string& key) override {
        return reading([&](stage& s) { return s.get_mark(name, key); });
    }
    std::vector<commit_view> read_arrival(const std::string& name,
                                          std::uint64_t number,
                                          std::size_t bytes_max,
                                          bool bodies) override {
        return reading([&](stage& s) { return s.read_arrival(name, number, bytes_max, bodies); });
    }
    std::vector<commit_view> read_linear(const std::string& name,
                                         std::uint64_t position,
                                         std::size_t bytes_max,
                                         bool bodies) override {
        return reading([&](stage& s) { return s.read_linear(name, position, bytes_max, bodies); });
    }
    std::optional<commit_view> find(const std::string& name,
                                    const commit_id& id,
                                    bool body) override {
        return reading([&](stage& s) { return s.find(name, id, body); });
    }
    std::uint64_t wait_for_change(const std::string& name,
                                  std::uint64_t commits,
                                  std::chrono::milliseconds wait) override {
        return reading([&](stage& s) { return s.wait_for_change(name, commits, wait); });
    }
    std::uint64_t backup(const std::filesystem::path& to,
                         const std::function<void(std::uint64_t)>& progress) override {
        return reading([&](stage& s) { return s.backup(to, progress); });
    }
    void remove(const std::string& name, bool even_the_only_copy) override {
        writing([&](stage& s) { s.remove(name, even_the_only_copy); });
    }
    garbage_report collect_garbage(bool look_only) override {
        return reading([&](stage& s) { return s.collect_garbage(look_only); });
    }
    std::uint64_t verify(
        const std::string& name,
        const std::function<void(const std::string&)>& problem,
        const std::function<void(std::uint64_t, std::uint64_t)>& progress) override {
        return reading([&](stage& s) { return s.verify(name, problem, progress); });
    }

    // What these do can be taken up where it was broken off.
    joint_report sync(const std::vector<std::string>& names,
                      const std::string& url,
                      const connect_options& options) override {
        return reading([&](stage& s) { return s.sync(names, url, options); });
    }
    sync_report clone(const std::string& url,
                      const std::string& name,
                      const connect_options& options) override {
        return reading([&](stage& s) { return s.clone(url, name, options); });
    }
    sync_report deepen(const std::string& name,
                       const std::string& url,
                       const connect_options& options) override {
        return reading([&](stage& s) { return s.deepen(name, url, options); });
    }

    void serve(const serve_options& options,
               const std::function<void(const std::string&)>& bound,
               const std::function<bool()>& keep_going) override {
        serve_options same = options;
        bool known = false;
        auto note = [&](const std::string& address) {
            // Another process that takes this over is to have the same port.
            const std::size_t authority = address.find("://");
            same.listen = authority == std::string::npos ? address : address.substr(authority + 3);
            if (!std::exchange(known, true)) bound(address);
        };
        reading([&](stage& s) {
            const auto until = clock::now() + listen_patience;
            for (;;) {
                try {
                    return s.serve(same, note, keep_going);
                } catch (const owner_gone&) {
                    throw;
                } catch (const error& e) {
                    // The owner that left had this address a moment ago.
                    if (!known || e.code() != errc::unavailable || clock::now() > until ||
                        !keep_going())
                        throw;
                    std::this_thread::sleep_for(listen_retry);
                }
            }
        });
    }

private:
    std::shared_ptr<stage> reopen() const {
        auto [owner, client] = open_or_connect<stage>(dir_, [&]() -> std::unique_ptr<stage> {
            return std::make_unique<owner_stage>(
                std::make_unique<peer_node>(dir_, limits_in(dir_)), dir_);
        });
        if (owner) return std::move(owner);
        return make_remote_stage(dir_, std::move(client));
    }

    std::shared_ptr<stage> current() {
        std::lock_guard lock(mutex_);
        return now_;
    }

    /// Another one in place of `gone`, unless another thread was faster.
    void replace(const std::shared_ptr<stage>& gone) {
        std::lock_guard lock(mutex_);
        if (now_ == gone) now_ = reopen();
    }

    template <class F>
    std::invoke_result_t<const F&, stage&> reading(const F& f) {
        return call(f, false);
    }
    template <class F>
    std::invoke_result_t<const F&, stage&> writing(const F& f) {
        return call(f, true);
    }

    template <class F>
    std::invoke_result_t<const F&, stage&> call(const F& f, bool once) {
        for (;;) {
            auto s = current();
            try {
                return f(*s);
            } catch (const owner_gone& e) {
                replace(s);
                if (once && e.sent()) throw;
            }
        }
    }

    const std::filesystem::path dir_;
    const std::unique_ptr<blob_store> blob_files_;
    std::mutex mutex_;
    std::shared_ptr<stage> now_;
};

}  // namespace

sync_report stage::connect(const std::string& name,
                           const std::string& url,
                           const connect_options& options) {
    return only(sync({name}, url, options));
}

sync_report only(joint_report report) {
    const synced_crdt& one = report.crdts.at(0);
    if (one.failure) {
        const bool is_named = one.name.empty() || one.reason.find(one.name) != one.reason.npos;
        throw error(*one.failure,
                    is_named ? one.reason : "\"" + one.name + "\" is not synced: " + one.reason);
    }
    report.total.heads = one.report.heads;
    report.total.warning = one.report.warning;
    return report.total;
}

std::unique_ptr<stage> stage::open(const std::filesystem::path& dir) {
    return std::make_unique<shared_stage>(dir);
}

}  // namespace tributary
