/// The stage of the process that has the replica open.
#pragma once

#include "tributary/peer/node.hpp"
#include "tributary/peer/stage.hpp"

namespace tributary {

class node_stage : public stage {
public:
    /// `n` must outlive it.
    explicit node_stage(peer_node& n) : node_(n) {}

    public_key key() override { return node_.key(); }

    crdt_id create(const std::string& name, const create_options& options = {}) override;
    crdt_id fork(const std::string& name, const std::string& new_name) override;
    commit_id pull(const std::string& name, const std::string& from) override;
    std::vector<crdt_summary> list() override;
    crdt_summary summary(const std::string& name) override;
    std::vector<peer_status> peers(const std::string& name) override;
    void grant(const std::string& name,
               const public_key& key,
               const std::string& member_name,
               right r = right::write) override;
    std::uint64_t revoke(const std::string& name,
                         const public_key& key,
                         std::optional<std::uint64_t> last_seq = std::nullopt) override;
    std::vector<member_view> members(const std::string& name) override;
    rotation rotate() override;

    commit_id transact(const std::string& name,
                       const std::vector<op>& ops,
                       const std::vector<mark>& marks) override;
    commit_id transact_encoded(const std::string& name,
                               std::vector<bytes> ops,
                               const std::vector<mark>& marks) override;
    commit_id merge(const std::string& name,
                    const std::vector<commit_id>& order,
                    const std::vector<op>& corrections) override;
    conflict_summary conflicts(const std::string& name) override;

    std::vector<blob_summary> blobs(const std::string& name) override;
    blob_store& blob_files() override { return node_.blobs(); }

    void put_marks(const std::string& name, const std::vector<mark>& marks) override;
    std::optional<bytes> get_mark(const std::string& name, const std::string& key) override;

    std::vector<commit_view> read_arrival(const std::string& name,
                                          std::uint64_t number,
                                          std::size_t bytes_max,
                                          bool bodies) override;
    std::vector<commit_view> read_linear(const std::string& name,
                                         std::uint64_t position,
                                         std::size_t bytes_max,
                                         bool bodies) override;
    std::optional<commit_view> find(const std::string& name,
                                    const commit_id& id,
                                    bool body) override;
    std::uint64_t wait_for_change(const std::string& name,
                                  std::uint64_t commits,
                                  std::chrono::milliseconds wait) override;

    joint_report sync(const std::vector<std::string>& names,
                      const std::string& url,
                      const connect_options& options) override;
    sync_report clone(const std::string& url,
                      const std::string& name,
                      const connect_options& options) override;
    sync_report deepen(const std::string& name,
                       const std::string& url,
                       const connect_options& options) override;
    void serve(const serve_options& options,
               const std::function<void(const std::string& address)>& bound,
               const std::function<bool()>& keep_going) override;

    std::uint64_t backup(const std::filesystem::path& to,
                         const std::function<void(std::uint64_t bytes)>& progress) override;
    void remove(const std::string& name, bool even_the_only_copy) override;
    garbage_report collect_garbage(bool look_only) override;

    std::uint64_t verify(
        const std::string& name,
        const std::function<void(const std::string& problem)>& problem,
        const std::function<void(std::uint64_t done, std::uint64_t all)>& progress) override;

private:
    peer_node& node_;
};

/// The CRDT of this local name or address. Errors: not_found.
crdt_handle require_crdt(const commit_store& store, const std::string& name);

/// Errors: bad_input (no proper name), exists.
void require_new_name(const commit_store& store, const std::string& name);

}  // namespace tributary
