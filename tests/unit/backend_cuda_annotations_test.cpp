#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "nvtx_annotations.hpp"
#include "train_networks.hpp"

namespace layerledger::cuda {
namespace {

// NVTX looks for a tool once in a process: this is the one test of it in this program.
TEST(NvtxAnnotations, TellAToolWhatIsEnqueuedWithTheNamesOfTheFile) {
    const char* listener = std::getenv("NVTX_INJECTION64_PATH");
    ASSERT_NE(listener, nullptr) << "the test's environment names its listener";
    const Network network = testing::two_layers();
    NvtxAnnotations annotations;
    annotations.name(network, 3);
    {
        const Annotation iteration(annotations, std::int64_t{41});
        { const Annotation range(annotations, network.layers()[0].id, Phase::forward); }
        {
            const Annotation range(annotations, network.layers()[1].id, Phase::backward);
            const Annotation bucket(annotations, BucketId{2});
        }
    }
    void* library = dlopen(listener, RTLD_NOW | RTLD_NOLOAD);
    ASSERT_NE(library, nullptr) << "NVTX did not load the listener";
    const auto heard = reinterpret_cast<const char* (*)()>(dlsym(library, "nvtx_listener_heard"));
    ASSERT_NE(heard, nullptr);
    EXPECT_STREQ(heard(),
                 "domain layerledger\n"
                 "iteration 41\n"
                 "fc1 forward 0\nend\n"
                 "output backward 1\nall-reduce of bucket 2 2\nend\nend\n"
                 "end\n");
    dlclose(library);
}

}  // namespace
}  // namespace layerledger::cuda
