// What compiling takes of a GPU's memory, against what was announced.
#include <algorithm>
#include <limits>
#include <vector>

#include "conformance/backends.hpp"
#include "layerledger/network/zoo.hpp"
#include "layerledger/timeline/recorder.hpp"

namespace layerledger::conformance {
namespace {

class GpuMemory : public testing::Test {
protected:
    void SetUp() override {
        if (const std::string why = why_unavailable("cuda"); !why.empty()) {
            GTEST_SKIP() << why;
        }
        backend_ = make_backend("cuda");
    }

    void expect_estimate_holds(const char* architecture, const CompileOptions& options) {
        const Network network = make_network(architecture, {.image_size = 224});
        Recorder recorder(backend_->marks(), {}, 0);
        const double before = backend_->memory_use().peak_bytes;
        const auto ops = backend_->compile(network, options, recorder);
        std::vector<std::size_t> offsets;
        std::size_t floats = 0;
        for (const std::size_t storage : ops->parameter_storage()) {
            offsets.push_back(floats);
            floats += storage;
        }
        const auto parameters = backend_->allocate(floats);
        const auto gradients = backend_->allocate(floats);
        ops->bind(parameters->span(), gradients->span(), offsets);  // bf16 keeps a copy of them
        const double arenas = 2.0 * static_cast<double>(floats) * sizeof(float);
        const double taken = backend_->memory_use().peak_bytes - before - arenas;
        double workspace = 0;  // known only once cuDNN's algorithms are chosen
        for (const Implementation& one : ops->implementations()) {
            workspace = std::max(workspace, static_cast<double>(one.workspace_bytes));
        }
        const auto estimate = static_cast<double>(backend_->estimate_bytes(network, options));
        constexpr double small_things = 64 << 20;
        EXPECT_GE(estimate, taken - workspace - small_things) << architecture;
        EXPECT_LE(estimate, 1.35 * taken) << architecture;
    }

    std::unique_ptr<Backend> backend_;
};

TEST_F(GpuMemory, EstimateIsCloseToWhatTrainingTakes) {
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
        expect_estimate_holds("alexnet", {.batch = 128, .precision = precision});
        expect_estimate_holds("googlenet", {.batch = 64, .precision = precision});
        expect_estimate_holds("resnet50", {.batch = 32, .precision = precision});
        expect_estimate_holds("vgg11", {.batch = 16, .precision = precision});
    }
}

TEST_F(GpuMemory, IsGivenBackAndWhatLibrariesTakeIsCountedApart) {
    const DeviceMemoryUse before = backend_->memory_use();
    constexpr std::size_t floats = std::size_t{64} << 20U;
    {
        const auto buffer = backend_->allocate(floats);
        const DeviceMemoryUse with = backend_->memory_use();
        EXPECT_EQ(with.peak_bytes, before.peak_bytes + floats * sizeof(float));
        EXPECT_LT(with.library_bytes, before.library_bytes + (64 << 20));
    }
    EXPECT_EQ(backend_->memory_use().peak_bytes, before.peak_bytes + floats * sizeof(float));
}

TEST_F(GpuMemory, EstimateOfAnAbsurdBatchDoesNotWrapAround) {
    const Network network = make_network("vgg16", {.image_size = 224});
    EXPECT_EQ(backend_->estimate_bytes(network, {.batch = 10'000'000'000'000}),
              std::numeric_limits<std::size_t>::max());
}

}  // namespace
}  // namespace layerledger::conformance
