// Element types of tensors, for kernels of our own.
#pragma once

#include <bit>
#include <cstdint>

#include "onednn.hpp"

namespace layerledger::cpu {

/// A float's upper half, rounded to nearest even.
class Bf16 {
public:
    Bf16() = default;
    explicit Bf16(float value) noexcept {
        const auto bits = std::bit_cast<std::uint32_t>(value);
        bits_ = static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
    }
    explicit operator float() const noexcept {
        return std::bit_cast<float>(static_cast<std::uint32_t>(bits_) << 16);
    }

private:
    std::uint16_t bits_;
};

/// Calls work(Element{}) with the type that `type` stands for.
template <class Work>
void with_element(DataType type, const Work& work) {
    if (type == DataType::bf16) {
        work(Bf16{});
    } else {
        work(float{});
    }
}

/// y[i] = function(i, x[i]) on all threads; function takes and returns floats.
template <class Element, class Function>
void transform_parallel(std::int64_t count, const Element* x, Element* y,
                        const Function& function) {
#pragma omp parallel for simd schedule(static)
    for (std::int64_t i = 0; i < count; ++i) {
        y[i] = static_cast<Element>(function(i, static_cast<float>(x[i])));
    }
}

}  // namespace layerledger::cpu
