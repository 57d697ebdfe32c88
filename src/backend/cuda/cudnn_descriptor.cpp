#include "cudnn_descriptor.hpp"

#include <algorithm>

namespace layerledger::cuda {
namespace {

std::vector<cudnnBackendDescriptor_t> handles_of(const std::vector<CudnnDescriptor>& descriptors) {
    std::vector<cudnnBackendDescriptor_t> handles;
    for (const CudnnDescriptor& descriptor : descriptors) {
        handles.push_back(descriptor.get());
    }
    return handles;
}

}  // namespace

CudnnDescriptor::~CudnnDescriptor() {
    if (descriptor_ != nullptr) {
        static_cast<void>(cudnnBackendDestroyDescriptor(descriptor_));
    }
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name,
                          const std::vector<CudnnDescriptor>& others) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, others.size(), handles_of(others).data());
}

void CudnnDescriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                          std::size_t count, const void* values) {
    LL_CUDNN(cudnnBackendSetAttribute(descriptor_, name, type, static_cast<std::int64_t>(count),
                                      values));
}

std::size_t CudnnDescriptor::read(cudnnBackendAttributeName_t name,
                                  cudnnBackendAttributeType_t type, std::size_t most,
                                  void* values) const {
    std::int64_t count = 0;
    LL_CUDNN(cudnnBackendGetAttribute(descriptor_, name, type, static_cast<std::int64_t>(most),
                                      &count, values));
    return std::min(static_cast<std::size_t>(count), most);
}

// cuDNN fills descriptors that the caller has made.
std::vector<CudnnDescriptor> CudnnDescriptor::descriptors(cudnnBackendAttributeName_t name,
                                                          cudnnBackendDescriptorType_t type,
                                                          std::size_t most) const {
    std::vector<CudnnDescriptor> all;
    while (all.size() < most) {
        all.emplace_back(type);
    }
    std::vector<cudnnBackendDescriptor_t> handles = handles_of(all);
    const std::size_t count = read(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, handles.data());
    all.erase(all.begin() + static_cast<std::ptrdiff_t>(count), all.end());
    return all;
}

}  // namespace layerledger::cuda
