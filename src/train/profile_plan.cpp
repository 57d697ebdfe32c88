#include "layerledger/train/profile_plan.hpp"

namespace layerledger {
namespace {

constexpr std::int64_t pair_length = 2;

}  // namespace

Level ProfilePlan::at(std::int64_t iteration) const {
    const Level profiled = level == Level::kernel ? Level::layer : level;
    if (watch(iteration) != Watch::none) {
        return profiled;
    }
    if (rehearse && (overhead_check || every > 1) && iteration < warmup &&
        iteration >= warmup - pair_length) {
        return iteration == warmup - 1 ? Level::off : profiled;
    }
    if (!overhead_check || iteration < warmup) {
        return iteration % every == 0 ? profiled : Level::off;
    }
    const std::int64_t checked = iteration - warmup;
    // The order turns around from pair to pair, so that a machine that slows down or speeds up
    // favours neither side.
    const bool is_first = checked % pair_length == 0;
    const bool profiled_first = checked / pair_length % 2 == 0;
    return is_first == profiled_first ? profiled : Level::off;
}

Watch ProfilePlan::watch(std::int64_t iteration) const {
    if (level != Level::kernel || iteration < warmup) {
        return Watch::none;
    }
    switch ((iteration - warmup) % kernel_every) {
        case 0: return Watch::warm_up;
        case 1: return Watch::sampled;
        default: return Watch::none;
    }
}

std::optional<std::int64_t> ProfilePlan::pair(std::int64_t iteration) const {
    const std::int64_t checked = iteration - warmup;
    if (!overhead_check || checked < 0) {
        return std::nullopt;
    }
    return checked / pair_length;
}

}  // namespace layerledger
