// This one first: it brings <utility>, which Boost 1.74 needs before its own headers.
#include "tributary/peer/websocket.hpp"

#include "tributary/peer/channel.hpp"
#include "tributary/peer/listener.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/optional.hpp>
#include <netinet/tcp.h>

#include <atomic>
#include <csignal>
#include <deque>
#include <map>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>

namespace tributary {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ws = beast::websocket;
using net::ip::tcp;
using local = net::local::stream_protocol;
using net_error = boost::system::error_code;

namespace {

/// The kernel takes more to send only while it has less than this that is not on the wire.
constexpr int kernel_unsent_bytes = 128 << 10;
/// Written bytes are reported in steps of at least this many, or when the outbox is empty.
constexpr std::size_t report_step_bytes = 64u << 10;
/// Beast masks what a client sends piece by piece in a buffer of this size; its default makes a
/// system call every 4 KiB.
constexpr std::size_t mask_buffer_bytes = 128u << 10;
/// A connection on which only small frames arrive has no more to read them into than this.
constexpr std::size_t idle_buffer_bytes = 4u << 10;
/// Of deflate: four fifths of what 6 and 8 do with collected text, at more than twice the speed.
constexpr int deflate_level = 3, deflate_memory = 6;
constexpr auto accept_retry = std::chrono::milliseconds(100);
/// What a message counts for beside its bytes, until it is consumed.
constexpr std::size_t message_cost_bytes = 256;
/// So long, and so many at a time, those who are refused are kept to be told why.
constexpr auto refusal_time = std::chrono::seconds(1);
constexpr std::size_t refusals_max = 64;

class link;

/// What the links of a shell share. Touched by the I/O thread only, but for `next`.
struct world {
    websocket_handlers handlers;
    websocket_options options;
    std::size_t refusals = 0;  ///< under way; they end with `io` at the latest
    net::io_context io{1};
    tcp::resolver resolver{io};
    std::unordered_map<connection_id, std::shared_ptr<link>> links;
    /// While a connection uses them: the certificates of a system are a megabyte.
    std::map<std::pair<std::string, std::string>, std::weak_ptr<tls_client>> clients;
    std::size_t accepted = 0;
    std::map<std::string, std::size_t> accepted_of;  ///< by address
    std::set<connection_id> strangers;               ///< accepted and not admitted yet
    ban_list bans;
    std::atomic<connection_id> next{1};

    std::size_t unread = 0;           ///< bytes of all links, received and not consumed
    std::size_t unread_whole = 0;     ///< of them, of messages that are here whole
    std::set<connection_id> waiting;  ///< for others to take less of that

    std::mutex met_mutex;
    std::map<std::string, std::uint64_t> met;  ///< limits, by name

    void count_met(const std::string& limit) {
        std::lock_guard lock(met_mutex);
        ++met[limit];
    }
    /// What waits for less to be unread goes on; where waiting would be in vain, room is made.
    void relieve();

    std::shared_ptr<link> find(connection_id c) const {
        const auto at = links.find(c);
        return at == links.end() ? nullptr : at->second;
    }

    /// Errors: those of tls_client.
    std::shared_ptr<tls_client> client(const tls_trust& trust) {
        std::weak_ptr<tls_client>& kept = clients[{trust.ca, trust.pin}];
        auto found = kept.lock();
        if (!found) kept = found = std::make_shared<tls_client>(trust);
        return found;
    }
};

std::string why(const net_error& ec) { return ec.message(); }

std::int64_t mono_ms_now() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// Tells a connection why it is not taken, if there is room to, and closes it.
class refusal : public std::enable_shared_from_this<refusal> {
public:
    refusal(world& w, any_stream::socket socket)
        : world_(w), socket_(std::move(socket)), deadline_(w.io) {
        ++world_.refusals;
    }
    ~refusal() { --world_.refusals; }
    refusal(const refusal&) = delete;
    refusal& operator=(const refusal&) = delete;

