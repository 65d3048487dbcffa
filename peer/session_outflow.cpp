#include "tributary/peer/session_outflow.hpp"

#include "tributary/value/covered.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <unordered_set>

namespace tributary {
namespace {

/// A gap of that many entries is read over; beyond it a new scan is cheaper.
constexpr node gap_read_max = 16;

/// A chunk while it is built. It may end only where each author's last commit carries a signature,
/// and where commits of another genesis are followed by the one of this CRDT that builds on them:
/// `boundary_` is the last such place.
class builder {
public:
    /// `names`: what commits name is remembered.
    builder(const commit_store& store, crdt_handle h, const hub_options& options, bool names)
        : store_(store), handle_(h), options_(options), crdt_(store.state(h).id), names_(names) {}

    /// False if the commit did not fit: the chunk ends at the last boundary.
    bool add(const arrival_entry& entry, bytes_view body) {
        const std::size_t more = entry.header.size() + body.size();
        const std::size_t total = writer_.payload_bytes() + more;
        const bool full = total > options_.chunk_bytes || writer_.count() >= options_.chunk_commits;
        if (full && boundary_ > 0) return false;
        if (writer_.count() > 0 && beyond_protocol(total)) return false;

        links_.push_back(
            {entry.number, entry.id, wire::prev_of_header(entry.header), entry.sig, {}});
        if (names_) links_.back().parents = decode_header(entry.header).parents;
        writer_.add(entry.header, body);
        if (links_.back().prev) unsigned_tips_.erase(*links_.back().prev);
        if (!entry.sig && !store_.is_proven(handle_, entry.id)) unsigned_tips_.insert(entry.id);
        const bool ours = wire::crdt_of_header(entry.header) == crdt_;
        if (unsigned_tips_.empty() && ours) boundary_ = writer_.count();
        return true;
    }

    /// Ends the chunk. Tips without a signature that are left at the end are known to the receiver,
    /// because the chunk that brought them here brought their signed successors too, and those are
    /// not to be sent.
    node close() {
        if (boundary_ > 0) {
            writer_.truncate(boundary_);
            links_.resize(boundary_);
        }
        return links_.back().number;
    }

    /// Whether the chunk may end here.
    bool may_end() const { return boundary_ == writer_.count(); }

    std::size_t commits() const { return links_.size(); }

    /// Parents and prevs that are not in the chunk, ascending.
    std::vector<commit_id> names() const {
        std::set<commit_id> outside;
        for (const link& l : links_) {
            outside.insert(l.parents.begin(), l.parents.end());
            if (l.prev) outside.insert(*l.prev);
        }
        for (const link& l : links_) outside.erase(l.id);
        return {outside.begin(), outside.end()};
    }

    outflow::chunk finish(const wire::chunk_head& head) {
        const auto sigs = tip_signatures();
        outflow::chunk out;
        out.commits = links_.size();
        out.payload_bytes = writer_.payload_bytes() + sigs.size() * 64;
        out.frame = writer_.finish(head, sigs);
        return out;
    }

private:
    struct link {
        node number;
        commit_id id;
        std::optional<commit_id> prev;
        std::optional<signature> sig;
        std::vector<commit_id> parents;
    };

    bool beyond_protocol(std::size_t bytes) const {
        return bytes > options_.frame_bytes_max / 2 || writer_.count() >= wire::chunk_commits_max;
    }

    /// Only of commits that no later one in the chunk vouches for.
    std::vector<std::pair<std::size_t, signature>> tip_signatures() const {
        std::unordered_set<commit_id> vouched;
        std::vector<std::pair<std::size_t, signature>> sigs;
        for (std::size_t i = links_.size(); i-- > 0;) {
            const link& l = links_[i];
            if (!vouched.contains(l.id) && l.sig) sigs.emplace_back(i, *l.sig);
            if (l.prev) vouched.insert(*l.prev);
        }
        std::reverse(sigs.begin(), sigs.end());
        return sigs;
    }

