#include "layerledger/base/waited.hpp"

#include <gtest/gtest.h>

namespace layerledger {
namespace {

using namespace std::chrono_literals;

TEST(WaitedTest, CountsWhatIsLookedAtOften) {
    const Waited::Clock::time_point begin{100s};
    Waited waited(1s, begin);
    EXPECT_EQ(waited.look(begin + 200ms), 200ms);
    EXPECT_EQ(waited.look(begin + 1200ms), 1200ms);
}

TEST(WaitedTest, DoesNotCountThatTheProcessStoodStill) {
    const Waited::Clock::time_point begin{100s};
    Waited waited(1s, begin);
    EXPECT_EQ(waited.look(begin + 1h), 1s);
    EXPECT_EQ(waited.look(begin + 1h + 500ms), 1500ms);
}

}  // namespace
}  // namespace layerledger
