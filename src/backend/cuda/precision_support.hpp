// Which precisions a GPU computes in.
#pragma once

#include <string>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/device/backend.hpp"

namespace layerledger::cuda {

/// Throws Error{unavailable} where a GPU of compute capability `major`.`minor` lacks `precision`.
inline void require_precision(Precision precision, const std::string& gpu, int major, int minor) {
    constexpr int ampere = 8;
    LL_VALIDATE(
        precision == Precision::fp32 || major >= ampere, ExitCode::unavailable,
        text("precision ", precision == Precision::tf32 ? "tf32" : "bf16", " is not supported by ",
             gpu, " (it came with compute capability 8.0, this is ", major, ".", minor,
             ") use train.precision=fp32"));
}

}  // namespace layerledger::cuda
