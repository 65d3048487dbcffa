#include "sim/model.hpp"

#include <stdexcept>

namespace tributary::sim {

void broken(const std::string& what) { throw std::logic_error(what); }

void model::follow(const commit_store& store, crdt_handle h) {
    const crdt_state state = store.state(h);
    if (state.end.seq < log_.size()) broken("the arrival log became shorter");
    for (node n = log_.size() + 1; n <= state.end.seq; ++n) {
        const arrival_entry e = store.entry(h, n);
        if (hash_as<commit_id>("trib.commit.1", e.header) != e.id)
            broken("an id that is no hash of its header");
        const commit_header header = decode_header(e.header);
        verify_body(header, store.body(h, n));
        for (const commit_id& p : header.parents) {
            if (!parents_.contains(p) && !store.is_below(h, p))
                broken("a commit is visible before its parent");
            heads_.erase(p);
        }
        if (!parents_.emplace(e.id, header.parents).second) broken("a commit is in the log twice");
        heads_.insert(e.id);
        log_.push_back(e.id);
        const bytes_view before(reinterpret_cast<const char*>(digest_.data()), digest_.size());
        digest_ = hash_short("trib.arrival.1", before, e.id.view());
        if (digest_ != e.digest) broken("the digest chain is wrong");
    }
    if (state.end.digest != digest_) broken("the digest of the end is wrong");
    if (state.heads != std::vector<commit_id>(heads_.begin(), heads_.end()))
        broken("the heads are not the maximal commits");
    if (!heads_.empty() && (!state.current || !heads_.contains(*state.current)))
        broken("the current head is no head");
}

void model::examine(const commit_store& store, crdt_handle h) {
    forget();
    follow(store, h);
    store.verify(h, [](const std::string& problem) { broken("verify: " + problem); }, {});
    const crdt_state state = store.state(h);
    if (!state.current) return;
    const std::vector<commit_id> expected = linear(*state.current);
    if (expected.size() != state.linear_length) broken("the linear log has another length");
    for (std::uint64_t at = 0; at < expected.size(); ++at)
        if (store.entry(h, store.linear_at(h, at).number).id != expected[at])
            broken("the linear log differs at " + std::to_string(at));
}

/// linear(c) = linear(first parent), then of each further parent what is not listed yet, in its
/// linear order, then c. As the definition says it.
std::vector<commit_id> model::linear(const commit_id& head) const {
    std::map<commit_id, std::vector<commit_id>> done;
    std::vector<commit_id> todo{head};
    // Parents below a cut are left out.
    const auto parents_here = [this](const commit_id& c) {
        std::vector<commit_id> here = parents_.at(c);
        std::erase_if(here, [this](const commit_id& p) { return !has(p); });
        return here;
    };
    while (!todo.empty()) {
        const commit_id c = todo.back();
        bool ready = true;
        for (const commit_id& p : parents_here(c))
            if (!done.contains(p)) {
                todo.push_back(p);
                ready = false;
            }
        if (!ready) continue;
        todo.pop_back();
        std::vector<commit_id> order;
        std::set<commit_id> listed;
        for (const commit_id& p : parents_here(c))
            for (const commit_id& each : done.at(p))
                if (listed.insert(each).second) order.push_back(each);
        order.push_back(c);
        done[c] = std::move(order);
    }
    return done.at(head);
}

}  // namespace tributary::sim
