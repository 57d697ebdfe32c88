// Convolutions as cuDNN plans them, for a GPU that is only described: no plan runs here.
#include "convolution_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "layerledger/base/error.hpp"

namespace layerledger::cuda {
namespace {

constexpr std::string_view h200 =
    R"({"deviceVer":900,"driverVer":13000,"cudaDeviceId":0,"totalGlobalMem":150754820096,)"
    R"("maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],)"
    R"("regsPerBlock":65536,"multiProcessorCount":132,"smClockRateKHz":1980000,)"
    R"("memClockRateKHz":3201000,"l2CacheSize":62914560,"warpSize":32,)"
    R"("maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":232448,)"
    R"("reservedSharedMemoryPerBlock":1024,"maxRegistersPerSM":65536,"pciDeviceId":0,)"
    R"("maxCtasPerSM":32,"maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,"isTccDriver":0,)"
    R"("supportCoopLaunch":1,"deviceName":"NVIDIA H200"})";

class ConvolutionPlans : public testing::Test {
protected:
    ConvolutionPlans() {
        device_.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, h200.size(),
                    h200.data());
        device_.finalize();
    }

    [[nodiscard]] std::vector<std::string> proposals(const ConvolutionProblem& problem) const {
        return proposed_engines(device_, problem, CUDNN_HEUR_MODE_A);
    }
    [[nodiscard]] std::size_t on_tensor_cores(const ConvolutionProblem& problem) const {
        const auto engines = proposals(problem);
        return static_cast<std::size_t>(
            std::count_if(engines.begin(), engines.end(), [&](const std::string& engine) {
                return ConvolutionPlan(device_, problem, engine).name() ==
                       engine + " on tensor cores";
            }));
    }

    CudnnDescriptor device_{CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR};
};

constexpr ConvolutionProblem of_googlenet(Precision precision) {
    const kernels::Type type =
        precision == Precision::bf16 ? kernels::Type::bf16 : kernels::Type::fp32;
    return {.x = {128, 14, 14, 96},
            .y = {128, 14, 14, 208},
            .kernel = 3,
            .padding = 1,
            .type = type,
            .precision = precision};
}

TEST_F(ConvolutionPlans, ExistInAllDirectionsPrecisionsAndGroups) {
    for (const Precision precision : {Precision::fp32, Precision::tf32, Precision::bf16}) {
        for (const Direction direction :
             {Direction::forward, Direction::data, Direction::weights}) {
            for (const std::int64_t groups : {1, 2}) {
                ConvolutionProblem problem = of_googlenet(precision);
                problem.direction = direction;
                problem.groups = groups;
                problem.accumulate = direction == Direction::data;
                problem.deterministic = groups == 2;
                SCOPED_TRACE(to_text(problem));
                const auto engines = proposals(problem);
                ASSERT_FALSE(engines.empty());
                for (const std::string& engine : engines) {
                    EXPECT_NO_THROW(ConvolutionPlan(device_, problem, engine)) << engine;
                }
            }
        }
    }
}

TEST_F(ConvolutionPlans, KeepTrueFp32OffTensorCores) {
    EXPECT_EQ(on_tensor_cores(of_googlenet(Precision::fp32)), 0);
    EXPECT_GT(on_tensor_cores(of_googlenet(Precision::tf32)), 0);
    EXPECT_GT(on_tensor_cores(of_googlenet(Precision::bf16)), 0);
}

TEST_F(ConvolutionPlans, LeaveOutEnginesWhoseResultsVaryWhereTheyMustNot) {
    ConvolutionProblem problem = of_googlenet(Precision::fp32);
    problem.direction = Direction::weights;
    const auto all = proposals(problem);
    problem.deterministic = true;
    const auto some = proposals(problem);
    EXPECT_LT(some.size(), all.size());
    for (const std::string& engine : some) {
        EXPECT_NE(std::find(all.begin(), all.end(), engine), all.end()) << engine;
    }
}

TEST_F(ConvolutionPlans, ProposeEachEngineOnce) {
    auto engines = proposals(of_googlenet(Precision::bf16));
    ASSERT_FALSE(engines.empty());
    std::sort(engines.begin(), engines.end());
    EXPECT_EQ(std::adjacent_find(engines.begin(), engines.end()), engines.end());
}

TEST_F(ConvolutionPlans, RefuseWhatIsNoEngine) {
    const ConvolutionProblem problem = of_googlenet(Precision::bf16);
    for (const char* engine : {"", "engine", "engine 99999", "engine 0 (k2=77)", "winograd"}) {
        EXPECT_THROW(ConvolutionPlan(device_, problem, engine), Error) << engine;
    }
}

TEST(ConvolutionText, NamesShapeDirectionAndPrecision) {
    ConvolutionProblem problem{.x = {128, 56, 28, 64},
                               .y = {128, 28, 14, 256},
                               .kernel = 3,
                               .stride = 2,
                               .padding = 1,
                               .groups = 2,
                               .type = kernels::Type::bf16,
                               .precision = Precision::bf16,
                               .direction = Direction::weights};
    EXPECT_EQ(to_text(problem),
              "a convolution 128x64x56x28 to 128x256x28x14, kernel 3x3, stride 2, padding 1, 2 "
              "groups, backward with respect to the weights, in bf16");
    problem.direction = Direction::data;
    problem.accumulate = true;
    problem.deterministic = true;
    EXPECT_EQ(to_text(problem),
              "a convolution 128x64x56x28 to 128x256x28x14, kernel 3x3, stride 2, padding 1, 2 "
              "groups, backward with respect to the input, added to another gradient, in bf16, "
              "deterministic");
}

}  // namespace
}  // namespace layerledger::cuda