    void tell(int status, const std::string& reason) {
        http::response<http::string_body> answer(static_cast<http::status>(status), 11);
        answer.set(http::field::content_type, "text/plain");
        answer.keep_alive(false);
        answer.body() = reason + "\n";
        answer.prepare_payload();
        text_ = (std::ostringstream() << answer).str();
        deadline_.expires_after(refusal_time);
        deadline_.async_wait([self = shared_from_this()](net_error) {
            net_error ignored;
            self->socket_.close(ignored);
        });
        net::async_write(
            socket_, net::buffer(text_), [self = shared_from_this()](net_error, std::size_t) {
                net_error ignored;
                self->socket_.shutdown(any_stream::socket::shutdown_send, ignored);
                self->read_rest();
            });
    }

private:
    /// What is left unread when a socket is closed takes with it what was written.
    void read_rest() {
        socket_.async_read_some(net::buffer(rest_),
                                [self = shared_from_this()](net_error ec, std::size_t) {
                                    if (ec) return void(self->deadline_.cancel());
                                    self->read_rest();
                                });
    }

    world& world_;
    any_stream::socket socket_;
    net::steady_timer deadline_;
    std::string text_;
    std::array<char, 1024> rest_{};
};

/// One connection, from the first connect or accept until it is gone.
class link : public std::enable_shared_from_this<link> {
public:
    link(world& w,
         connection_id id,
         std::uint64_t from,
         any_stream::socket socket,
         std::string address = {})
        : world_(w),
          id_(id),
          listener_(from),
          address_(std::move(address)),
          ws_(std::move(socket)),
          opening_(std::make_unique<opening>(w.io)) {}

    std::uint64_t listener() const { return listener_; }
    /// Of a message that is not here whole.
    std::size_t partial_bytes() const { return partial_; }

    void dial(const peer_url& to, const tls_trust& trust, bool compress) {
        if (compress) enable_deflate();
        opening_->to = to;
        start_deadline();
        if (to.over == peer_url::transport::tls) {
            try {
                opening_->client = world_.client(trust);
            } catch (const error& e) {
                return fail(e.code(), e.what());
            }
        } else if (trust != tls_trust()) {
            return fail(errc::misuse,
                        to.origin() +
                            " is not TLS, which wss:// is: there is no "
                            "certificate to trust");
        }
        if (to.over == peer_url::transport::local) return connect({local::endpoint(to.host)});
        world_.resolver.async_resolve(
            to.host,
            to.port,
            [self = shared_from_this()](net_error ec, const tcp::resolver::results_type& found) {
                if (self->gone_) return;
                if (ec)
                    return self->fail(errc::unavailable,
                                      "cannot find the host of " + self->peer() + ": " + why(ec));
                std::vector<any_stream::endpoint> at;
                for (const auto& one : found) at.emplace_back(one.endpoint());
                self->connect(at);
            });
    }

    void accept(tls_server* tls, bool compress) {
        if (compress) enable_deflate();
        set_no_delay();
        start_deadline();
        if (!tls) return read_request();
        wire().start_tls(tls->connection());
        wire().async_tls_handshake([self = shared_from_this()](net_error ec) {
            if (self->gone_) return;
            if (!ec) return self->read_request();
            // Nobody was told of this connection yet, so nobody needs to be told that it failed.
            if (!tls_is_http(self->wire().tls_error())) return self->drop();
            self->refuse_clear_http();
        });
    }

    void send(bytes frame) {
        outbox_.push_back(std::move(frame));
        if (open_ && !writing_) write_next();
    }

    /// After all that was sent.
    void close() {
        if (std::exchange(closing_, true)) return;
        if (open_ && !writing_) start_close();
        if (!open_) fail(errc::canceled, "closed before it was open");
    }

