#include "batch_upload.hpp"

#include <cstring>
#include <utility>

#include "layerledger/base/contract.hpp"

namespace layerledger::cuda {

BatchUpload::Slot::Slot(std::size_t image_bytes, std::size_t label_bytes)
    : host_images(image_bytes),
      host_labels(label_bytes),
      images(image_bytes),
      labels(label_bytes) {}

BatchUpload::BatchUpload(Gpu& gpu, Recorder& recorder, std::int64_t images, std::int64_t channels,
                         kernels::Extent packed, kernels::Type type)
    : gpu_(gpu),
      recorder_(recorder),
      channels_(channels),
      packed_(packed),
      type_(type),
      image_bytes_(static_cast<std::size_t>(packed.pixels() * channels) * sizeof(float)),
      label_bytes_(static_cast<std::size_t>(images) * sizeof(std::int32_t)) {
    for (int i = 0; i < 2; ++i) {
        slots_.emplace_back(image_bytes_, label_bytes_);
    }
}

void BatchUpload::stage(const HostBatch& batch) {
    for (Slot& slot : slots_) {
        if (batch.name != 0 && slot.name == batch.name) {
            staged_ = &slot;
            return;
        }
    }
    Slot& slot = slots_[next_];
    next_ = (next_ + 1) % slots_.size();
    slot.name = batch.name;
    slot.is_on_device = false;
    slot.copied.synchronize();  // until then the pinned memory is read
    std::memcpy(slot.host_images.as<float>(), batch.images.data(), image_bytes_);
    std::memcpy(slot.host_labels.as<std::int32_t>(), batch.labels.data(), label_bytes_);
    staged_ = &slot;
}

void BatchUpload::load(void* images, std::int32_t* labels) {
    LL_EXPECT(is_staged());
    Slot& slot = *std::exchange(staged_, nullptr);
    if (!slot.is_on_device) {
        copy(slot);
    }
    const cudaStream_t compute = gpu_.compute().get();
    kernels::pack_images(slot.images.as<float>(), channels_, type_, images, packed_, compute);
    LL_CUDA(cudaMemcpyAsync(labels, slot.labels.data(), label_bytes_, cudaMemcpyDeviceToDevice,
                            compute));
    slot.unpacked.record(gpu_.compute());
}

void BatchUpload::copy(Slot& slot) {
    slot.unpacked.hold(gpu_.copies());
    CopySpan* const span = recorder_.copy();
    if (span != nullptr) {
        span->start = gpu_.marks().mark_on(gpu_.copies());
    }
    LL_CUDA(cudaMemcpyAsync(slot.images.data(), slot.host_images.as<void>(), image_bytes_,
                            cudaMemcpyHostToDevice, gpu_.copies().get()));
    LL_CUDA(cudaMemcpyAsync(slot.labels.data(), slot.host_labels.as<void>(), label_bytes_,
                            cudaMemcpyHostToDevice, gpu_.copies().get()));
    if (span != nullptr) {
        span->end = gpu_.marks().mark_on(gpu_.copies());
    }
    slot.copied.record(gpu_.copies());
    slot.copied.hold(gpu_.compute());
    slot.is_on_device = true;
}

}  // namespace layerledger::cuda
