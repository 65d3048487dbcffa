/// Stage calls between processes: what the owner of a replica answers on its local socket, and the
/// stage of a process that asks it.
#pragma once

#include "tributary/peer/stage.hpp"
#include "tributary/store/local_socket.hpp"

namespace tributary {

/// The process that has the replica open went away. `sent`: after the request was sent, so that it
/// may or may not have been done.
class owner_gone : public error {
public:
    explicit owner_gone(bool sent)
        : error(errc::unavailable,
                "the process that had the store open went away during this call; it may or may not "
                "have been done: look, then repeat it"),
          sent_(sent) {}
    bool sent() const { return sent_; }

private:
    bool sent_;
};

/// Answers requests out of `s`. Long calls end once the client is gone.
request_handler answer_requests(stage& s);

/// A stage that asks the process that serves `dir`; `first` is a connection to it. Its calls throw
/// owner_gone.
std::unique_ptr<stage> make_remote_stage(const std::filesystem::path& dir,
                                         std::unique_ptr<local_client> first);

}  // namespace tributary
