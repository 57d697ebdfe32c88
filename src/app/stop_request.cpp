#include "stop_request.hpp"

#include <signal.h>

namespace layerledger {
namespace {

volatile sig_atomic_t requested = 0;

void note(int) {
    requested = 1;
}

}  // namespace

void listen_for_stop_requests() noexcept {
    struct sigaction action {};
    action.sa_handler = note;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, nullptr);
}

bool is_stop_requested() noexcept {
    return requested != 0;
}

}  // namespace layerledger
