/// What a connection does about blobs: it asks the other side for those that commits name and that
/// are not here, and answers what it is asked. Both sides do both.
///
/// A blob is fetched over one connection at a time, in asks of a few chunks each; answers come in
/// the order of the asks, and every chunk is verified and kept on its own, so that what breaks off
/// is taken up anywhere. Commits go first: see serve(). Thread rule: one thread.
#pragma once

#include "tributary/peer/hub.hpp"
#include "tributary/peer/message_blobs.hpp"
#include "tributary/store/blob_index.hpp"
#include "tributary/store/blob_store.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tributary {

struct hub_shared;

/// What the connections of a hub share about blobs.
struct blob_desk {
    blob_store* store = nullptr;              ///< none: no blob is kept here, or asked for
    std::map<blob_id, connection_id> claims;  ///< who fetches what
    std::size_t askers = 0;                   ///< connections with asks under way
    std::vector<blob_id> arrived;             ///< whole since the last turn
    /// Asked for and not whole here, to be noted with the next flush: what is found after one.
    std::set<std::pair<crdt_handle, blob_id>> lost;
    std::string trouble;             ///< why blobs could not be stored
    mono_ms trouble_until = 0;       ///< when it is tried again
    std::uint64_t retries = 0;       ///< how often it was
    std::set<crdt_handle> troubled;  ///< whose status says so
};

class blob_exchange {
public:
    using sender = std::function<void(bytes frame, std::size_t payload_bytes)>;

    blob_exchange(hub_shared& hub, connection_id c, sender send)
        : hub_(hub), id_(c), send_(std::move(send)) {}
    ~blob_exchange();
    blob_exchange(const blob_exchange&) = delete;
    blob_exchange& operator=(const blob_exchange&) = delete;

    /// Subscription `sub` is accepted. `wishes` are fetched in any case; the others of `h` unless
    /// it is lazy.
    void open(std::uint64_t sub, crdt_handle h, const std::vector<blob_id>& wishes);

    /// The peer's commits are here, so that a wish that none of them names is in vain.
    void has_commits(std::uint64_t sub);

    /// Subscription `sub` has ended. What the peer still says of it, not knowing, is ignored.
    void close(std::uint64_t sub);

    // Messages. Errors: bad_input, limit.
    void on_ask(bytes_view frame);
    /// Returns the bytes of the blob in it.
    std::size_t on_part(bytes_view frame, mono_ms now);
    void on_have(bytes_view frame, mono_ms now);
    void on_lack(bytes_view frame);

    /// Gives up on a peer that does not answer.
    void tick(mono_ms now);
    /// After a flush and before the acknowledgements that follow it: what there is to ask, to tell.
    void ask(mono_ms now);
    /// Sends what was asked for while `has_room` says so, which it does only while no commit waits
    /// and next to nothing is under way: so a commit waits behind two pieces at most.
    void serve(const std::function<bool()>& has_room);

    /// Neither side is going to ask for more of this subscription's blobs.
    bool settled(std::uint64_t sub) const;
    /// Adds what was done here.
    void count(connection_counters& to) const;

private:
    struct interest {
        std::uint64_t sub;
        crdt_handle handle;
        bool eager;
        std::deque<blob_id> wishes;
        std::vector<named_blob> passed;     ///< fetched over other connections when they were met
        named_blob last;                    ///< looked at
        std::optional<std::uint64_t> seen;  ///< version of the index of which all was looked at
        std::uint64_t losses = 0;           ///< of the index, seen
        std::uint64_t told = 0;  ///< version of the index of which the peer was told what is here
        bool has_commits = false;
        bool told_lack = false, they_lack = false;
    };
    struct fetch {
        blob_ref blob;
        std::uint64_t sub;
        crdt_handle handle;
        std::shared_ptr<const blob_manifest> made;
        std::uint64_t next = 0;  ///< chunk to ask from
        unsigned asks = 0;       ///< under way
    };
    struct asked {
        wire::blob_ask what;
        std::uint64_t bytes;
        std::uint64_t next;    ///< the least chunk that may come
        bool ignored = false;  ///< nobody wants the answer any more
    };
    struct answer {
        wire::blob_ask ask;
        std::shared_ptr<const blob_manifest> made;  ///< none: the blob is not here
        std::uint64_t chunk = 0, end = 0, offset = 0;
        bool begun = false, complete = true;
    };

    interest& interest_of(std::uint64_t sub);
    void drop_asks(std::uint64_t sub);
    bool is_here(const interest& in, const blob_id& id);
    std::optional<named_blob> next_to_fetch(interest& in);
    bool is_wanting(const interest& in) const;
    void begin(const interest& in, const named_blob& b);
    void ask_for(fetch& f);
    bool ask_more(fetch& f);
    void push_ask(fetch& f, wire::blob_ask what, std::uint64_t bytes);
    void no_more_asks();
    void take_manifest(fetch& f, bytes_view data);
    void take_chunk(fetch& f, std::uint64_t chunk, bytes_view data);
    void arrived(const blob_id& id);
    void give_up(const blob_id& id);
    void give_up_all();
    void look_again();
    void failed_to_store(const fetch& f, const error& why);
    void stored();
    void tell_lack(interest& in);
    void tell_news();
    void tell_here(const blob_id& id, std::uint64_t sub);
    void begin(answer& a);
    void step(answer& a);
    void end_answer(const answer& a);

    hub_shared& hub_;
    const connection_id id_;
    const sender send_;
    mono_ms now_ = 0;

    std::map<std::uint64_t, interest> interests_;
    std::set<std::uint64_t> closed_;  ///< subscriptions that have ended
    std::map<blob_id, fetch> fetching_;
    std::deque<asked> asked_;
    std::uint64_t asked_bytes_ = 0;
    mono_ms answered_at_ = 0;
    bool is_deaf_ = false;                  ///< the peer does not answer, until it has
    bytes buffer_;                          ///< of a manifest or chunk, the pieces that have come
    std::optional<wire::blob_part> piece_;  ///< the last one, of what is not yet whole
    std::set<blob_id> not_there_;           ///< what the peer did not have
    std::uint64_t missing_ = 0;
    std::uint64_t retries_ = 0;  ///< of the desk, seen

    std::deque<answer> answers_;
    std::map<blob_id, std::uint64_t> not_here_;  ///< what the peer asked for in vain, and its sub

    connection_counters counted_;
};

/// The mark of a CRDT whose blobs are fetched only on demand.
inline constexpr const char* lazy_blobs_mark = "blobs/lazy";

}  // namespace tributary
