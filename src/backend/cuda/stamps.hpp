// Moments of the compute stream on the device's own clock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "handles.hpp"

namespace layerledger::cuda {

/// Kernels of one thread write them. On an H200 one takes a quarter of the time that a timed event
/// takes out of a stream (tests/gpu/RESULTS.md).
class Stamps {
public:
    /// Whether they can be had: if `wanted`, if the device launches kernels early, and if its clock
    /// is about as fine as that of events.
    Stamps(const Stream& compute, bool wanted);

    [[nodiscard]] bool usable() const noexcept { return usable_; }
    /// How marks are made, for the record.
    [[nodiscard]] const std::string& description() const noexcept { return description_; }

    /// A ring of as many; what was in another one is lost.
    void provide(std::size_t count);
    /// One beside the ring, which costs an eager stream more, and a graph as much.
    [[nodiscard]] std::size_t add();
    /// Before a capture, which forbids to allocate.
    void make_room();

    void write(std::size_t number) const noexcept;
    /// The same in a capture of the compute stream, which it gives a node of its own.
    void write_captured(std::size_t number) const noexcept;
    /// Lets that node write another one in an executable of its graph.
    void redirect(cudaGraphExec_t executable, cudaGraphNode_t node, std::size_t number) const;

    /// Of the ring, which lies in the device's memory.
    void publish(std::size_t first, std::size_t count) const noexcept;
    [[nodiscard]] std::int64_t ns(std::size_t number) const noexcept;

private:
    static constexpr std::size_t beside = std::size_t{1} << 32U;
    static constexpr std::size_t chunk = 16384;  // more than the marks of one capture

    [[nodiscard]] unsigned long long* beside_ring(std::size_t number) const noexcept {
        const std::size_t index = number - beside;
        return chunks_[index / chunk].as<unsigned long long>() + index % chunk;
    }
    [[nodiscard]] unsigned long long* address(std::size_t number) const noexcept {
        return number < beside ? ring_.as<unsigned long long>() + number : beside_ring(number);
    }

    const Stream& compute_;
    bool usable_ = false;
    std::string description_ = "events";
    DeviceMemory ring_;
    std::vector<PinnedMemory> published_;  // the ring's, once there is one
    std::vector<PinnedMemory> chunks_;     // what is beside it stays where it is
    std::size_t added_ = 0;
};

}  // namespace layerledger::cuda
