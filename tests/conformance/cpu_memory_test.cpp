// What compiling takes, against what was announced. On CPUs a process can see its own memory.
#include <malloc.h>
#include <unistd.h>

#include <fstream>

#include "conformance/backends.hpp"
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

}  // namespace
}  // namespace layerledger::conformance
