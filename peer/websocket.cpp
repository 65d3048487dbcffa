// This one first: it brings <utility>, which Boost 1.74 needs before its own headers.
#include "tributary/peer/websocket.hpp"

#include "tributary/peer/channel.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
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
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <deque>
#include <map>
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
using any_stream = net::generic::stream_protocol;
using any_acceptor = net::basic_socket_acceptor<any_stream>;
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

class link;

/// What the links of a shell share. Touched by the I/O thread only, but for `next`.
struct world {
    websocket_handlers handlers;
    websocket_options options;
    net::io_context io{1};
    tcp::resolver resolver{io};
    std::unordered_map<connection_id, std::shared_ptr<link>> links;
    /// While a connection uses them: the certificates of a system are a megabyte.
    std::map<std::pair<std::string, std::string>, std::weak_ptr<tls_client>> clients;
    std::size_t accepted = 0;
    std::atomic<connection_id> next{1};

    /// Errors: those of tls_client.
    std::shared_ptr<tls_client> client(const tls_trust& trust) {
        std::weak_ptr<tls_client>& kept = clients[{trust.ca, trust.pin}];
        auto found = kept.lock();
        if (!found) kept = found = std::make_shared<tls_client>(trust);
        return found;
    }
};

std::string why(const net_error& ec) { return ec.message(); }

/// One connection, from the first connect or accept until it is gone.
class link : public std::enable_shared_from_this<link> {
public:
    link(world& w, connection_id id, std::uint64_t from, any_stream::socket socket)
        : world_(w),
          id_(id),
          listener_(from),
          ws_(std::move(socket)),
          opening_(std::make_unique<opening>(w.io)) {}

    std::uint64_t listener() const { return listener_; }

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

    void consumed(std::size_t size) {
        unread_ -= std::min(unread_, size);
        if (paused_ && unread_ <= world_.options.unread_bytes_max / 2) {
            paused_ = false;
            if (early_left_ != 0) read_next();
        }
    }

    void admit() {
        const bool waits = early_left_ == 0;
        early_left_ = admitted;
        ws_.read_message_max(world_.options.frame_bytes_max);
        if (waits && !paused_) read_next();
    }

    /// At once, without telling anybody.
    void drop() {
        if (std::exchange(gone_, true)) return;
        if (opening_) opening_->deadline.cancel();
        wire().close();
        if (listener_ != 0) --world_.accepted;
        world_.links.erase(id_);
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
            if (http::to_status_class(status) == http::status_class::server_error)
                return fail(errc::unavailable, answer);
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
        request.body_limit(64u << 10);
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
        read_next();
        if (!outbox_.empty())
            write_next();
        else if (closing_)
            start_close();
    }

    void read_next() {
        if (gone_) return;
        ws_.async_read(buffer_, [self = shared_from_this()](net_error ec, std::size_t size) {
            if (self->gone_) return;
            if (ec) return self->fail_read(ec);
            const auto data = self->buffer_.cdata();
            bytes frame(static_cast<const char*>(data.data()), size);
            self->buffer_.consume(size);
            if (size < idle_buffer_bytes && self->buffer_.capacity() > idle_buffer_bytes)
                self->buffer_.shrink_to_fit();
            self->unread_ += size;
            self->paused_ = self->unread_ > self->world_.options.unread_bytes_max;
            self->world_.handlers.received(self->id_, std::move(frame));
            if (self->early_left_ != admitted) --self->early_left_;
            if (!self->paused_ && self->early_left_ != 0) self->read_next();
        });
    }

