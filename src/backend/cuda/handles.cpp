#include "handles.hpp"

#include <algorithm>
#include <mutex>

namespace layerledger::cuda {
namespace {

std::mutex counting;
DeviceMemoryCount counted;

}  // namespace

Stream::Stream(bool urgent) {
    int least = 0;
    int greatest = 0;
    LL_CUDA(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    LL_CUDA(
        cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, urgent ? greatest : least));
}

Stream::~Stream() {
    check_quietly(cudaStreamDestroy(stream_), "cudaStreamDestroy");
}

Event::Event(bool timed) {
    LL_CUDA(cudaEventCreateWithFlags(&event_, timed ? cudaEventDefault : cudaEventDisableTiming));
}

Event::~Event() {
    if (event_ != nullptr) {
        check_quietly(cudaEventDestroy(event_), "cudaEventDestroy");
    }
}

// From the delegation on the destructor frees what is there, also where zeros cannot be written.
DeviceMemory::DeviceMemory(std::size_t bytes) : DeviceMemory() {
    if (bytes > 0) {
        LL_CUDA(cudaMalloc(&data_, bytes));
        bytes_ = bytes;
        {
            const std::lock_guard lock(counting);
            counted.now += bytes;
            counted.peak = std::max(counted.peak, counted.now);
        }
        LL_CUDA(cudaMemset(data_, 0, bytes));
        LL_CUDA(cudaDeviceSynchronize());  // streams do not wait for the default one
    }
}

DeviceMemory::~DeviceMemory() {
    if (data_ != nullptr) {
        check_quietly(cudaFree(data_), "cudaFree");
        const std::lock_guard lock(counting);
        counted.now -= bytes_;
    }
}

DeviceMemoryCount device_memory_count() noexcept {
    const std::lock_guard lock(counting);
    return counted;
}

void restart_peak() noexcept {
    const std::lock_guard lock(counting);
    counted.peak = counted.now;
}

PinnedMemory::PinnedMemory(std::size_t bytes) {
    LL_CUDA(cudaMallocHost(&data_, bytes));
}

PinnedMemory::~PinnedMemory() {
    if (data_ != nullptr) {
        check_quietly(cudaFreeHost(data_), "cudaFreeHost");
    }
}

}  // namespace layerledger::cuda