    /// A message of `size` bytes.
    void consumed(std::size_t size) {
        const std::size_t less = std::min(unread_, size + message_cost_bytes);
        unread_ -= less;
        world_.unread -= less;
        world_.unread_whole -= less;
        paused_ = paused_ && unread_ > world_.options.unread_bytes_max / 2;
        read_on();
    }

    void admit() {
        early_left_ = admitted;
        world_.strangers.erase(id_);
        ws_.read_message_max(world_.options.frame_bytes_max);
        read_on();
    }

    void distrust() {
        if (!is_of_this_machine(address_)) world_.bans.strike(address_, mono_ms_now());
    }

    void set_reading(bool on) {
        held_ = !on;
        read_on();
    }

    /// At once, without telling anybody.
    void drop() {
        if (std::exchange(gone_, true)) return;
        if (opening_) opening_->deadline.cancel();
        wire().close();
        if (listener_ != 0) forget_accepted();
        world_.unread -= unread_ + partial_;
        world_.unread_whole -= unread_;
        world_.waiting.erase(id_);
        world_.links.erase(id_);
        world_.relieve();
    }

    void read_on() {
        if (gone_ || reading_ || !may_read()) return;
        reading_ = true;
        ws_.async_read_some(buffer_, 0, [self = shared_from_this()](net_error ec, std::size_t n) {
            self->reading_ = false;
            if (self->gone_) return;
            if (ec) return self->fail_read(ec);
            self->partial_ += n;
            self->world_.unread += n;
            if (self->ws_.is_message_done()) self->take_message();
            self->read_on();
        });
    }

    void fail(errc code, const std::string& reason) {
        if (gone_) return;
        auto self = shared_from_this();
        drop();
        if (listener_ == 0 || told_) world_.handlers.closed(id_, code, reason);
    }

private:
    /// What is needed until it is open, and then no more.
    struct opening {
        explicit opening(net::io_context& io) : deadline(io) {}
        peer_url to;
        std::shared_ptr<tls_client> client;
        enum class step { connect, tls, http } waits_for = step::connect;
        net::steady_timer deadline;
        boost::optional<http::request_parser<http::string_body>> request;
        ws::response_type response;
        http::response<http::string_body> answer;
    };

    channel& wire() { return ws_.next_layer(); }
    std::string peer() const { return opening_->to.origin(); }
    bool over(peer_url::transport t) const { return opening_->to.over == t; }
    /// The same place by another scheme, if the port might speak that.
    std::string peer_over(peer_url::transport t) const {
        peer_url other = opening_->to;
        other.over = t;
        return other.origin();
    }

    void enable_deflate() {
        ws::permessage_deflate deflate;
        deflate.client_enable = deflate.server_enable = true;
        deflate.compLevel = deflate_level;
        deflate.memLevel = deflate_memory;
        ws_.set_option(deflate);
    }

    void set_no_delay() {
        net_error ignored;  // a Unix-domain socket has no such thing
        wire().socket().set_option(tcp::no_delay(true), ignored);
        // On a slow link the kernel would take megabytes ahead: a commit would wait behind them.
        const int unsent = kernel_unsent_bytes;
        ::setsockopt(wire().socket().native_handle(),
                     IPPROTO_TCP,
                     TCP_NOTSENT_LOWAT,
                     &unsent,
                     sizeof unsent);
    }

    void start_deadline() {
        opening_->deadline.expires_after(std::chrono::milliseconds(world_.options.handshake_ms));
        opening_->deadline.async_wait([self = shared_from_this()](net_error ec) {
            if (ec || self->gone_ || self->open_) return;
            self->fail(errc::unavailable, self->overdue());
        });
    }

    std::string overdue() const {
        switch (opening_->waits_for) {
            case opening::step::connect:
                return "cannot connect to " + peer() + ": it did not answer in time";
            case opening::step::tls:
                return peer() + " accepts connections but does not answer in TLS; if it speaks " +
                       "none, use " + peer_over(peer_url::transport::tcp);
            case opening::step::http:
                break;
        }
        return peer() + " accepts connections but does not answer; is it a tributary peer?";
    }

