#include "tributary/realize/stream.hpp"

#include <algorithm>

#include "tributary/value/msgpack.hpp"

namespace tributary {

namespace {

constexpr std::uint64_t marks_at_once = 64;
constexpr std::size_t read_bytes = 1u << 20;

op_context context_of(const crdt_id& crdt, const linear_commit& c) {
    op_context context;
    context.crdt = crdt;
    context.commit = c.mark.id;
    context.author = c.header.author;
    context.author_name = c.author_name;
    context.time_ms = c.header.time_ms;
    return context;
}

std::string describe(const op_context& context, const std::string& op_name) {
    const std::string author = context.author_name.empty() ? context.author.brief() : context.author_name;
    return "op " + std::to_string(context.op_index) + (op_name.empty() ? "" : " (" + op_name + ")") + " of commit " +
           context.commit.brief() + " by " + author;
}

}  // namespace

bytes encode(const linear_mark& m) { return bytes(m.id.view()) + static_cast<char>(m.mainline); }

linear_mark decode_linear_mark(bytes_view data) {
    if (data.size() != 33) throw error(errc::bad_input, "an applied log entry of " + std::to_string(data.size()) + " bytes; the target is damaged");
    return {commit_id::from_bytes(data.substr(0, 32)), data[32] != 0};
}

realize_stream::realize_stream(linear_source& source,
                               realize_target& target,
                               const dispatch_map& dispatch,
                               crdt_id crdt,
                               stream_options options)
    : source_(source), target_(target), dispatch_(dispatch), crdt_(crdt), options_(options) {}

void realize_stream::begin() {
    const bytes digest(dispatch_.digest.view());
    if (const std::optional<stream_cursor> durable = target_.cursor()) {
        cursor_ = *durable;
        if (cursor_.dispatch != digest && cursor_.position > 0 && !options_.from_here) {
            throw error(errc::conflict,
                        "the dispatch map is not the one that the " + std::to_string(cursor_.position) +
                            " commits applied so far went through; use --rebuild to apply all of them again through the new map into a "
                            "new database that then takes the place of this one, or --from-here to use the new map from now on");
        }
    }
    cursor_.dispatch = digest;
    ++cursor_.epoch;
    target_.begin(cursor_);
    begun_ = true;
}

/// Equal mainline commits at the same place mean equal prefixes, so: back to one, then forward as long as the entries agree. O(divergence).
std::uint64_t realize_stream::common_prefix() {
    std::uint64_t prefix = 0;
    for (std::uint64_t end = cursor_.position; end > 0 && prefix == 0;) {
        const std::uint64_t first = end - std::min(end, end == cursor_.position ? 1 : marks_at_once);
        const std::vector<linear_mark> there = source_.marks(first, end - first);
        for (std::uint64_t at = end; at > first && prefix == 0; --at) {
            if (at - 1 - first >= there.size()) continue;
            const linear_mark& mark = there[at - 1 - first];
            if (mark.mainline && target_.applied_at(at - 1) == mark) prefix = at;
        }
        end = first;
    }
    while (prefix < cursor_.position) {
        const std::vector<linear_mark> there = source_.marks(prefix, std::min(marks_at_once, cursor_.position - prefix));
        for (const linear_mark& mark : there) {
            const std::optional<linear_mark> applied = target_.applied_at(prefix);
            if (!applied || applied->id != mark.id) return prefix;
            ++prefix;
        }
        if (there.empty()) return prefix;
    }
    return prefix;
}

/// Takes the target back to where it and the log agree. REQUIRES: nothing staged.
void realize_stream::align() {
    const std::uint64_t prefix = common_prefix();
    if (prefix == cursor_.position) return;
    progress_.rewound_commits += cursor_.position - prefix;
    target_.rewind(prefix);
    const std::optional<stream_cursor> after = target_.cursor();
    TRIBUTARY_CHECK(after && after->position <= prefix);
    cursor_ = *after;
    cursor_.dispatch = bytes(dispatch_.digest.view());
}

void realize_stream::flush() {
    if (commits_staged_ == 0) return;
    target_.flush();
    commits_staged_ = 0;
}

void realize_stream::apply_op(bytes_view encoded, const op_context& context) {
    std::optional<op> decoded;
    try {
        decoded = decode_op(encoded);
        target_.apply(*decoded, context);
        ++progress_.ops;
    } catch (const error& e) {
        const bool not_the_ops_fault = e.code() == errc::io || e.code() == errc::no_space || e.code() == errc::canceled;
        const std::string what = describe(context, decoded ? decoded->name.text : "");
        if (not_the_ops_fault) throw;
        if (options_.on_failure == failing_op::stop) {
            throw error(e.code(),
                        what + " failed: " + e.what() + "; nothing of its commit was applied. Mend the dispatch map, or go on with --on-failure skip or quarantine");
        }
        ++progress_.failed;
        target_.record_failure(context, decoded ? &*decoded : nullptr, e.what(), options_.on_failure == failing_op::quarantine);
    }
}

void realize_stream::apply(const linear_commit& c) {
    op_context context = context_of(crdt_, c);
    if (c.erased) {
        target_.record_failure(context, nullptr, "erased", false);
    } else {
        for (const bytes_view encoded : split_body(c.body)) {
            apply_op(encoded, context);
            ++context.op_index;
        }
    }
    cursor_.position = c.position + 1;
    cursor_.commit = encode(c.mark);
    target_.end_commit(cursor_, context);
    ++commits_staged_;
    progress_.position = cursor_.position;
}

/// Forgets what is staged.
void realize_stream::back_to_durable() {
    target_.discard();
    commits_staged_ = 0;
    cursor_ = target_.cursor().value();
    cursor_.dispatch = bytes(dispatch_.digest.view());
}

/// Applies commits until one fails; then those before it are durable and nothing of it is staged.
void realize_stream::apply_whole(const std::vector<linear_commit>& some, const keep_going_function& keep_going) {
    std::size_t done = 0;
    try {
        for (; done < some.size() && !canceled_; ++done) {
            apply(some[done]);
            if (commits_staged_ >= options_.flush_commits || target_.staged_bytes() >= options_.flush_bytes) flush();
            canceled_ = keep_going && !keep_going(progress_);
        }
    } catch (const error&) {
        // The target stages several commits in one transaction, which now holds a part of one: stage the whole ones anew.
        back_to_durable();
        for (std::size_t i = 0; i < done; ++i) {
            if (some[i].position >= cursor_.position) apply(some[i]);
        }
        flush();
        throw;
    }
    flush();
}

stream_stop realize_stream::run(const keep_going_function& keep_going) {
    canceled_ = false;
    if (!begun_) begin();
    for (;;) {
        if (options_.mode == conflict_mode::strict && source_.heads().size() > 1) return stream_stop::conflict;
        align();
        progress_.position = cursor_.position;
        progress_.length = source_.length();
        const std::vector<linear_commit> some = source_.read(cursor_.position, read_bytes);
        if (some.empty()) return stream_stop::caught_up;
        // The log may have been rewound between the two reads above; then what was read may not follow what was applied.
        if (common_prefix() != cursor_.position) continue;
        apply_whole(some, keep_going);
        if (canceled_) return stream_stop::canceled;
    }
}

}  // namespace tributary
