// oneDNN (version 2), and the few words in which the rest of this room speaks of it.
#pragma once

#include <algorithm>
#include <functional>
#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "layerledger/base/error.hpp"
#include "layerledger/network/network.hpp"

namespace layerledger::cpu {

using Memory = dnnl::memory;
using Desc = dnnl::memory::desc;
using Dims = dnnl::memory::dims;
using DataType = dnnl::memory::data_type;
using Tag = dnnl::memory::format_tag;

[[nodiscard]] inline Dims batch_dims(std::int64_t batch, const Shape& shape) {
    return {batch, shape.channels, shape.height, shape.width};
}

/// The same extents, in whatever layout a primitive likes best.
[[nodiscard]] inline Desc any_layout(const Desc& desc, DataType type) {
    return {desc.dims(), type, Tag::any};
}

/// The same extents as row-major [N, C, H, W].
[[nodiscard]] inline Desc plain_layout(const Desc& desc, DataType type) {
    return {desc.dims(), type, Tag::nchw};
}

/// The same layout with fp32 elements.
[[nodiscard]] inline Desc as_fp32(Desc desc) {
    desc.data.data_type = dnnl_f32;
    return desc;
}

/// The same layout with elements of one byte.
[[nodiscard]] inline Desc as_bytes(Desc desc) {
    desc.data.data_type = dnnl_u8;
    return desc;
}

[[nodiscard]] inline float* floats(const Memory& memory) {
    return static_cast<float*>(memory.get_data_handle());
}

/// Work in order: oneDNN primitives with their arguments, and kernels of our own.
class Sequence {
public:
    using Argument = std::pair<int, Memory>;

    void add(std::function<void()> kernel) { steps_.push_back(std::move(kernel)); }
    void add(const dnnl::primitive& primitive, const dnnl::stream& stream,
             const std::vector<Argument>& arguments);

    /// One of the primitives needs this much scratch memory while it runs.
    void need_scratch(std::size_t bytes) { scratch_bytes_ = std::max(scratch_bytes_, bytes); }
    /// The most that any of them needs.
    [[nodiscard]] std::size_t scratch_bytes() const noexcept { return scratch_bytes_; }

    void run() const {
        for (const auto& step : steps_) {
            step();
        }
    }

private:
    std::vector<std::function<void()>> steps_;
    std::size_t scratch_bytes_ = 0;
};

/// Calls `work`; a failure of oneDNN inside becomes an Error that names the operation.
template <class Work>
decltype(auto) naming(std::string_view operation, const Work& work) {
    try {
        return work();
    } catch (const dnnl::error& failure) {
        throw Error(
            failure.status == dnnl_unimplemented ? ExitCode::unavailable : ExitCode::internal,
            {"oneDNN", static_cast<int>(failure.status), operation}, failure.what());
    }
}

}  // namespace layerledger::cpu
