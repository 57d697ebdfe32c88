#include "nvtx_annotations.hpp"

#include "layerledger/base/text.hpp"

namespace layerledger::cuda {

NvtxAnnotations::NvtxAnnotations() : domain_(nvtxDomainCreateA("layerledger")) {}

NvtxAnnotations::~NvtxAnnotations() {
    if (domain_ != nullptr) {
        nvtxDomainDestroy(domain_);
    }
}

void NvtxAnnotations::name(const Network& network, std::size_t buckets) {
    layers_.clear();
    buckets_.clear();
    if (domain_ == nullptr) {
        return;
    }
    const auto registered = [this](const std::string& name) {
        return nvtxDomainRegisterStringA(domain_, name.c_str());
    };
    iteration_ = registered("iteration");
    for (const Layer& layer : network.layers()) {
        std::array<nvtxStringHandle_t, 3>& names = layers_.emplace_back();
        for (const Phase phase : phases) {
            names[index(phase)] = registered(text(layer.name, " ", layerledger::name(phase)));
        }
    }
    for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
        buckets_.push_back(registered(text("all-reduce of bucket ", bucket)));
    }
}

void NvtxAnnotations::push(nvtxStringHandle_t name, std::int64_t number) noexcept {
    nvtxEventAttributes_t range{};
    range.version = NVTX_VERSION;
    range.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    range.messageType = NVTX_MESSAGE_TYPE_REGISTERED;
    range.message.registered = name;
    range.payloadType = NVTX_PAYLOAD_TYPE_INT64;
    range.payload.llValue = number;
    nvtxDomainRangePushEx(domain_, &range);
}

void NvtxAnnotations::enter_iteration(std::int64_t iteration) noexcept {
    if (domain_ != nullptr) {
        push(iteration_, iteration);
    }
}

void NvtxAnnotations::enter(LayerId layer, Phase phase) noexcept {
    if (domain_ != nullptr) {
        push(layers_[layer.index()][index(phase)], layer.value);
    }
}

void NvtxAnnotations::enter(BucketId bucket) noexcept {
    if (domain_ != nullptr) {
        push(buckets_[bucket.index()], bucket.value);
    }
}

void NvtxAnnotations::leave() noexcept {
    if (domain_ != nullptr) {
        nvtxDomainRangePop(domain_);
    }
}

}  // namespace layerledger::cuda
