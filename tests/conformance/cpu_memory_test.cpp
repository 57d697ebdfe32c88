// What compiling takes, against what was announced. On CPUs a process can see its own memory.
#include <malloc.h>
#include <unistd.h>

#include <fstream>
#include <limits>

#include "conformance/backends.hpp"
#include "layerledger/network/builder.hpp"
#include "layerledger/network/zoo.hpp"
#include "layerledger/timeline/recorder.hpp"

namespace layerledger::conformance {
namespace {

double resident_bytes() {
    malloc_trim(0);  // what earlier networks gave back must not serve the next
    std::ifstream file("/proc/self/statm");
    double total = 0;
    double resident = 0;
    file >> total >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

void expect_estimate_holds(Backend& backend, const char* architecture,
                           const CompileOptions& options) {
    const Network network = make_network(architecture, {.image_size = 224});
    Recorder recorder(backend.marks(), {}, 0);
    const double before = resident_bytes();
    const auto ops = backend.compile(network, options, recorder);
    const double taken = resident_bytes() - before;
    const auto estimate = static_cast<double>(backend.estimate_bytes(network, options));
    EXPECT_NEAR(estimate / taken, 1.0, 0.2) << architecture << " takes " << taken;
}

TEST(CpuMemory, EstimateIsWithinAFifthOfTheTruth) {
    const auto backend = make_backend("cpu");
    expect_estimate_holds(*backend, "alexnet", {.batch = 16});
    expect_estimate_holds(*backend, "googlenet", {.batch = 4});
    expect_estimate_holds(*backend, "resnet50", {.batch = 2});
    CompileOptions inference{.batch = 4};
    inference.inference_only = true;
    expect_estimate_holds(*backend, "vgg11", inference);
}

// The third convolution of AlexNet: Winograd's algorithm keeps 36 floats of transformed weights for
// each pair of channels in scratch memory.
TEST(CpuMemory, ReportsTheScratchMemoryOfAConvolution) {
    NetworkBuilder net("convolution", {192, 13, 13}, 4);
    net.layer("conv3");
    const OpId conv = net.convolution(net.input(), {384, {.kernel = 3, .padding = 1}});
    net.layer("output");
    net.softmax_loss(net.fully_connected(conv, {.outputs = 4}));
    const Network network = std::move(net).build();
    const auto backend = make_backend("cpu");
    Recorder recorder(backend->marks(), {}, 0);
    const auto ops = backend->compile(network, {.batch = 4}, recorder);
    const Implementation implementation = ops->implementations()[conv.index()];
    if (implementation.algorithm.find("wino") == std::string::npos) {
        GTEST_SKIP() << "no Winograd kernels for this processor";
    }
    EXPECT_GE(implementation.workspace_bytes, 36U * 192 * 384 * sizeof(float));
}

// 64 channels of 224 x 224 floats for each of 10^13 images exceed 2^64 bytes.
TEST(CpuMemory, EstimateOfAnAbsurdBatchDoesNotWrapAround) {
    const auto backend = make_backend("cpu");
    const Network network = make_network("vgg16", {.image_size = 224});
    EXPECT_EQ(backend->estimate_bytes(network, {.batch = 10'000'000'000'000}),
              std::numeric_limits<std::size_t>::max());
}

}  // namespace
}  // namespace layerledger::conformance
