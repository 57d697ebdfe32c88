// What the training thread is doing, for messages: one relaxed store where something begins.
#pragma once

#include <atomic>
#include <cstdint>

#include "layerledger/base/ids.hpp"

namespace layerledger {

enum class Doing : std::uint8_t {
    starting,
    input,
    forward,
    backward,
    gradients,
    update,
    rest,
    pause,  ///< from here on in no iteration
    validating,
    saving,
};

/// Where one rank may work long while the others wait.
[[nodiscard]] constexpr bool is_outside_iterations(Doing doing) noexcept {
    return doing == Doing::starting || doing >= Doing::pause;
}

/// Written by one thread, read by any.
class Whereabouts {
public:
    struct Place {
        std::int64_t iteration = 0;
        Doing doing = Doing::starting;
        std::int32_t layer = 0;  ///< of forward, backward and update
    };

    void enter(std::int64_t iteration) noexcept {
        iteration_ = static_cast<std::uint64_t>(iteration) << iteration_shift;
    }
    void enter(Doing doing, LayerId layer = LayerId{0}) noexcept {
        now_.store(iteration_ | (static_cast<std::uint64_t>(doing) << doing_shift) |
                       static_cast<std::uint16_t>(layer.value),
                   std::memory_order_relaxed);
    }

    /// Another number in every place: while it changes, training goes on.
    [[nodiscard]] std::uint64_t pulse() const noexcept {
        return now_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] Place place() const noexcept {
        return place_of(now_.load(std::memory_order_relaxed));
    }
    /// What a pulse says.
    [[nodiscard]] static Place place_of(std::uint64_t now) noexcept {
        return {static_cast<std::int64_t>(now >> iteration_shift),
                static_cast<Doing>((now >> doing_shift) & 0xFFU),
                static_cast<std::int32_t>(now & 0xFFFFU)};
    }

private:
    static constexpr unsigned doing_shift = 16;
    static constexpr unsigned iteration_shift = 24;

    std::uint64_t iteration_ = 0;
    std::atomic<std::uint64_t> now_{0};  // iteration, what, layer
};

}  // namespace layerledger
