#include "layerledger/train/learning_rate.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace layerledger {

double LearningRateSchedule::at(std::int64_t iteration) const {
    if (iteration < warmup) {
        return base * static_cast<double>(iteration + 1) / static_cast<double>(warmup + 1);
    }
    switch (decay) {
        case DecayKind::constant: return base;
        case DecayKind::step:
            return step_length > 0
                       ? base * std::pow(step_factor, static_cast<double>(iteration / step_length))
                       : base;
        case DecayKind::cosine: {
            const auto length = static_cast<double>(std::max<std::int64_t>(1, total - warmup));
            const double progress = std::min(1.0, static_cast<double>(iteration - warmup) / length);
            return base * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
        }
    }
    return base;
}

}  // namespace layerledger
