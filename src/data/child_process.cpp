#include "child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

namespace layerledger {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr int tick_ms = 100;
constexpr auto grace = 5s;  // between SIGTERM and SIGKILL: rsync puts partial files aside

void check(int status, const char* what) {
    if (status != 0) {
        throw std::system_error(status, std::generic_category(), what);
    }
}

class Descriptor {
public:
    explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() { close(); }
    void close() noexcept {
        if (fd_ >= 0) {
            ::close(std::exchange(fd_, -1));
        }
    }
    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }

private:
    int fd_;
};

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
            check(errno, "pipe2");
        }
        read = Descriptor(ends[0]);
        write = Descriptor(ends[1]);
    }
    Descriptor read, write;
};

// posix_spawn's two parameter blocks.
class SpawnPlan {
public:
    SpawnPlan() {
        check(posix_spawn_file_actions_init(&actions_), "posix_spawn_file_actions_init");
        check(posix_spawnattr_init(&attributes_), "posix_spawnattr_init");
        // The program starts as from a shell, whatever this process does with its signals.
        sigset_t set;
        sigemptyset(&set);
        check(posix_spawnattr_setsigmask(&attributes_, &set), "posix_spawnattr_setsigmask");
        sigfillset(&set);
        check(posix_spawnattr_setsigdefault(&attributes_, &set), "posix_spawnattr_setsigdefault");
        check(
            posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF),
            "posix_spawnattr_setflags");
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;
    ~SpawnPlan() {
        posix_spawn_file_actions_destroy(&actions_);
        posix_spawnattr_destroy(&attributes_);
    }
    /// `fd` is the program's `target`; the same number says: do not close it.
    void hand_over(int fd, int target) {
        check(posix_spawn_file_actions_adddup2(&actions_, fd, target),
              "posix_spawn_file_actions_adddup2");
    }
    [[nodiscard]] pid_t spawn(const ChildCommand& command);

private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> result;
    for (const std::string& one : texts) {
        result.push_back(const_cast<char*>(one.c_str()));  // NOLINT: posix_spawn changes nothing
    }
    result.push_back(nullptr);
    return result;
}

std::vector<std::string> merged_environment(const std::vector<std::string>& ours) {
    std::vector<std::string> all = ours;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view line = *entry;
        const std::string_view name = line.substr(0, line.find('=') + 1);
        if (std::none_of(ours.begin(), ours.end(),
                         [&](const std::string& one) { return one.starts_with(name); })) {
            all.emplace_back(line);
        }
    }
    return all;
}

pid_t SpawnPlan::spawn(const ChildCommand& command) {
    const std::vector<std::string> environment = merged_environment(command.environment);
    pid_t child = 0;
    check(posix_spawnp(&child, command.words.front().c_str(), &actions_, &attributes_,
                       pointers(command.words).data(), pointers(environment).data()),
          command.words.front().c_str());
    return child;
}

