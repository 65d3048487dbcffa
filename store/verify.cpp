#include "tributary/store/verify.hpp"

#include "tributary/store/keys.hpp"

#include <algorithm>
#include <unordered_set>

namespace tributary {

namespace {

class checker {
public:
    checker(const replica& r, const std::function<void(const std::string&)>& problem)
        : replica_(r),
          problem_(problem),
          everyone_(r.rules()),
          mapping_(r.id()),
          cells_(kept_sketch::cells_stored) {}

    void take(const arrival_entry& e, bytes_view body);
    void finish();

private:
    void report(const std::string& text) { problem_(text); }
    void check_place(const arrival_entry& e, const node_info& info, const commit_header& h);
    void check_author(const arrival_entry& e, const node_info& info, const commit_header& h);
    void check_authority(const node_info& info, const commit_header& h);
    void check_heads();
    void check_linear();
    void check_sketch();
    void check_below();
    void check_grants();

    const replica& replica_;
    const std::function<void(const std::string&)>& problem_;
    hash16 digest_{};
    std::uint64_t ops_ = 0, uncounted_ = 0;
    node next_ = 1;
    std::unordered_set<commit_id> unvouched_;  ///< unsigned, and nobody's prev so far
    std::unordered_set<std::uint64_t> authorities_;
    authority everyone_;
    std::vector<node> grants_;
    sketch::mapping mapping_;
    std::vector<sketch::cell> cells_;  ///< of the ids met
};

std::string at(node n) { return "commit number " + std::to_string(n) + ": "; }

void checker::take(const arrival_entry& e, bytes_view body) {
    try {
        if (e.number != next_++) report(at(e.number) + "out of order");
        if (id_of_header(e.header) != e.id)
            report(at(e.number) + "its header does not have its id");
        const bytes_view before(reinterpret_cast<const char*>(digest_.data()), digest_.size());
        digest_ = hash_short("trib.arrival.1", before, e.id.view());
        if (e.digest != digest_) report(at(e.number) + "the arrival log's chain is broken");
        sketch::add(mapping_, sketch::short_of(e.id), cells_);
        if (replica_.find(e.id) != e.number) report(at(e.number) + "the index does not find it");
        const commit_header h = decode_header(e.header);
        const node_info info = replica_.info(e.number);
        check_place(e, info, h);
        check_author(e, info, h);
        if (!info.foreign) {
            check_authority(info, h);
            if (grants_or_revokes(h)) grants_.push_back(e.number);
        }
        verify_body(h, body);
        ops_ += h.op_count;
        uncounted_ += info.counted ? 0 : 1;
    } catch (const error& problem) {
        report(at(e.number) + problem.what());
    }
}

void checker::check_place(const arrival_entry& e, const node_info& info, const commit_header& h) {
    if (info.foreign != (h.crdt != replica_.id()))
        report(at(e.number) + "marked as of another CRDT");
    std::vector<commit_id> here;
    for (const commit_id& id : h.parents)
        if (!replica_.is_below(id)) here.push_back(id);
    if (info.parents.size() != here.size() || info.cut != (here.size() < h.parents.size())) {
        report(at(e.number) + "its parents are not those of its header");
        return;
    }
    std::uint64_t gen = 1;
    for (std::size_t i = 0; i < here.size(); ++i) {
        const node parent = info.parents[i];
        if (parent >= e.number || replica_.info(parent).id != here[i])
            report(at(e.number) + "its parents are not those of its header");
        else
            gen = std::max(gen, replica_.info(parent).gen + 1);
    }
    if (h.gen != info.gen || (info.cut ? gen > h.gen : gen != h.gen))
        report(at(e.number) + "its gen is wrong");
}

void checker::check_author(const arrival_entry& e, const node_info& info, const commit_header& h) {
    if (info.seq != h.seq || info.author != h.author)
        report(at(e.number) + "its author's chain is wrong");
    if (e.sig && !verify(h.author, e.id, *e.sig)) report(at(e.number) + "its signature is wrong");
    if (!e.sig && !replica_.is_proven(e.id)) unvouched_.insert(e.id);
    if (h.prev) unvouched_.erase(*h.prev);
    if (info.foreign) return;
    if (h.prev && !replica_.is_below(*h.prev)) {
        const auto prev = replica_.find(*h.prev);
        if (!prev || *prev >= e.number || replica_.info(*prev).seq + 1 != h.seq ||
            replica_.info(*prev).author != h.author)
            report(at(e.number) + "its prev is not its author's previous commit");
    }
    const auto numbers = replica_.of_author(h.author, h.seq);
    if (std::find(numbers.begin(), numbers.end(), e.number) == numbers.end())
        report(at(e.number) + "it is not in its author's index");
}

void checker::check_authority(const node_info& info, const commit_header& h) {
    std::vector<std::uint64_t> sources;
    for (const node parent : info.parents) sources.push_back(replica_.info(parent).authority);
    if (info.cut) sources.push_back(replica::granted_below);
    std::uint64_t same = 0;
    bool differ = false;
    for (const std::uint64_t number : sources) {
        differ = differ || (same != 0 && number != same);
        same = number;
    }
    authority before = *replica_.authority_of(same);
    if (differ)
        for (const std::uint64_t number : sources)
            before = join(replica_.rules(), before, *replica_.authority_of(number));
    if (!before.may_write(h.author, h.seq))
        report(at(info.number) + "its author had no right to write");
    const bool unchanged = same == info.authority && h.ext.as<map>().entries.empty() && !differ;
    const authority_ptr kept = replica_.authority_of(info.authority);
    if (!unchanged && !kept->is_early() && apply(before, replica_.rules(), h) != *kept)
        report(at(info.number) + "the authority kept for it is wrong");
    if (authorities_.insert(info.authority).second)
        everyone_ = join(replica_.rules(), everyone_, *replica_.authority_of(info.authority));
}

void checker::check_heads() {
    const state_record& s = replica_.state();
    // What builds on a commit: any commit of this CRDT, and one that counts.
    std::vector<bool> covered(s.commits + 1), beneath(s.commits + 1);
    std::vector<replica::head> heads;
    std::vector<node> tips;
    for (node n = s.commits; n > 0; --n) {
        const node_info info = replica_.info(n);
        bool counts = beneath[n];
        if (!info.foreign) {
            counts = counts || everyone_.may_write(info.author, info.seq);
            if (counts != info.counted) report(at(n) + "wrongly marked as counting or not");
            if (counts && !beneath[n]) heads.push_back({info.id, n});
            if (!covered[n]) tips.push_back(n);
        }
        for (const node parent : info.parents) {
            covered[parent] = covered[parent] || covered[n] || !info.foreign;
            beneath[parent] = beneath[parent] || counts;
        }
    }
    std::reverse(tips.begin(), tips.end());
    if (tips != replica_.tips()) report("the tips kept are not the maximal commits");
    std::sort(heads.begin(), heads.end());
    if (heads != replica_.heads()) report("the heads kept are not the maximal commits that count");
    const auto is_current = [&](const replica::head& h) { return h.number == s.current; };
    if (heads.empty() ? s.current != 0 : std::none_of(heads.begin(), heads.end(), is_current))
        report("the current head is no head");
}

void checker::check_linear() {
    const state_record& s = replica_.state();
    std::vector<node> order;
    if (s.current != 0) order = linear_extension(replica_, s.current, [](node) { return false; });
    if (order.size() != s.linear_length) {
        report("the linear log has another length than the order of its head");
        return;
    }
    node mainline = s.current;
    for (std::uint64_t position = order.size(); position-- > 0;) {
        const node n = order[position];
        const linear_entry entry = replica_.linear().at(position);
        const auto found = replica_.linear().find(n);
        const bool on_mainline = n == mainline;
        if (entry.number != n || entry.mainline != on_mainline || !found ||
            found->position != position || found->mainline != on_mainline)
            report("the linear log is wrong at position " + std::to_string(position));
        if (on_mainline) {
            const auto parents = replica_.parents(n);
            mainline = parents.empty() ? 0 : parents.front();
        }
    }
}

void checker::check_sketch() {
    if (replica_.cells(replica_.state().commits, 0, cells_.size()) != cells_)
        report("the sketch kept is not that of the log");
}

/// What the proofs of the history that is not here say counts like what is here.
void checker::check_below() {
    const partial_cut* own = replica_.cut();
    if (!own) return;
    const proven_below proven = check_proofs(own->proofs, replica_.id(), replica_.rules());
    if (!(proven.all == *replica_.authority_of(1)) ||
        !(proven.granted == *replica_.authority_of(replica::granted_below)))
        report("the authority kept for the history below is not what its proofs say");
    everyone_ = join(replica_.rules(), everyone_, proven.all);
}

void checker::check_grants() {
    if (replica_.grants() != grants_) report("the list of grants and revocations is wrong");
}

void checker::finish() {
    const state_record& s = replica_.state();
    try {
        check_below();
    } catch (const error& problem) {
        report(problem.what());
    }
    if (next_ - 1 != s.commits || ops_ != s.ops || digest_ != s.digest || uncounted_ != s.uncounted)
        report("the counters kept are not those of the log");
    if (everyone_ != *replica_.everyone()) report("the authority kept over all commits is wrong");
    for (const commit_id& id : unvouched_) report("no signature vouches for commit " + id.hex());
    try {
        check_heads();
        check_linear();
        check_sketch();
        check_grants();
    } catch (const error& problem) {
        report(problem.what());
    }
}

}  // namespace

std::uint64_t verify_replica(const commit_store& store,
                             const replica& r,
                             const std::function<void(const std::string&)>& problem,
                             const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    checker check(r, problem);
    std::uint64_t done = 0;
    const std::uint64_t all = r.state().commits;
    try {
        store.scan(r.handle(), 1, [&](const arrival_entry& e, bytes_view body) {
            check.take(e, body);
            if (++done % 256 == 0 && progress) progress(done, all);
            return true;
        });
    } catch (const error& e) {
        // All that follows from what was read would be said to be wrong.
        problem("after commit number " + std::to_string(done) + ": " + e.what() +
                ". What comes after it was not checked");
        return done;
    }
    check.finish();
    if (progress) progress(done, all);
    return done;
}

}  // namespace tributary
