// Owners of what CUDA hands out: streams, events, memory.
#pragma once

#include <cstddef>
#include <utility>

#include "cuda_error.hpp"

namespace layerledger::cuda {

class Stream {
public:
    /// `urgent`: the device prefers its kernels to those of other streams.
    explicit Stream(bool urgent = false);
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream();

    [[nodiscard]] cudaStream_t get() const noexcept { return stream_; }
    void synchronize() const { LL_CUDA(cudaStreamSynchronize(stream_)); }

private:
    cudaStream_t stream_ = nullptr;
};

class Event {
public:
    /// `timed`: its moment can be asked for; costs a few times as much to record.
    explicit Event(bool timed = false);
    Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
    Event& operator=(Event&&) = delete;
    ~Event();

    [[nodiscard]] cudaEvent_t get() const noexcept { return event_; }
    void record(const Stream& stream) const { LL_CUDA(cudaEventRecord(event_, stream.get())); }
    /// What is enqueued on `stream` from now on waits for the newest record.
    void hold(const Stream& stream) const { LL_CUDA(cudaStreamWaitEvent(stream.get(), event_, 0)); }
    void synchronize() const { LL_CUDA(cudaEventSynchronize(event_)); }

private:
    cudaEvent_t event_ = nullptr;
};

/// Zero-initialised memory of the device.
class DeviceMemory {
public:
    DeviceMemory() = default;
    explicit DeviceMemory(std::size_t bytes);
    DeviceMemory(DeviceMemory&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    DeviceMemory& operator=(DeviceMemory&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~DeviceMemory();

    [[nodiscard]] void* data() const noexcept { return data_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    template <class T>
    [[nodiscard]] T* as() const noexcept {
        return static_cast<T*>(data_);
    }

private:
    void* data_ = nullptr;
    std::size_t bytes_ = 0;
};

/// Bytes of all DeviceMemory of this process.
struct DeviceMemoryCount {
    std::size_t now = 0;
    std::size_t peak = 0;  ///< since the last `restart_peak`
};
[[nodiscard]] DeviceMemoryCount device_memory_count() noexcept;
void restart_peak() noexcept;

/// Host memory that the device copies from and to by itself.
class PinnedMemory {
public:
    explicit PinnedMemory(std::size_t bytes);
    PinnedMemory(PinnedMemory&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
    PinnedMemory& operator=(PinnedMemory&&) = delete;
    ~PinnedMemory();

    template <class T>
    [[nodiscard]] T* as() const noexcept {
        return static_cast<T*>(data_);
    }

private:
    void* data_ = nullptr;
};

}  // namespace layerledger::cuda