    void fail_read(const net_error& ec) {
        if (ec == ws::error::message_too_big)
            return fail(errc::limit,
                        "the peer sent a message of more than " +
                            std::to_string(ws_.read_message_max()) + " bytes");
        if (ec == ws::error::closed || ec == net::error::eof || ec == net::error::connection_reset)
            return fail(errc::unavailable, "the peer closed the connection");
        if (ec == ws::condition::protocol_violation)
            return fail(errc::bad_input, "the peer breaks the WebSocket protocol: " + why(ec));
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
                                return self->paused_ || self->early_left_ == 0
                                           ? self->fail(errc::unavailable,
                                                        "the connection broke: " + why(ec))
                                           : void();
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
    ws::stream<channel> ws_;
    std::unique_ptr<opening> opening_;  ///< until it is open
    beast::flat_buffer buffer_;
    std::deque<bytes> outbox_;
    std::size_t unread_ = 0, written_ = 0;
    /// Messages that are taken before it is admitted; who was dialed is so from the beginning.
    static constexpr int admitted = -1;
    int early_left_ = listener_ == 0 ? admitted : 2;
    bool open_ = false, told_ = false, gone_ = false, closing_ = false, writing_ = false,
         paused_ = false;
};

/// Removes a socket that nobody listens on any more.
void remove_stale_socket(net::io_context& io, const peer_url& at) {
    struct stat found {};
    if (::lstat(at.host.c_str(), &found) != 0) return;
    if (!S_ISSOCK(found.st_mode))
        throw error(errc::unavailable,
                    "cannot listen on " + at.origin() + ": there is something that is no socket");
    local::socket probe(io);
    probe.open();
    probe.non_blocking(true);
    net_error ec;
    probe.connect(at.host, ec);
    if (ec == net::error::connection_refused) ::unlink(at.host.c_str());
}

any_stream::endpoint endpoint_of(net::io_context& io, const peer_url& at) {
    if (at.over == peer_url::transport::local) {
        remove_stale_socket(io, at);
        return local::endpoint(at.host);
    }
    net_error ec;
    const auto found = tcp::resolver(io).resolve(at.host, at.port, tcp::resolver::passive, ec);
    if (ec || found.empty())
        throw error(errc::bad_input,
                    "cannot listen on \"" + at.host + "\": no such host: " + why(ec));
    return found.begin()->endpoint();
}

any_acceptor make_acceptor(net::io_context& io, const peer_url& at) {
    const any_stream::endpoint where = endpoint_of(io, at);
    net_error ec;
    any_acceptor acceptor(io);
    acceptor.open(where.protocol(), ec);
    if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor.bind(where, ec);
    if (!ec) acceptor.listen(net::socket_base::max_listen_connections, ec);
    if (ec) throw error(errc::unavailable, "cannot listen on " + at.origin() + ": " + why(ec));
    return acceptor;
}

/// The port that was given, if none was asked for.
std::string port_of(const any_acceptor& acceptor) {
    tcp::endpoint at;
    const any_stream::endpoint bound = acceptor.local_endpoint();
    std::memcpy(at.data(), bound.data(), std::min(at.capacity(), bound.size()));
    return std::to_string(at.port());
}

/// Where accepted connections come from.
struct listener {
    listener(any_acceptor a, const peer_url& at, std::uint64_t number)
        : acceptor(std::move(a)), id(number), pause(acceptor.get_executor()) {
        if (at.over != peer_url::transport::local) return;
        file = at.host;
        ::lstat(file.c_str(), &found);
    }
    /// Leaves no file behind, unless it is another's by now.
    ~listener() {
        struct stat now {};
        if (!file.empty() && ::lstat(file.c_str(), &now) == 0 && now.st_ino == found.st_ino &&
            now.st_dev == found.st_dev)
            ::unlink(file.c_str());
    }
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;

    any_acceptor acceptor;
    const std::uint64_t id;
    net::steady_timer pause;
    std::unique_ptr<tls_server> tls;  ///< none: in the clear
    bool compress = false;
    std::string file;  ///< of a Unix-domain socket
    struct stat found {};
};

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
            if (w.accepted < w.options.accepted_max) {
                ++w.accepted;
                const connection_id c = w.next++;
                auto made = std::make_shared<link>(w, c, from->id, std::move(socket));
                w.links.emplace(c, made);
                made->accept(from->tls.get(), from->compress);
            }
            accept_next(from);
        });
    }

    void drop_if(const std::function<bool(const link&)>& which) {
        std::vector<std::shared_ptr<link>> victims;
        for (auto& [id, l] : w.links)
            if (which(*l)) victims.push_back(l);
        for (auto& l : victims) l->fail(errc::canceled, "this side stopped listening");
    }
};

websocket_shell::websocket_shell(websocket_handlers handlers, websocket_options options)
    : impl_(std::make_shared<impl>()) {
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
                      if (auto at = i->w.links.find(f.to); at != i->w.links.end())
                          at->second->send(std::move(f.frame));
                  for (auto c : closes)
                      if (auto at = i->w.links.find(c); at != i->w.links.end())
                          std::shared_ptr(at->second)->close();
              });
}

void websocket_shell::admit(connection_id c) {
    net::post(impl_->w.io, [i = impl_.get(), c] {
        if (auto at = i->w.links.find(c); at != i->w.links.end()) at->second->admit();
    });
}

void websocket_shell::consumed(std::vector<std::pair<connection_id, std::size_t>> sizes) {
    if (sizes.empty()) return;
    net::post(impl_->w.io, [i = impl_.get(), sizes = std::move(sizes)] {
        for (auto& [c, size] : sizes)
            if (auto at = i->w.links.find(c); at != i->w.links.end()) at->second->consumed(size);
    });
}

}  // namespace tributary