    void connect(const std::vector<any_stream::endpoint>& at) {
        net::async_connect(wire().socket(),
                           at,
                           [self = shared_from_this()](net_error ec, const any_stream::endpoint&) {
                               if (self->gone_) return;
                               if (ec)
                                   return self->fail(
                                       errc::unavailable,
                                       "cannot connect to " + self->peer() + ": " + why(ec));
                               self->set_no_delay();
                               if (self->opening_->client)
                                   self->start_tls();
                               else
                                   self->handshake();
                           });
    }

    void start_tls() {
        opening_->waits_for = opening::step::tls;
        wire().start_tls(opening_->client->connection(opening_->to));
        wire().async_tls_handshake([self = shared_from_this()](net_error ec) {
            if (self->gone_) return;
            if (ec) return self->fail_tls(ec);
            try {
                self->opening_->client->require_trusted(self->wire().tls(), self->opening_->to);
            } catch (const error& e) {
                return self->fail(e.code(), e.what());
            }
            self->handshake();
        });
    }

    void fail_tls(const net_error& ec) {
        const std::string clear =
            "; if it speaks no TLS, use " + peer_over(peer_url::transport::tcp);
        if (ec == net::error::no_protocol_option)
            return fail(
                errc::bad_input,
                "cannot speak TLS with " + peer() + ": " + tls_reason(wire().tls_error()) + clear);
        if (ec == net::error::eof || ec == net::error::connection_reset)
            return fail(errc::unavailable,
                        peer() + " closed the connection instead of speaking TLS" + clear);
        fail(errc::unavailable, "cannot open a connection to " + peer() + ": " + why(ec));
    }

    void handshake() {
        opening_->waits_for = opening::step::http;
        prepare_stream();
        ws_.async_handshake(opening_->response,
                            opening_->to.http_host(),
                            opening_->to.prefix,
                            [self = shared_from_this()](net_error ec) {
                                if (self->gone_) return;
                                if (!ec) return self->opened(false);
                                self->fail_handshake(ec);
                            });
    }

    void fail_handshake(const net_error& ec) {
        const std::string tls =
            over(peer_url::transport::tcp)
                ? "; if it speaks TLS, use " + peer_over(peer_url::transport::tls)
                : "";
        if (ec == ws::error::upgrade_declined) {
            const auto status = opening_->response.result();
            const std::string answer =
                peer() + " answers HTTP with status " + std::to_string(static_cast<int>(status));
            // Also what a peer says that has too many connections.
            if (http::to_status_class(status) == http::status_class::server_error ||
                status == http::status::too_many_requests)
                return fail(errc::unavailable, answer + said());
            // What servers answer to HTTP on a port for TLS.
            const bool clear =
                status == http::status::upgrade_required || status == http::status::bad_request;
            return fail(errc::bad_input, answer + " but is no tributary peer" + (clear ? tls : ""));
        }
        if (ec.category() == make_error_code(http::error::bad_version).category() ||
            ec == ws::condition::handshake_failed)
            return fail(errc::bad_input,
                        peer() + " is no tributary peer: it does not answer in HTTP" + tls);
        if (ec == http::error::end_of_stream || ec == net::error::eof ||
            ec == net::error::connection_reset)
            return fail(errc::unavailable,
                        peer() + " closed the connection at once; is it a tributary peer?" + tls);
        fail(errc::unavailable, "cannot open a connection to " + peer() + ": " + why(ec));
    }

    /// What an answer that is text says, to be read beside its status.
    std::string said() const {
        const auto& answer = opening_->response;
        std::string text(answer.body().data(), std::min<std::size_t>(answer.body().size(), 200));
        text.resize(std::min(text.find('\n'), text.size()));
        const bool is_plain = answer[http::field::content_type] == "text/plain" &&
                              std::none_of(text.begin(), text.end(), [](unsigned char c) {
                                  return c < 0x20 || c == 0x7f;
                              });
        return is_plain && !text.empty() ? ": " + text : "";
    }

