/// Several processes and one store.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer/stage_support.hpp"

using namespace tributary;
using namespace tributary::testing;

namespace {

/// Runs `work` in another process. Make it before the first thread of a test, and write little in
/// it: LevelDB's compaction thread of this process is not there.
class child_process {
public:
    explicit child_process(const std::function<void()>& work) {
        int to_child[2];
        if (::pipe(to_child) != 0) throw std::runtime_error("no pipe");
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(to_child[1]);
            int code = 0;
            // Waits for go() or for the parent's end.
            char c = 0;
            if (::read(to_child[0], &c, 1) == 1) {
                try {
                    work();
                } catch (const std::exception& e) {
                    fprintf(stderr, "child process: %s\n", e.what());
                    code = 1;
                }
            }
            ::_exit(code);
        }
        ::close(to_child[0]);
        go_ = to_child[1];
    }
    ~child_process() {
        ::close(go_);
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }
    void go() const { (void)!::write(go_, "g", 1); }
    /// Its exit code.
    int wait() {
        int status = 0;
        ::waitpid(pid_, &status, 0);
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    }
    void kill() {
        ::kill(pid_, SIGKILL);
        wait();
    }

private:
    pid_t pid_ = -1;
    int go_ = -1;
};

}  // namespace

TEST_CASE("processes: a second one works on the store of the first", "[peer]") {
    temporary_directory dir, clone_dir;
    child_process second([&] {
        auto s = stage::open(dir.path());
        add_notes(*s, "notes", 10, "second");
        if (s->summary("notes").commits < 10) throw std::runtime_error("not there");
        if (s->read_linear("notes", 0, 1 << 20, true).size() < 10)
            throw std::runtime_error("not readable");
        if (s->get_mark("notes", "k") != bytes("\xff\x00", 2))
            throw std::runtime_error("another mark");
        std::uint64_t problems = 0;
        s->verify(
            "notes", [&](const std::string&) { ++problems; }, [](auto, auto) {});
        if (problems != 0) throw std::runtime_error("verify found problems");
        try {
            s->create("notes");
            throw std::runtime_error("made twice");
        } catch (const error& e) {
            if (e.code() != errc::exists) throw;
        }
        serving at(*s);
        auto clone = stage::open(clone_dir.path());
        clone->clone(at.address() + "/notes", "");
        clone.reset();
    });
    auto s = stage::open(dir.path());
    s->create("notes");
    s->put_marks("notes", {{"k", bytes("\xff\x00", 2)}});
    second.go();
    add_notes(*s, "notes", 10, "first");
    CHECK(second.wait() == 0);
    CHECK(s->summary("notes").commits == 20);
    CHECK(s->summary("notes").heads.size() == 1);
}

TEST_CASE("processes: when the owner is killed, others go on and one opens the store", "[peer]") {
    temporary_directory dir;
    child_process owner([&] {
        auto s = stage::open(dir.path());
        s->create("notes");
        s->transact("notes", {note("from the owner")});
        ::pause();
    });
    owner.go();
    REQUIRE(eventually([&] { return std::filesystem::exists(dir.path() / "socket"); }));
    auto s = stage::open(dir.path());
    REQUIRE(eventually([&] { return s->list().size() == 1 && s->summary("notes").commits == 1; }));
    serving at(*s);
    owner.kill();
    CHECK(s->summary("notes").commits == 1);
    s->transact("notes", {note("after")});
    CHECK(s->summary("notes").commits == 2);
    // What was served through the owner is served again, at the same address.
    CHECK(eventually([&] {
        try {
            return stage::offers(at.address()).at(0).commits == 2;
        } catch (const error&) {
            return false;
        }
    }));
}

TEST_CASE("processes: a write after the owner has left goes through", "[peer]") {
    temporary_directory dir;
    auto owner = stage::open(dir.path());
    owner->create("notes");
    auto client = stage::open(dir.path());
    client->transact("notes", {note("a")});
    owner.reset();
    std::this_thread::sleep_for(30ms);
    client->transact("notes", {note("b")});
    CHECK(client->summary("notes").commits == 2);
}

TEST_CASE("processes: a client's wait ends when the owner's store changes", "[peer]") {
    temporary_directory dir;
    auto owner = stage::open(dir.path());
    owner->create("notes");
    auto client = stage::open(dir.path());
    auto waiting =
        std::async(std::launch::async, [&] { return client->wait_for_change("notes", 0, 10s); });
    owner->transact("notes", {note("a")});
    CHECK(waiting.get() == 1);
}

TEST_CASE("processes: a clone that is killed is finished by the next", "[peer]") {
    temporary_directory server_dir, clone_dir;
    const std::string address_file = (server_dir.path() / "address").string();
    child_process cloner([&] {
        FILE* f = fopen(address_file.c_str(), "r");
        char buffer[200] = {};
        (void)!fread(buffer, 1, sizeof buffer - 1, f);
        auto s = stage::open(clone_dir.path());
        s->clone(std::string(buffer) + "/notes", "", {false, [](const sync_progress& p) {
                                                          if (p.commits_in > 0) ::raise(SIGKILL);
                                                          return true;
                                                      }});
    });
    auto server = stage::open(server_dir.path() / "store");
    server->create("notes");
    for (int i = 0; i < 40; ++i) {
        std::vector<op> ops;
        for (int k = 0; k < 20; ++k)
            ops.push_back(note(std::string(5000, static_cast<char>('a' + k))));
        server->transact("notes", ops);
    }
    serving at(*server);
    FILE* f = fopen(address_file.c_str(), "w");
    fputs(at.address().c_str(), f);
    fclose(f);
    cloner.go();
    cloner.wait();
    auto s = stage::open(clone_dir.path());
    s->clone(at.address() + "/notes", "");
    CHECK(s->summary("notes").heads == server->summary("notes").heads);
    CHECK(s->summary("notes").commits == 40);
}