    const commit_store& store_;
    const crdt_handle handle_;
    const hub_options& options_;
    const crdt_id crdt_;
    const bool names_;
    wire::chunk_writer writer_;
    std::vector<link> links_;
    std::unordered_set<commit_id> unsigned_tips_;
    std::size_t boundary_ = 0;
};

}  // namespace

void outflow::begin(std::uint64_t round, node position, node end) {
    planned_ = true;
    known_ = 0;
    round_ = round;
    position_ = acked_position_ = position;
    target_ = end;
    list_.clear();
    list_end_ = position;
    announced_.reset();
    done_told_ = false;
    in_flight_.clear();
    in_flight_bytes_ = 0;
    chunks_acked_ = 0;
}

void outflow::plan_log(std::uint64_t round, node position, node end) {
    begin(round, position, end);
}

void outflow::plan_list(std::uint64_t round, std::vector<node> list, node list_end, node end) {
    begin(round, 0, end);
    list_ = std::move(list);
    list_end_ = list_end;
}

/// The entry up to which the receiver has the log and nothing else, if its tips tell: they are
/// here, and with all that they build on it has as many commits as there are here up to the last of
/// them.
std::optional<node> outflow::place_of(const wire::holding& have,
                                      const std::vector<node>& known) const {
    if (known.empty() || known.size() < have.ids.size()) return std::nullopt;
    if (beginning_ || store_.cut_of(handle_)) return std::nullopt;
    const node last = *std::max_element(known.begin(), known.end());
    return have.count == last ? std::optional(last) : std::nullopt;
}

/// The tips of the receiver's that are here.
std::vector<node> outflow::known_of(const wire::holding& have) const {
    std::vector<node> known;
    for (const commit_id& id : have.ids)
        if (const auto n = store_.find(handle_, id)) known.push_back(*n);
    return known;
}

bool outflow::plan(const wire::holding& have, node end) {
    planned_ = overran_ = false;
    limit_window(have.window);
    const bool from_the_beginning =
        have.count == 0 || (have.cursor && *have.cursor == arrival_cursor{});
    if (beginning_ && from_the_beginning) {
        plan_all_above(have.round, end);
        return true;
    }
    std::vector<node> known = known_of(have);
    const std::optional<node> place = place_of(have, known);
    if (have.cursor && store_.is_valid(handle_, *have.cursor)) {
        // It may have got what comes next from others.
        begin(have.round, std::max(have.cursor->seq, place.value_or(0)), end);
        return true;
    }
    if (place) {
        begin(have.round, *place, end);
        known_ = have.count;
        return true;
    }
    if (have.count == 0 || end == 0) {
        begin(have.round, 0, end);
        return true;
    }
    if (have.heads_digest == wire::digest_of_heads(store_.tip_ids(handle_))) {
        begin(have.round, end, end);
        known_ = have.count;
        return true;
    }
    if (known.empty() || known.size() < have.ids.size()) return false;
    if (beginning_) known.insert(known.end(), beginning_->floor.begin(), beginning_->floor.end());
    const std::vector<node> ours = store_.tip_nodes(handle_);
    auto lacking = missing(store_.graph(handle_), known, ours, options_.walk_budget);
    if (!lacking) {
        covered("walk overrun");
        overran_ = true;
        return false;
    }
    plan_list(have.round, *std::move(lacking), end, end);
    known_ = have.count;
    return true;
}

void outflow::plan_roughly(const wire::holding& have, node end) {
    limit_window(have.window);
    if (!beginning_) return plan_list(have.round, {}, 0, end);
    std::vector<node> known = known_of(have);
    known.insert(known.end(), beginning_->floor.begin(), beginning_->floor.end());
    auto lacking = *missing(store_.graph(handle_),
                            known,
                            store_.tip_nodes(handle_),
                            std::numeric_limits<std::size_t>::max());
    std::erase_if(lacking, [this](node n) { return n <= beginning_->at; });
    plan_list(have.round, std::move(lacking), end, end);
}

void outflow::plan_above(std::uint64_t round, node at, node end) {
    beginning_ = beginning{at, {}};
    plan_list(round, store_.above_cut(handle_, at), at, end);
}

void outflow::plan_all_above(std::uint64_t round, node end) {
    if (beginning_->at > 0 || beginning_->floor.empty())
        return plan_above(round, beginning_->at, end);
    auto above = *missing(store_.graph(handle_),
                          beginning_->floor,
                          store_.tip_nodes(handle_),
                          std::numeric_limits<std::size_t>::max());
    plan_list(round, std::move(above), end, end);
}

/// Whether the receiver will never have `id`. What is not here is below where this replica begins,
/// and a receiver that is sent to by it knows that or has it.
bool outflow::is_below(const commit_id& id) const {
    const auto n = store_.find(handle_, id);
    if (!n || *n <= beginning_->at) return true;
    return std::any_of(beginning_->floor.begin(), beginning_->floor.end(), [&](node f) {
        return f >= *n && is_ancestor(store_.graph(handle_), *n, f);
    });
}

void outflow::limit_window(std::uint64_t bytes) {
    window_ = std::min<std::uint64_t>(options_.window_bytes, std::max<std::uint64_t>(bytes, 1));
}

void outflow::skip(node first, node last) {
    if (!skips_.empty() && skips_.back().second + 1 == first) {
        skips_.back().second = last;
    } else {
        skips_.emplace_back(first, last);
    }
}

/// The first entry after `after` that the receiver is to get, or 0.
node outflow::next_wanted(node after, node end) const {
    if (after < list_end_) {
        const auto at = std::upper_bound(list_.begin(), list_.end(), after);
        if (at != list_.end()) return *at;
        after = list_end_;
    }
    node n = after + 1;
    for (const auto& [first, last] : skips_)
        if (n >= first && n <= last) n = last + 1;
    return n <= end ? n : 0;
}

void outflow::move_to(node position) {
    position_ = position;
    while (!skips_.empty() && skips_.front().second <= position_) skips_.pop_front();
    if (position_ >= list_end_ && !list_.empty()) list_ = {};
}

void outflow::settle(node end) {
    if (!planned_) return;
    const node next = next_wanted(position_, end);
    const node reached = next == 0 ? std::max(position_, end) : next - 1;
    if (reached > position_) move_to(reached);
}

bool outflow::has_more(node end) const {
    if (!planned_) return false;
    const node next = next_wanted(position_, end);
    return next != 0 && (continuous_ || next <= target_);
}

outflow::chunk outflow::next_chunk(std::uint64_t sub, node end, bool with_cursor) {
    builder chunk(store_, handle_, options_, beginning_.has_value());
    node wanted = next_wanted(position_, end);
    bool full = false;
    const auto goes_on = [&] {
        const bool enough = !continuous_ && wanted > target_ && chunk.may_end();
        return wanted != 0 && !full && !enough;
    };
    const auto take = [&](const arrival_entry& entry, bytes_view body) {
        if (entry.number < wanted) return wanted - entry.number <= gap_read_max;
        full = !chunk.add(entry, body);
        if (full) return false;
        wanted = next_wanted(entry.number, end);
        return goes_on() && wanted - entry.number <= gap_read_max;
    };
    while (goes_on()) store_.scan(handle_, wanted, take);

    const node last = chunk.close();
    move_to(last);
    settle(end);
    wire::chunk_head head{sub, round_, std::nullopt, position_ >= target_};
    if (with_cursor) head.cursor = cursor_at(position_);
    std::vector<commit_id> names;
    if (beginning_) names = chunk.names();
    outflow::chunk out = chunk.finish(head);
    out.below = std::move(names);
    std::erase_if(out.below, [this](const commit_id& id) { return !is_below(id); });
    done_told_ = done_told_ || head.done;
    announced_ = position_;
    in_flight_.push_back({out.payload_bytes, position_});
    in_flight_bytes_ += out.payload_bytes;
    return out;
}

bool outflow::owes_cursor() const {
    if (!planned_) return false;
    if (!done_told_ && position_ >= target_) return true;
    return done_told_ && announced_ != position_;
}

outflow::chunk outflow::cursor_chunk(std::uint64_t sub) {
    wire::chunk_head head{sub, round_, cursor_at(position_), position_ >= target_};
    done_told_ = done_told_ || head.done;
    announced_ = position_;
    return {wire::chunk_writer().finish(head, {}), 0, 0, {}};
}

void outflow::acked(std::uint64_t chunks) {
    if (chunks < chunks_acked_ || chunks - chunks_acked_ > in_flight_.size())
        throw error(errc::bad_input, "the peer acknowledges what it was not sent");
    for (; chunks_acked_ < chunks; ++chunks_acked_) {
        in_flight_bytes_ -= in_flight_.front().bytes;
        acked_position_ = in_flight_.front().position;
        in_flight_.pop_front();
    }
}

bool outflow::complete(node end) const {
    if (!planned_ || !in_flight_.empty()) return false;
    const node next = next_wanted(position_, end);
    return next == 0 || next > target_;
}

bool outflow::covers(node n) const {
    if (n <= list_end_) return std::binary_search(list_.begin(), list_.end(), n);
    const auto skipped = [n](const auto& range) { return n >= range.first && n <= range.second; };
    return n > position_ && std::none_of(skips_.begin(), skips_.end(), skipped);
}

std::optional<std::uint64_t> outflow::unacknowledged(node end) const {
    if (!planned_) return std::nullopt;
    const node from = acked_position();
    const auto listed = std::upper_bound(list_.begin(), list_.end(), from);
    const node after = std::max(from, list_end_);
    std::uint64_t count = static_cast<std::uint64_t>(list_.end() - listed) + end - after;
    for (const auto& [first, last] : skips_)
        if (last > after) count -= last - std::max(first - 1, after);
    return count;
}

bool outflow::retreat(node end) {
    if (position_ > end || list_end_ > end) return false;
    target_ = std::min(target_, end);
    return true;
}

arrival_cursor outflow::cursor_at(node n) const {
    if (n == 0) return {};
    return {n, store_.entry(handle_, n).digest};
}

}  // namespace tributary