    void prepare_stream() {
        // The protocol above keeps alive and times out by itself; here only handshakes are timed.
        const std::chrono::milliseconds handshake(world_.options.handshake_ms);
        ws_.set_option(ws::stream_base::timeout{handshake, ws::stream_base::none(), false});
        ws_.binary(true);
        ws_.auto_fragment(false);
        ws_.write_buffer_bytes(mask_buffer_bytes);
        ws_.read_message_max(early_left_ == admitted ? world_.options.frame_bytes_max
                                                     : world_.options.early_bytes_max);
    }

    void read_request() {
        opening_->request.emplace();
        auto& request = *opening_->request;
        request.header_limit(8192);
        request.body_limit(4u << 10);
        http::async_read(
            wire(), buffer_, request, [self = shared_from_this()](net_error ec, std::size_t) {
                if (self->gone_) return;
                if (ec) return self->drop();
                if (ws::is_upgrade(self->opening_->request->get())) return self->upgrade();
                self->serve_http();
            });
    }

    void upgrade() {
        prepare_stream();
        ws_.async_accept(opening_->request->get(), [self = shared_from_this()](net_error ec) {
            if (self->gone_) return;
            if (ec) return self->drop();
            self->opened(true);
        });
    }

    void serve_http() {
        const auto& request = opening_->request->get();
        if (request.method() != http::verb::get)
            return answer_http({405, "text/plain", "only GET\n"});
        const std::string path(request.target().data(), request.target().size());
        world_.handlers.http(path, [w = &world_, id = id_](http_answer a) {
            net::post(w->io, [w, id, a = std::move(a)]() mutable {
                auto at = w->links.find(id);
                if (at != w->links.end()) std::shared_ptr(at->second)->answer_http(std::move(a));
            });
        });
    }

    void answer_http(http_answer a) {
        auto& answer = opening_->answer = {};
        answer.result(static_cast<unsigned>(a.status));
        answer.version(11);
        answer.set(http::field::content_type, a.content_type);
        answer.keep_alive(false);
        answer.body() = std::move(a.body);
        answer.prepare_payload();
        http::async_write(wire(), answer, [self = shared_from_this()](net_error, std::size_t) {
            if (!self->gone_) self->wire().finish();
            self->drop();
        });
    }

    /// In the clear as it was asked, on a port for TLS.
    void refuse_clear_http() {
        static constexpr std::string_view answer =
            "HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.2\r\nConnection: Upgrade, close\r\n"
            "Content-Type: text/plain\r\n\r\nthis port speaks TLS: https:// and wss://\n";
        // What is left unread when a socket is closed takes with it what was written.
        net_error ignored;
        std::array<char, 8192> rest{};
        wire().socket().read_some(net::buffer(rest), ignored);
        net::async_write(wire().socket(),
                         net::buffer(answer),
                         [self = shared_from_this()](net_error, std::size_t) { self->drop(); });
    }

    void opened(bool accepted) {
        open_ = told_ = true;
        opening_.reset();
        buffer_.clear();
        world_.handlers.opened(id_, accepted, wire().tls() ? tls_exported(wire().tls()) : bytes());
        read_on();
        if (!outbox_.empty())
            write_next();
        else if (closing_)
            start_close();
    }

    bool may_read() {
        if (!open_ || paused_ || held_ || early_left_ == 0) return false;
        if (world_.unread <= world_.options.unread_bytes_in_all_max ||
            unread_ + partial_ <= idle_buffer_bytes)
            return true;
        if (world_.waiting.insert(id_).second) {
            world_.count_met("unread-bytes-in-all");
            net::post(world_.io, [w = &world_] { w->relieve(); });
        }
        return false;
    }

