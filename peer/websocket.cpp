// This one first: it brings <utility>, which Boost 1.74 needs before its own headers.
#include "tributary/peer/websocket.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/optional.hpp>

#include <atomic>
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
using tcp = net::ip::tcp;
using net_error = boost::system::error_code;

namespace {

/// Written bytes are reported in steps of at least this many, or when the outbox is empty.
constexpr std::size_t report_step_bytes = 64u << 10;
/// Beast masks what a client sends piece by piece in a buffer of this size; its default makes a
/// system call every 4 KiB.
constexpr std::size_t mask_buffer_bytes = 128u << 10;
constexpr auto accept_retry = std::chrono::milliseconds(100);

class link;

/// What the links of a shell share. Touched by the I/O thread only, but for `next`.
struct world {
    websocket_handlers handlers;
    websocket_options options;
    net::io_context io{1};
    std::unordered_map<connection_id, std::shared_ptr<link>> links;
    std::size_t accepted = 0;
    std::atomic<connection_id> next{1};
};

std::string why(const net_error& ec) { return ec.message(); }

/// One connection, from the first connect or accept until it is gone.
class link : public std::enable_shared_from_this<link> {
public:
    link(world& w, connection_id id, std::uint64_t listener)
        : world_(w), id_(id), listener_(listener), ws_(w.io), resolver_(w.io) {}
    link(world& w, connection_id id, std::uint64_t listener, tcp::socket socket)
        : world_(w), id_(id), listener_(listener), ws_(std::move(socket)), resolver_(w.io) {}

    std::uint64_t listener() const { return listener_; }

    void dial(const peer_url& to) {
        url_ = to;
        start_deadline();
        resolver_.async_resolve(
            to.host,
            to.port,
            [self = shared_from_this()](net_error ec, tcp::resolver::results_type found) {
                if (self->gone_) return;
                if (ec)
                    return self->fail(
                        errc::unavailable,
                        "cannot find the host of " + self->url_.origin() + ": " + why(ec));
                self->connect(found);
            });
    }

    void accept() {
        set_no_delay();
        start_deadline();
        parser_.emplace();
        parser_->header_limit(8192);
        parser_->body_limit(64u << 10);
        http::async_read(
            socket(), buffer_, *parser_, [self = shared_from_this()](net_error ec, std::size_t) {
                if (self->gone_) return;
                // Nobody was told of this connection yet, so nobody needs to be told that it was no
                // HTTP.
                if (ec) return self->drop();
                if (ws::is_upgrade(self->parser_->get())) return self->upgrade();
                self->serve_http();
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
            read_next();
        }
    }

    /// At once, without telling anybody.
    void drop() {
        if (std::exchange(gone_, true)) return;
        resolver_.cancel();
        socket().close();
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
    beast::tcp_stream& socket() { return beast::get_lowest_layer(ws_); }

    void set_no_delay() {
        net_error ignored;
        socket().socket().set_option(tcp::no_delay(true), ignored);
    }

    void start_deadline() {
        socket().expires_after(std::chrono::milliseconds(world_.options.handshake_ms));
    }

    void connect(const tcp::resolver::results_type& found) {
        socket().async_connect(
            found, [self = shared_from_this()](net_error ec, const tcp::endpoint&) {
                if (self->gone_) return;
                if (ec)
                    return self->fail(errc::unavailable,
                                      "cannot connect to " + self->url_.origin() + ": " + why(ec));
                self->handshake();
            });
    }

    void handshake() {
        set_no_delay();
        prepare_stream();
        ws_.async_handshake(
            response_, url_.host + ":" + url_.port, "/", [self = shared_from_this()](net_error ec) {
                if (self->gone_) return;
                if (!ec) return self->opened(false);
                self->fail_handshake(ec);
            });
    }

    void fail_handshake(const net_error& ec) {
        const std::string who = url_.origin();
        if (ec == ws::error::upgrade_declined) {
            const auto status = response_.result_int();
            const std::string answer = who + " answers HTTP with status " + std::to_string(status);
            if (status >= 500) return fail(errc::unavailable, answer);
            return fail(errc::bad_input, answer + " but is no tributary peer");
        }
        if (ec.category() == make_error_code(http::error::bad_version).category() ||
            ec == ws::condition::handshake_failed)
            return fail(errc::bad_input, who + " is no tributary peer: it does not answer in HTTP");
        if (ec == http::error::end_of_stream || ec == net::error::eof)
            return fail(errc::unavailable,
                        who + " closed the connection at once; is it a tributary peer?");
        if (ec == beast::error::timeout)
            return fail(errc::unavailable,
                        who + " accepts connections but does not answer; is it a tributary peer?");
        fail(errc::unavailable, "cannot open a connection to " + who + ": " + why(ec));
    }

    void prepare_stream() {
        // The protocol above keeps alive and times out by itself; here only handshakes are timed.
        socket().expires_never();
        const std::chrono::milliseconds handshake(world_.options.handshake_ms);
        ws_.set_option(ws::stream_base::timeout{handshake, ws::stream_base::none(), false});
        ws_.binary(true);
        ws_.auto_fragment(false);
        ws_.write_buffer_bytes(mask_buffer_bytes);
        ws_.read_message_max(world_.options.frame_bytes_max);
    }

    void upgrade() {
        prepare_stream();
        ws_.async_accept(parser_->get(), [self = shared_from_this()](net_error ec) {
            if (self->gone_) return;
            if (ec) return self->drop();
            self->parser_.reset();
            self->opened(true);
        });
    }

    void serve_http() {
        const auto& request = parser_->get();
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
        answer_ = {};
        answer_.result(static_cast<unsigned>(a.status));
        answer_.version(11);
        answer_.set(http::field::content_type, a.content_type);
        answer_.keep_alive(false);
        answer_.body() = std::move(a.body);
        answer_.prepare_payload();
        http::async_write(socket(), answer_, [self = shared_from_this()](net_error, std::size_t) {
            net_error ignored;
            if (!self->gone_) self->socket().socket().shutdown(tcp::socket::shutdown_send, ignored);
            self->drop();
        });
    }

    void opened(bool accepted) {
        open_ = told_ = true;
        buffer_.clear();
        world_.handlers.opened(id_, accepted);
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
            self->unread_ += size;
            self->paused_ = self->unread_ > self->world_.options.unread_bytes_max;
            self->world_.handlers.received(self->id_, std::move(frame));
            if (!self->paused_) self->read_next();
        });
    }

