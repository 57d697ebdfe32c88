#include "watchdog.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/base/waited.hpp"

namespace layerledger {
namespace {

using namespace std::chrono_literals;

constexpr unsigned char no_signal = 0;

/// For the signal handler, which may do little more than write to it.
std::atomic<int> pipe_end{-1};

void pass_on(int signal) {
    const int error = errno;
    const auto number = static_cast<unsigned char>(signal);
    // A full pipe holds enough of them.
    [[maybe_unused]] const ssize_t written = ::write(pipe_end, &number, 1);
    errno = error;
}

}  // namespace

Watchdog::Watchdog(Orders orders) : orders_(std::move(orders)) {
    LL_VALIDATE(::pipe2(pipe_.data(), O_CLOEXEC | O_NONBLOCK) == 0, ExitCode::internal,
                text("cannot make a pipe (", std::strerror(errno), ") raise the limit of files"));
    pipe_end = pipe_[1];
    struct sigaction note {};
    note.sa_handler = pass_on;
    note.sa_flags = SA_RESTART;
    for (std::size_t i = 0; i < signals.size(); ++i) {
        sigaction(signals.at(i), nullptr, &before_.at(i));
        if (before_.at(i).sa_handler != SIG_IGN) {  // nohup means what it says
            sigaction(signals.at(i), &note, nullptr);
        }
    }
    thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
    for (std::size_t i = 0; i < signals.size(); ++i) {
        sigaction(signals.at(i), &before_.at(i), nullptr);
    }
    pass_on(no_signal);
    thread_.join();
    pipe_end = -1;
    ::close(pipe_[0]);
    ::close(pipe_[1]);
}

void Watchdog::watch() {
    const auto look = std::clamp<std::chrono::nanoseconds>(orders_.deadline / 50, 50ms, 1s);
    // Later than waits of the same deadline, sooner than those that waited have stopped listening.
    const std::chrono::nanoseconds limit =
        orders_.deadline + std::min<std::chrono::nanoseconds>(orders_.deadline / 16, 4s) + 200ms;
    Waited waited(2 * look);
    std::optional<std::uint64_t> pulse;
    for (;;) {
        pollfd end{pipe_[0], POLLIN, 0};
        const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(look).count();
        if (::poll(&end, 1, static_cast<int>(patience)) > 0) {
            unsigned char signal = no_signal;
            if (::read(pipe_[0], &signal, 1) != 1) {
                continue;
            }
            if (signal == no_signal) {
                return;
            }
            // Training may be asking for lost ranks, longer than a launcher waits.
            if (take_word() || !word_is_out_) {
                orders_.when_told_to_end(signal);
            }
            ::signal(signal, SIG_DFL);
            ::kill(::getpid(), signal);
            return;
        }
        const std::optional<std::uint64_t> now = orders_.pulse();
        if (!now || now != pulse) {
            pulse = now;
            waited = Waited(2 * look);
        } else if (const auto stuck = waited.look(); stuck > limit && take_word()) {
            orders_.when_stuck(stuck);
            return;
        }
    }
}

}  // namespace layerledger