    void take_message() {
        const auto data = buffer_.cdata();
        bytes frame(static_cast<const char*>(data.data()), data.size());
        buffer_.consume(data.size());
        if (frame.size() < idle_buffer_bytes && buffer_.capacity() > idle_buffer_bytes)
            buffer_.shrink_to_fit();
        partial_ = 0;
        unread_ += frame.size() + message_cost_bytes;
        world_.unread += message_cost_bytes;
        world_.unread_whole += frame.size() + message_cost_bytes;
        paused_ = unread_ > world_.options.unread_bytes_max;
        if (paused_) world_.count_met("unread-bytes");
        if (early_left_ != admitted) --early_left_;
        world_.handlers.received(id_, std::move(frame));
    }

    void forget_accepted() {
        --world_.accepted;
        world_.strangers.erase(id_);
        if (const auto of = world_.accepted_of.find(address_);
            of != world_.accepted_of.end() && --of->second == 0)
            world_.accepted_of.erase(of);
    }

    void fail_read(const net_error& ec) {
        if (ec == ws::error::message_too_big) {
            world_.count_met(early_left_ == admitted ? "frame-bytes" : "early-bytes");
            distrust();
            return fail(errc::limit,
                        "the peer sent a message of more than " +
                            std::to_string(ws_.read_message_max()) + " bytes");
        }
        if (ec == ws::error::closed || ec == net::error::eof || ec == net::error::connection_reset)
            return fail(errc::unavailable, "the peer closed the connection");
        if (ec == ws::condition::protocol_violation) {
            distrust();
            return fail(errc::bad_input, "the peer breaks the WebSocket protocol: " + why(ec));
        }
        fail(errc::unavailable, "the connection broke: " + why(ec));
    }

    void write_next() {
        writing_ = true;
        ws_.async_write(net::buffer(outbox_.front()),
                        [self = shared_from_this()](net_error ec, std::size_t size) {
                            self->writing_ = false;
                            if (self->gone_) return;
                            // The read fails too, with the better reason, unless reading is paused.
                            if (ec)
                                return self->reading_
                                           ? void()
                                           : self->fail(errc::unavailable,
                                                        "the connection broke: " + why(ec));
                            self->outbox_.pop_front();
                            self->report_written(size);
                            if (!self->outbox_.empty())
                                self->write_next();
                            else if (self->closing_)
                                self->start_close();
                        });
    }

    void report_written(std::size_t size) {
        written_ += size;
        if (written_ < report_step_bytes && !outbox_.empty()) return;
        world_.handlers.written(id_, std::exchange(written_, 0), outbox_.empty());
    }

    void start_close() {
        ws_.async_close(ws::close_code::normal, [self = shared_from_this()](net_error) {
            self->fail(errc::canceled, "closed by this side");
        });
    }

    world& world_;
    const connection_id id_;
    const std::uint64_t listener_;  ///< 0: dialed
    const std::string address_;     ///< of who was accepted
    ws::stream<channel> ws_;
    std::unique_ptr<opening> opening_;  ///< until it is open
    beast::flat_buffer buffer_;
    std::deque<bytes> outbox_;
    std::size_t unread_ = 0;   ///< of messages that are here whole
    std::size_t partial_ = 0;  ///< of one that is not
    std::size_t written_ = 0;
    /// Messages that are taken before it is admitted; who was dialed is so from the beginning.
    static constexpr int admitted = -1;
    int early_left_ = listener_ == 0 ? admitted : 2;
    bool open_ = false, told_ = false, gone_ = false, closing_ = false, writing_ = false,
         reading_ = false, paused_ = false, held_ = false;
};

void world::relieve() {
    if (unread <= options.unread_bytes_in_all_max) {
        for (const connection_id c : std::exchange(waiting, {}))
            if (const auto l = find(c)) l->read_on();
        return;
    }
    // While something is here whole it will be consumed, and then there is room.
    if (unread_whole > 0 || waiting.empty() || links.empty()) return;
    const auto largest = std::max_element(links.begin(), links.end(), [](auto& a, auto& b) {
        return a.second->partial_bytes() < b.second->partial_bytes();
    });
    std::shared_ptr(largest->second)
        ->fail(errc::unavailable, "there is no memory left for a message as large as the peer's");
}

}  // namespace

struct websocket_shell::impl {
    world w;
    net::executor_work_guard<net::io_context::executor_type> guard{w.io.get_executor()};
    std::map<std::uint64_t, std::shared_ptr<listener>> listeners;
    std::thread thread;

