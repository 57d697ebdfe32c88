// A value that kernels of a captured graph read where it lies, and the host changes between two
// launches.
#pragma once

#include <cstddef>

#include "handles.hpp"

namespace layerledger::cuda {

template <class T>
class DeviceValue {
public:
    DeviceValue() : sent_(slots * sizeof(T)), value_(sizeof(T)) {}

    [[nodiscard]] const T* get() const noexcept { return value_.template as<T>(); }

    /// What is enqueued on `stream` from now on reads `value`.
    void send(const T& value, const Stream& stream) {
        T* const slot = sent_.template as<T>() + next_;
        next_ = (next_ + 1) % slots;
        *slot = value;
        LL_CUDA(cudaMemcpyAsync(value_.data(), slot, sizeof(T), cudaMemcpyHostToDevice,
                                stream.get()));
    }

private:
    static constexpr std::size_t slots = 16;  // more than a host is iterations ahead of its device

    PinnedMemory sent_;
    DeviceMemory value_;
    std::size_t next_ = 0;
};

}  // namespace layerledger::cuda
