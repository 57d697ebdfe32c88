// Batches on their way to the GPU.
#pragma once

#include <vector>

#include "gpu.hpp"
#include "handles.hpp"
#include "kernels/kernels.hpp"
#include "layerledger/timeline/recorder.hpp"

namespace layerledger::cuda {

/// Two slots of pinned host memory and of device memory each: while the GPU works on one batch the
/// next one is copied, on the copy stream. A batch that is still in a slot by its name is not
/// copied again.
class BatchUpload {
public:
    BatchUpload(Gpu& gpu, Recorder& recorder, std::int64_t images, std::int64_t channels,
                kernels::Extent packed, kernels::Type type);

    /// Copies `batch` into a slot's pinned memory, which takes the host as long as the way to the
    /// device takes, or longer. Waits only where the device is two batches behind.
    void stage(const HostBatch& batch);
    [[nodiscard]] bool is_staged() const noexcept { return staged_ != nullptr; }

    /// Copies the staged batch to the device and, on the compute stream, unpacks it into `images`
    /// and `labels`.
    void load(void* images, std::int32_t* labels);

private:
    struct Slot {
        Slot(std::size_t image_bytes, std::size_t label_bytes);

        PinnedMemory host_images;
        PinnedMemory host_labels;
        DeviceMemory images;
        DeviceMemory labels;
        Event copied;
        Event unpacked;
        std::uint64_t name = 0;  // of the batch in it
        bool is_on_device = false;
    };

    void copy(Slot& slot);

    Gpu& gpu_;
    Recorder& recorder_;
    std::int64_t channels_;
    kernels::Extent packed_;
    kernels::Type type_;
    std::size_t image_bytes_;
    std::size_t label_bytes_;
    std::vector<Slot> slots_;
    std::size_t next_ = 0;
    Slot* staged_ = nullptr;
};

}  // namespace layerledger::cuda
