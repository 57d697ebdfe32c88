#include "stop_signals.hpp"

#include <signal.h>

namespace layerledger {
namespace {

volatile std::sig_atomic_t caught_signal = 0;

}  // namespace

StopSignals::StopSignals() {
    caught_signal = 0;
    struct sigaction note {};
    note.sa_handler = [](int signal) { caught_signal = signal; };
    note.sa_flags = SA_RESTART;
    for (std::size_t i = 0; i < signals.size(); ++i) {
        sigaction(signals.at(i), nullptr, &before_.at(i));
        if (before_.at(i).sa_handler != SIG_IGN) {  // nohup means what it says
            sigaction(signals.at(i), &note, nullptr);
        }
    }
}

StopSignals::~StopSignals() {
    for (std::size_t i = 0; i < signals.size(); ++i) {
        sigaction(signals.at(i), &before_.at(i), nullptr);
    }
}

int StopSignals::caught() noexcept {
    return caught_signal;
}

}  // namespace layerledger
