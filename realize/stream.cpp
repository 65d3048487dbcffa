#include "tributary/realize/stream.hpp"

#include "tributary/value/msgpack.hpp"

#include <algorithm>
#include <new>

namespace tributary {

namespace {

constexpr std::uint64_t marks_at_once = 64;
constexpr std::size_t read_bytes = 1u << 20;
constexpr std::size_t digest_bytes = 32;

/// An op that failed under failing_op::stop, as opposed to a failing disk or source.
struct op_failure : error {
    using error::error;
};

op_context context_of(const crdt_id& crdt, const linear_commit& c) {
    op_context context;
    context.crdt = crdt;
    context.commit = c.mark.id;
    context.author = c.header.author;
    context.author_name = c.author_name;
    context.time_ms = c.header.time_ms;
    return context;
}

std::string describe(const op_context& context, const op* o) {
    const std::string author =
        context.author_name.empty() ? context.author.brief() : context.author_name;
    return "op " + std::to_string(context.op_index) +
           (o != nullptr ? " (" + o->name.text + ")" : "") + " of commit " +
           context.commit.brief() + " by " + author;
}

/// Errors: conflict if what is durable was not made by `meaning`.
void require_same_meaning(const stream_cursor& durable, bytes_view meaning, bool from_here) {
    const std::string applied =
        "the " + std::to_string(durable.position) + " commits applied so far";
    const bytes_view was = durable.dispatch;
    if (was.size() != meaning.size() || was.substr(digest_bytes) != meaning.substr(digest_bytes)) {
        throw error(errc::conflict,
                    applied +
                        " are of another CRDT; realize this one into another database, or as "
                        "another stream (--log) of this one");
    }
    if (from_here || was == meaning) return;
    throw error(errc::conflict,
                "the dispatch map is not the one that " + applied +
                    " went through; use --rebuild to apply all of them again through the new map "
                    "into a new database that then takes the "
                    "place of this one, or --from-here to use the new map from now on");
}

}  // namespace

bytes encode(const linear_mark& m) { return bytes(m.id.view()) + static_cast<char>(m.mainline); }

linear_mark decode_linear_mark(bytes_view data) {
    if (data.size() != 33) {
        throw error(errc::io,
                    "an applied log entry of " + std::to_string(data.size()) +
                        " bytes; the target is damaged, rebuild it");
    }
    return {commit_id::from_bytes(data.substr(0, 32)), data[32] != 0};
}

realize_stream::realize_stream(linear_source& source,
                               realize_target& target,
                               const dispatch_map& dispatch,
                               crdt_id crdt,
                               stream_options options)
    : source_(source),
      target_(target),
      crdt_(crdt),
      options_(options),
      meaning_(bytes(dispatch.digest.view()).append(crdt.view())) {}

void realize_stream::begin() {
    target_.discard();  // what another realizer may have left
    stream_cursor from;
    if (const std::optional<stream_cursor> durable = target_.cursor()) {
        if (durable->position > 0) require_same_meaning(*durable, meaning_, options_.from_here);
        from = *durable;
    }
    from.dispatch = meaning_;
    ++from.epoch;
    target_.begin(from);
    epoch_ = from.epoch;
    begun_ = true;
}

/// Forgets what is staged, and goes on from what the target has. Errors: conflict if that is
/// another realizer's.
void realize_stream::go_back_to_durable() {
    target_.discard();
    commits_staged_ = 0;
    cursor_ = target_.cursor().value();
    if (cursor_.epoch > epoch_) {
        throw error(errc::conflict,
                    "another realizer has taken over this stream and goes on from where this one "
                    "got to; stop one of the two");
    }
    cursor_.epoch = epoch_;  // a rewind may have brought back an older realizer's
    cursor_.dispatch = meaning_;
}

/// Equal mainline commits at the same place mean equal prefixes, so: back to one, then forward as
/// long as the entries agree. O(divergence).
std::uint64_t realize_stream::common_prefix() {
    std::uint64_t prefix = 0;
    for (std::uint64_t end = cursor_.position; end > 0 && prefix == 0;) {
        const std::uint64_t count = end == cursor_.position ? 1 : std::min(end, marks_at_once);
        const std::uint64_t first = end - count;
        const std::vector<linear_mark> there = source_.marks(first, count);
        for (std::uint64_t i = there.size(); i > 0 && prefix == 0; --i) {
            const linear_mark& mark = there[i - 1];
            if (mark.mainline && target_.applied_at(first + i - 1) == mark) prefix = first + i;
        }
        end = first;
    }
    while (prefix < cursor_.position) {
        const std::vector<linear_mark> there =
            source_.marks(prefix, std::min(marks_at_once, cursor_.position - prefix));
        for (const linear_mark& mark : there) {
            const std::optional<linear_mark> applied = target_.applied_at(prefix);
            if (!applied || applied->id != mark.id) return prefix;
            ++prefix;
        }
        if (there.empty()) return prefix;
    }
    return prefix;
}

/// Whether the log still has what was its end when it was last compared. That is a mainline commit,
/// so then nothing up to there has changed. Without this, each batch out of a long stretch that a
/// merge brought would be compared back to where the stretch began.
bool realize_stream::is_aligned() {
    if (!anchor_ || cursor_.position > anchor_->position + 1) return false;
    const std::vector<linear_mark> there = source_.marks(anchor_->position, 1);
    return !there.empty() && there.front() == anchor_->mark;
}

/// Takes the target back to where it and the log agree; false if the log ends there, so that there
/// is nothing to go on with. REQUIRES: nothing staged.
bool realize_stream::align() {
    while (!is_aligned()) {
        anchor_.reset();
        const std::uint64_t length = source_.length();
        const std::vector<linear_mark> last =
            length > 0 ? source_.marks(length - 1, 1) : std::vector<linear_mark>();
        const std::uint64_t prefix = common_prefix();
        if (source_.length() <= prefix) return false;
        if (prefix < cursor_.position) rewind(prefix);
        if (!last.empty()) anchor_ = {length - 1, last.front()};
    }
    return true;
}

void realize_stream::rewind(std::uint64_t prefix) {
    const std::uint64_t before = cursor_.position;
    target_.rewind(prefix);
    go_back_to_durable();
    TRIBUTARY_CHECK(cursor_.position <= prefix);
    progress_.rewound_commits += before - cursor_.position;
    progress_.position = cursor_.position;
    flushed_ = progress_;
}

void realize_stream::flush() {
    if (commits_staged_ == 0) return;
    target_.flush();
    commits_staged_ = 0;
    flushed_ = progress_;
}

void realize_stream::flush_if_full() {
    if (commits_staged_ >= options_.flush_commits || target_.staged_bytes() >= options_.flush_bytes)
        flush();
}

void realize_stream::refuse_op(const op_context& context, const op* o, const error& why) {
    if (options_.on_failure == failing_op::stop) {
        throw op_failure(why.code(),
                         describe(context, o) + " failed: " + why.what() +
                             "; nothing of its commit was applied. Mend the dispatch map and use "
                             "it --from-here or with --rebuild, or go on with "
                             "--on-failure skip or quarantine");
    }
    target_.record_failure(context, o, why.what(), options_.on_failure == failing_op::quarantine);
}

/// Whether it was applied.
bool realize_stream::apply_op(bytes_view encoded, const op_context& context) {
    std::optional<op> decoded;
    const auto its_op = [&] { return decoded ? &*decoded : nullptr; };
    try {
        decoded = decode_op(encoded);
        target_.apply(*decoded, context);
        return true;
    } catch (const error& e) {
        const bool not_the_ops_fault =
            e.code() == errc::io || e.code() == errc::no_space || e.code() == errc::canceled;
        if (not_the_ops_fault) throw;
        refuse_op(context, its_op(), e);
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const std::exception& e) {  // from a function of the user's
        refuse_op(context, its_op(), error(errc::bad_input, e.what()));
    }
    return false;
}

void realize_stream::apply(const linear_commit& c) {
    if (c.position != cursor_.position) {
        throw error(errc::io,
                    "the source gave the commit at " + std::to_string(c.position) +
                        " of its linear log when asked for that at " +
                        std::to_string(cursor_.position));
    }
    stream_progress after = progress_;
    op_context context = context_of(crdt_, c);
    if (c.erased) {
        target_.record_failure(context, nullptr, "erased", false);
    } else if (!c.body.empty()) {
        for (const bytes_view encoded : split_body(c.body)) {
            ++(apply_op(encoded, context) ? after.ops : after.failed);
            ++context.op_index;
        }
    }
    cursor_.position = after.position = c.position + 1;
    cursor_.commit = encode(c.mark);
    target_.end_commit(cursor_, context);
    ++commits_staged_;
    progress_ = after;
}

/// What follows the cursor; nothing if the log changed meanwhile or is at its end.
std::vector<linear_commit> realize_stream::read_next() {
    std::vector<linear_commit> some = source_.read(cursor_.position, read_bytes);
    // A merge may have come since the log was compared; then what was read may not follow what was
    // applied.
    if (!some.empty() && !is_aligned()) some.clear();
    return some;
}

/// After a commit failed half-way: the target's transaction holds a part of it among whole ones, so
/// stages those anew, up to `end`, and makes them durable.
void realize_stream::apply_again(std::uint64_t end) {
    const stream_progress before = progress_;
    go_back_to_durable();
    while (cursor_.position < end) {
        const std::vector<linear_commit> some = read_next();
        if (some.empty()) break;
        for (const linear_commit& c : some) {
            if (c.position >= end) break;
            apply(c);
            flush_if_full();
        }
    }
    const bool is_all = cursor_.position == end;
    if (is_all) progress_ = before;
    flush();
}

stream_stop realize_stream::apply_all(const keep_going_function& keep_going) {
    for (;;) {
        if (options_.mode == conflict_mode::strict && source_.heads().size() > 1)
            return stream_stop::conflict;
        progress_.length = source_.length();
        if (!align() || cursor_.position >= progress_.length) return stream_stop::caught_up;
        for (const linear_commit& c : read_next()) {
            apply(c);
            flush_if_full();
            if (keep_going && !keep_going(progress_)) {
                flush();
                return stream_stop::canceled;
            }
        }
        flush();
    }
}

stream_stop realize_stream::run(const keep_going_function& keep_going) {
    try {
        if (!begun_) begin();
        go_back_to_durable();
        progress_.position = flushed_.position = cursor_.position;
        return apply_all(keep_going);
    } catch (const op_failure&) {
        apply_again(cursor_.position);
        throw;
    } catch (...) {
        target_.discard();
        commits_staged_ = 0;
        progress_ = flushed_;
        throw;
    }
}

}  // namespace tributary