/// A started program. Its destructor leaves none behind.
class Child {
public:
    explicit Child(const ChildCommand& command) {
        Pipe in;
        Pipe out;
        Pipe err;
        SpawnPlan plan;
        plan.hand_over(in.read.get(), STDIN_FILENO);
        plan.hand_over(out.write.get(), STDOUT_FILENO);
        plan.hand_over(err.write.get(), STDERR_FILENO);
        for (const int fd : command.kept_open) {
            plan.hand_over(fd, fd);
        }
        pid_ = plan.spawn(command);
        input = std::move(in.write);
        output = std::move(out.read);
        errors = std::move(err.read);
        for (const Descriptor* end : {&input, &output, &errors}) {
            ::fcntl(end->get(), F_SETFL, O_NONBLOCK);
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() { end(); }

    /// True once it has ended; its status is kept.
    bool has_ended() {
        int status = 0;
        pid_t found = 0;
        while (pid_ > 0 && (found = ::waitpid(pid_, &status, WNOHANG)) < 0 && errno == EINTR) {
        }
        if (pid_ > 0 && found == pid_) {
            pid_ = 0;
            status_ = status;
        }
        return pid_ == 0;
    }
    /// SIGTERM, and SIGKILL where that does not help.
    void end() {
        for (const int signal : {SIGTERM, SIGKILL}) {
            if (has_ended()) {
                return;
            }
            ::kill(pid_, signal);
            ::kill(pid_, SIGCONT);
            const auto deadline = Clock::now() + grace;
            while (!has_ended() && Clock::now() < deadline) {
                std::this_thread::sleep_for(10ms);
            }
        }
    }
    [[nodiscard]] int status() const noexcept { return status_; }

    Descriptor input, output, errors;

private:
    pid_t pid_ = 0;
    int status_ = 0;
};

/// Reads what there is; closes at the end. True where a byte came.
bool drain(Descriptor& from, const std::function<void(std::string_view)>& sink) {
    std::array<char, 65536> buffer;  // NOLINT: read fills it
    bool any = false;
    for (;;) {
        const ssize_t count = ::read(from.get(), buffer.data(), buffer.size());
        if (count > 0) {
            any = true;
            sink({buffer.data(), static_cast<std::size_t>(count)});
        } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
            from.close();
            return any;
        } else if (errno == EAGAIN) {
            return any;
        }
    }
}

/// Writes what the pipe takes; closes after the last byte, or where nobody reads.
void feed(Descriptor& to, std::string_view& rest) {
    const ssize_t count = ::write(to.get(), rest.data(), rest.size());
    if (count >= 0) {
        rest.remove_prefix(static_cast<std::size_t>(count));
    }
    if (rest.empty() || (count < 0 && errno != EAGAIN && errno != EINTR)) {
        to.close();
    }
}

/// A pipe whose reader is gone is an error of `write` here, not the end of this process.
class NoBrokenPipe {
public:
    NoBrokenPipe() {
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    NoBrokenPipe(const NoBrokenPipe&) = delete;
    NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;
    ~NoBrokenPipe() {
        if (sigismember(&before_, SIGPIPE) == 0) {
            const timespec now{};
            while (sigtimedwait(&pipe_, nullptr, &now) > 0) {
            }
            pthread_sigmask(SIG_SETMASK, &before_, nullptr);
        }
    }

private:
    sigset_t pipe_{};
    sigset_t before_{};
};

}  // namespace

ChildEnd run_child(const ChildCommand& command, const ChildWatch& watch) {
    const NoBrokenPipe guard;
    Child child(command);
    std::string_view rest = command.input;
    if (rest.empty()) {
        child.input.close();
    }
    const auto read_all = [&] {
        const bool said = child.output.is_open() && drain(child.output, watch.output);
        const bool complained = child.errors.is_open() && drain(child.errors, watch.errors);
        return said || complained;
    };
    auto heard = Clock::now();
    while (!child.has_ended()) {
        const bool is_silent = Clock::now() - heard > watch.silence;
        if (is_silent || watch.stop()) {
            child.end();
            read_all();
            return {is_silent ? ChildEnd::Cause::silent : ChildEnd::Cause::stopped, 0};
        }
        std::array<pollfd, 3> ends{{{child.output.get(), POLLIN, 0},
                                    {child.errors.get(), POLLIN, 0},
                                    {child.input.get(), POLLOUT, 0}}};  // passes over closed ones
        const bool is_open = child.output.is_open() || child.errors.is_open();
        ::poll(ends.data(), ends.size(), is_open ? tick_ms : 1);
        if (ends[2].revents != 0) {
            feed(child.input, rest);
        }
        if (read_all()) {
            heard = Clock::now();
        }
    }
    read_all();  // but wait for no grandchild that still holds the pipes
    const int status = child.status();
    return WIFSIGNALED(status) ? ChildEnd{ChildEnd::Cause::killed, WTERMSIG(status)}
                               : ChildEnd{ChildEnd::Cause::exited, WEXITSTATUS(status)};
}

}  // namespace layerledger