    void run() {
        // OpenSSL writes to sockets that may be closed.
        sigset_t broken_pipe;
        sigemptyset(&broken_pipe);
        sigaddset(&broken_pipe, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
        w.io.run();
    }

    void accept_next(const std::shared_ptr<listener>& from) {
        from->acceptor.async_accept([this, from](net_error ec, any_stream::socket socket) {
            if (!listeners.contains(from->id)) return;
            if (ec) {
                // Out of descriptors, most likely: the rest of the process goes on, so wait and try
                // again.
                from->pause.expires_after(accept_retry);
                return from->pause.async_wait([this, from](net_error) {
                    if (listeners.contains(from->id)) accept_next(from);
                });
            }
            take_in(std::move(socket), *from);
            accept_next(from);
        });
    }

    void take_in(any_stream::socket socket, const listener& at) {
        const std::string address = address_of(socket);
        const auto of = w.accepted_of.find(address);
        constexpr int busy = 503, banned = 429;
        if (const auto wait = w.bans.wait_ms(address, mono_ms_now()); wait > 0)
            return refuse(std::move(socket),
                          at,
                          "banned-addresses",
                          banned,
                          address + " has sent bad input; try again in " +
                              std::to_string((wait + 999) / 1000) + " s");
        if (w.accepted >= w.options.accepted_max)
            return refuse(std::move(socket),
                          at,
                          "connections",
                          busy,
                          "this peer has all the connections it takes; try again later");
        if (of != w.accepted_of.end() && of->second >= w.options.accepted_per_address_max)
            return refuse(std::move(socket),
                          at,
                          "connections-per-address",
                          busy,
                          "this peer has all the connections it takes of " + address);
        if (w.strangers.size() >= w.options.strangers_max) {
            w.count_met("strangers");
            std::shared_ptr(w.links.at(*w.strangers.begin()))
                ->fail(errc::canceled, "others came before it had authenticated");
        }
        ++w.accepted;
        if (!address.empty()) ++w.accepted_of[address];
        const connection_id c = w.next++;
        w.strangers.insert(c);
        auto made = std::make_shared<link>(w, c, at.id, std::move(socket), address);
        w.links.emplace(c, made);
        made->accept(at.tls.get(), at.compress);
    }

    void refuse(any_stream::socket socket,
                const listener& at,
                const char* limit,
                int status,
                const std::string& reason) {
        w.count_met(limit);
        // TLS to say it in would cost more than the connection.
        if (at.tls || w.refusals >= refusals_max) return;
        std::make_shared<refusal>(w, std::move(socket))->tell(status, reason);
    }

    void drop_if(const std::function<bool(const link&)>& which) {
        std::vector<std::shared_ptr<link>> victims;
        for (auto& [id, l] : w.links)
            if (which(*l)) victims.push_back(l);
        for (auto& l : victims) l->fail(errc::canceled, "this side stopped listening");
    }
};

websocket_shell::websocket_shell(websocket_handlers handlers,
                                 websocket_options options,
                                 const ban_options& bans)
    : impl_(std::make_shared<impl>()) {
    impl_->w.bans = ban_list(bans);
    for (const char* limit : {"banned-addresses",
                              "connections",
                              "connections-per-address",
                              "early-bytes",
                              "frame-bytes",
                              "strangers",
                              "unread-bytes",
                              "unread-bytes-in-all"})
        impl_->w.met.emplace(limit, 0);
    impl_->w.handlers = std::move(handlers);
    impl_->w.options = options;
    impl_->thread = std::thread([i = impl_.get()] { i->run(); });
}

websocket_shell::~websocket_shell() {
    impl_->w.io.stop();
    impl_->thread.join();
    auto links = std::move(impl_->w.links);
    impl_->w.links.clear();
    for (auto& [id, l] : links) l->drop();
    impl_->listeners.clear();
}

connection_id websocket_shell::next_connection() { return impl_->w.next++; }

void websocket_shell::dial(connection_id c,
                           const peer_url& to,
                           const tls_trust& trust,
                           bool compress) {
    net::post(impl_->w.io, [i = impl_.get(), c, to, trust, compress] {
        auto made = std::make_shared<link>(i->w, c, 0, any_stream::socket(i->w.io));
        i->w.links.emplace(c, made);
        made->dial(to, trust, compress);
    });
}

websocket_shell::listening websocket_shell::listen(const peer_url& at,
                                                   const tls_files& tls,
                                                   bool compress) {
    std::unique_ptr<tls_server> server;
    if (!tls.certificate.empty()) {
        if (at.over == peer_url::transport::local)
            throw error(errc::misuse, "there is no TLS over a Unix-domain socket");
        server = std::make_unique<tls_server>(tls);
    }
    auto made = std::make_shared<listener>(make_acceptor(impl_->w.io, at), at, impl_->w.next++);
    made->tls = std::move(server);
    made->compress = compress;
    peer_url bound = at;
    if (at.over != peer_url::transport::local) {
        bound.port = port_of(made->acceptor);
        if (made->tls) bound.over = peer_url::transport::tls;
    }
    net::post(impl_->w.io, [i = impl_.get(), made] {
        i->listeners.emplace(made->id, made);
        i->accept_next(made);
    });
    return {made->id, bound.origin()};
}

void websocket_shell::stop_listening(std::uint64_t listener) {
    net::post(impl_->w.io, [i = impl_.get(), listener] {
        auto at = i->listeners.find(listener);
        if (at == i->listeners.end()) return;
        auto closing = std::move(at->second);
        i->listeners.erase(at);
        net_error ignored;
        closing->acceptor.close(ignored);
        closing->pause.cancel();
        i->drop_if([&](const link& l) { return l.listener() == listener; });
    });
}

void websocket_shell::send(std::vector<hub_effects::send> frames,
                           std::vector<connection_id> closes) {
    if (frames.empty() && closes.empty()) return;
    net::post(impl_->w.io,
              [i = impl_.get(), frames = std::move(frames), closes = std::move(closes)]() mutable {
                  for (auto& f : frames)
                      if (const auto l = i->w.find(f.to)) l->send(std::move(f.frame));
                  for (auto c : closes)
                      if (const auto l = i->w.find(c)) l->close();
              });
}

void websocket_shell::admit(connection_id c) {
    net::post(impl_->w.io, [i = impl_.get(), c] {
        if (const auto l = i->w.find(c)) l->admit();
    });
}

void websocket_shell::distrust(connection_id c) {
    net::post(impl_->w.io, [i = impl_.get(), c] {
        if (const auto l = i->w.find(c)) l->distrust();
    });
}

void websocket_shell::set_reading(connection_id c, bool on) {
    net::post(impl_->w.io, [i = impl_.get(), c, on] {
        if (const auto l = i->w.find(c)) l->set_reading(on);
    });
}

std::map<std::string, std::uint64_t> websocket_shell::limits_met() const {
    std::lock_guard lock(impl_->w.met_mutex);
    return impl_->w.met;
}

void websocket_shell::consumed(std::vector<std::pair<connection_id, std::size_t>> sizes) {
    if (sizes.empty()) return;
    net::post(impl_->w.io, [i = impl_.get(), sizes = std::move(sizes)] {
        for (auto& [c, size] : sizes)
            if (const auto l = i->w.find(c)) l->consumed(size);
        i->w.relieve();
    });
}

}  // namespace tributary
