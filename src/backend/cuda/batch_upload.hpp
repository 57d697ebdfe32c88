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

    /// Copies `batch` into a slot and, on the compute stream, unpacks it into `images` and `labels`.
    /// Waits only where the device is two batches behind.
    void load(const HostBatch& batch, void* images, std::int32_t* labels);

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
    };

    [[nodiscard]] Slot& slot_of(const HostBatch& batch);
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
};

}  // namespace layerledger::cuda
