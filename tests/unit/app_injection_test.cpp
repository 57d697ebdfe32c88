#include "injection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "config_support.hpp"
#include "layerledger/network/zoo.hpp"

namespace layerledger {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// What rank `rank` of two, training LeNet-5, makes of profile.inject.
std::optional<Injection> injection_of(const std::string& asked, int rank = 1,
                                      const std::string& backend = "cpu") {
    const Network network = make_network("lenet5", {.classes = 10});
    DeviceInfo device;
    device.backend = backend;
    return injection_on(rank, 2,
                        test::experiment({"--train.iterations", "1", "--profile.inject", asked}),
                        network, device);
}

std::string refusal_of(const std::string& asked, const std::string& backend = "cpu") {
    return test::complaint([&] { static_cast<void>(injection_of(asked, 0, backend)); });
}

TEST(InjectionTest, SlowsALayerOnTheOneRank) {
    const auto all_phases = injection_of("1:conv2:12.5");
    ASSERT_TRUE(all_phases);
    EXPECT_EQ(all_phases->layer.index(), 1U);
    EXPECT_EQ(all_phases->percent, 12.5);
    EXPECT_FALSE(all_phases->phase);
    EXPECT_FALSE(injection_of("1:conv2:12.5", 0));
    EXPECT_FALSE(injection_of(""));
}

TEST(InjectionTest, SlowsOnePhase) {
    for (const Phase phase : phases) {
        const auto one = injection_of("1:fc1:5:" + std::string(phase_names.at(index(phase))));
        ASSERT_TRUE(one);
        EXPECT_EQ(one->phase, phase);
    }
}

TEST(InjectionTest, RefusesWhatIsNotWrittenRightAndSaysHow) {
    for (const char* asked : {"1", "1:conv2", "1:conv2:5:backward:2"}) {
        EXPECT_THAT(refusal_of(asked), AllOf(StartsWith("78: "), HasSubstr(asked),
                                             HasSubstr("has not three or four parts"),
                                             HasSubstr("write RANK:LAYER:PERCENT")));
    }
}

TEST(InjectionTest, RefusesRanksThatAreNotThere) {
    for (const char* asked : {"2:conv2:5", "-1:conv2:5", "one:conv2:5", ":conv2:5", "1x:conv2:5"}) {
        EXPECT_THAT(refusal_of(asked),
                    AllOf(StartsWith("78: "), HasSubstr(asked), HasSubstr("there are 2 ranks"),
                          HasSubstr("use a rank from 0 to 1")));
    }
}

TEST(InjectionTest, RefusesLayersThatTheNetworkHasNot) {
    EXPECT_THAT(refusal_of("1:conv3:5"),
                AllOf(StartsWith("78: "), HasSubstr("lenet5 has no layer 'conv3'"),
                      HasSubstr("did you mean conv")));
    EXPECT_THAT(refusal_of("1:transformer:5"),
                AllOf(StartsWith("78: "), HasSubstr("see layerledger networks lenet5")));
}

TEST(InjectionTest, RefusesPercentagesThatSlowNothing) {
    for (const char* asked : {"1:conv2:", "1:conv2:0", "1:conv2:-5", "1:conv2:5%", "1:conv2:nan",
                              "1:conv2:inf", "1:conv2:10001"}) {
        EXPECT_THAT(refusal_of(asked), AllOf(StartsWith("78: "), HasSubstr(asked),
                                             HasSubstr("is no percentage above 0")));
    }
}

TEST(InjectionTest, RefusesPhasesThatThereAreNot) {
    EXPECT_THAT(refusal_of("1:conv2:5:sideways"),
                AllOf(StartsWith("78: "), HasSubstr("there is no phase 'sideways'"),
                      HasSubstr("use forward, backward or update")));
}

// Also on the ranks that would not be slowed: all end with the same.
TEST(InjectionTest, IsUnavailableWhereTheHostDoesNotComputeTheLayers) {
    EXPECT_THAT(refusal_of("1:conv2:5", "cuda"),
                AllOf(StartsWith("69: "), HasSubstr("(the backend is cuda)"),
                      HasSubstr("use device.backend=cpu")));
    EXPECT_EQ(refusal_of("", "cuda"), "no error");
}

}  // namespace
}  // namespace layerledger