    void fail_read(const net_error& ec) {
        if (ec == ws::error::message_too_big)
            return fail(errc::limit,
                        "the peer sent a message of more than " +
                            std::to_string(world_.options.frame_bytes_max) + " bytes");
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
                                return self->paused_
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
    ws::stream<beast::tcp_stream> ws_;
    tcp::resolver resolver_;
    peer_url url_;
    beast::flat_buffer buffer_;
    boost::optional<http::request_parser<http::string_body>> parser_;
    ws::response_type response_;
    http::response<http::string_body> answer_;
    std::deque<bytes> outbox_;
    std::size_t unread_ = 0, written_ = 0;
    bool open_ = false, told_ = false, gone_ = false, closing_ = false, writing_ = false,
         paused_ = false;
};

tcp::acceptor make_acceptor(net::io_context& io, const std::string& host, const std::string& port) {
    net_error ec;
    const auto found = tcp::resolver(io).resolve(host, port, tcp::resolver::passive, ec);
    if (ec || found.empty())
        throw error(errc::bad_input, "cannot listen on \"" + host + "\": no such host: " + why(ec));
    const tcp::endpoint at = *found.begin();
    tcp::acceptor acceptor(io);
    acceptor.open(at.protocol(), ec);
    if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor.bind(at, ec);
    if (!ec) acceptor.listen(net::socket_base::max_listen_connections, ec);
    if (ec)
        throw error(errc::unavailable, "cannot listen on " + host + ":" + port + ": " + why(ec));
    return acceptor;
}

}  // namespace

struct websocket_shell::impl {
    struct listener {
        listener(tcp::acceptor a) : acceptor(std::move(a)), pause(acceptor.get_executor()) {}
        tcp::acceptor acceptor;
        net::steady_timer pause;
    };

    world w;
    net::executor_work_guard<net::io_context::executor_type> guard{w.io.get_executor()};
    std::map<std::uint64_t, std::shared_ptr<listener>> listeners;
    std::thread thread;

    void accept_next(std::uint64_t id, const std::shared_ptr<listener>& from) {
        from->acceptor.async_accept([this, id, from](net_error ec, tcp::socket socket) {
            if (!listeners.contains(id)) return;
            if (ec) {
                // Out of descriptors, most likely: the rest of the process goes on, so wait and try
                // again.
                from->pause.expires_after(accept_retry);
                return from->pause.async_wait([this, id, from](net_error) {
                    if (listeners.contains(id)) accept_next(id, from);
                });
            }
            if (w.accepted < w.options.accepted_max) {
                ++w.accepted;
                const connection_id c = w.next++;
                auto made = std::make_shared<link>(w, c, id, std::move(socket));
                w.links.emplace(c, made);
                made->accept();
            }
            accept_next(id, from);
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
    impl_->thread = std::thread([i = impl_.get()] { i->w.io.run(); });
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

void websocket_shell::dial(connection_id c, const peer_url& to) {
    net::post(impl_->w.io, [i = impl_.get(), c, to] {
        auto made = std::make_shared<link>(i->w, c, 0);
        i->w.links.emplace(c, made);
        made->dial(to);
    });
}

websocket_shell::listening websocket_shell::listen(const std::string& host,
                                                   const std::string& port) {
    auto made = std::make_shared<impl::listener>(make_acceptor(impl_->w.io, host, port));
    peer_url at{host, std::to_string(made->acceptor.local_endpoint().port()), ""};
    const std::uint64_t id = impl_->w.next++;
    net::post(impl_->w.io, [i = impl_.get(), id, made] {
        i->listeners.emplace(id, made);
        i->accept_next(id, made);
    });
    return {id, at.origin()};
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

void websocket_shell::consumed(std::vector<std::pair<connection_id, std::size_t>> sizes) {
    if (sizes.empty()) return;
    net::post(impl_->w.io, [i = impl_.get(), sizes = std::move(sizes)] {
        for (auto& [c, size] : sizes)
            if (auto at = i->w.links.find(c); at != i->w.links.end()) at->second->consumed(size);
    });
}

}  // namespace tributary
