// Owner of a descriptor of cuDNN's graph interface: an object of attributes that is finalized once.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "cuda_error.hpp"

namespace layerledger::cuda {

class CudnnDescriptor {
public:
    explicit CudnnDescriptor(cudnnBackendDescriptorType_t type) {
        LL_CUDNN(cudnnBackendCreateDescriptor(type, &descriptor_));
    }
    CudnnDescriptor(CudnnDescriptor&& other) noexcept
        : descriptor_(std::exchange(other.descriptor_, nullptr)) {}
    CudnnDescriptor& operator=(CudnnDescriptor&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~CudnnDescriptor();

    [[nodiscard]] cudnnBackendDescriptor_t get() const noexcept { return descriptor_; }

    template <class T>
    void set(cudnnBackendAttributeName_t name, const T& value) {
        set(name, type_of(value), 1, &value);
    }
    template <class T, std::size_t count>
    void set(cudnnBackendAttributeName_t name, const std::array<T, count>& values) {
        set(name, type_of(values[0]), count, values.data());
    }
    void set(cudnnBackendAttributeName_t name, const CudnnDescriptor& other) {
        set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &other.descriptor_);
    }
    void set(cudnnBackendAttributeName_t name, const std::vector<CudnnDescriptor>& others);
    void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::size_t count,
             const void* values);
    void finalize() { LL_CUDNN(cudnnBackendFinalize(descriptor_)); }

    template <class T>
    [[nodiscard]] T value(cudnnBackendAttributeName_t name) const {
        T value{};
        static_cast<void>(read(name, type_of(value), 1, &value));
        return value;
    }
    /// At most `most` of them.
    template <class T>
    [[nodiscard]] std::vector<T> values(cudnnBackendAttributeName_t name, std::size_t most) const {
        std::vector<T> values(most);
        values.resize(read(name, type_of(values[0]), most, values.data()));
        return values;
    }
    [[nodiscard]] std::vector<CudnnDescriptor> descriptors(cudnnBackendAttributeName_t name,
                                                           cudnnBackendDescriptorType_t type,
                                                           std::size_t most) const;

private:
    static constexpr auto type_of(std::int64_t) { return CUDNN_TYPE_INT64; }
    static constexpr auto type_of(float) { return CUDNN_TYPE_FLOAT; }
    static constexpr auto type_of(void*) { return CUDNN_TYPE_VOID_PTR; }
    static constexpr auto type_of(cudnnHandle_t) { return CUDNN_TYPE_HANDLE; }
    static constexpr auto type_of(cudnnDataType_t) { return CUDNN_TYPE_DATA_TYPE; }
    static constexpr auto type_of(cudnnConvolutionMode_t) { return CUDNN_TYPE_CONVOLUTION_MODE; }
    static constexpr auto type_of(cudnnBackendHeurMode_t) { return CUDNN_TYPE_HEUR_MODE; }
    static constexpr auto type_of(cudnnBackendKnobType_t) { return CUDNN_TYPE_KNOB_TYPE; }
    static constexpr auto type_of(cudnnBackendNumericalNote_t) { return CUDNN_TYPE_NUMERICAL_NOTE; }

    /// How many there are.
    [[nodiscard]] std::size_t read(cudnnBackendAttributeName_t name,
                                   cudnnBackendAttributeType_t type, std::size_t most,
                                   void* values) const;

    cudnnBackendDescriptor_t descriptor_ = nullptr;
};

}  // namespace layerledger::cuda
