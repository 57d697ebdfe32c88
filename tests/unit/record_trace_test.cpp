#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "record/trace_events.hpp"

namespace layerledger {
namespace {

using ::testing::HasSubstr;

TEST(TraceEvents, EscapesTexts) {
    EXPECT_EQ(json_text("a\"b\\c\n\x01 \xc3\xa4"), "\"a\\\"b\\\\c\\u000a\\u0001 \xc3\xa4\"");
}

TEST(TraceEvents, LeavesAbsentMembersOut) {
    JsonMembers members;
    members.number("a", 1.5).number("b", std::numeric_limits<double>::quiet_NaN());
    members.number("c", 0.1F).text("d", "x");
    EXPECT_EQ(members.object(), R"({"a":1.5,"c":0.1,"d":"x"})");
}

TEST(TraceEvents, WritesMicrosecondsToTheNanosecond) {
    TraceEvents events;
    events.complete(3, 1, "conv1 forward", "forward", 1'002'003, 1'002'103,
                    JsonMembers().number("flops", 2.0));
    EXPECT_EQ(events.str(),
              "\n{\"ph\":\"X\",\"pid\":3,\"tid\":1,\"name\":\"conv1 forward\",\"cat\":\"forward\","
              "\"ts\":1002.003,\"dur\":0.100,\"args\":{\"flops\":2}}");
}

TEST(TraceEvents, SeparatesEventsEvenAfterClearing) {
    TraceEvents events;
    events.counter(0, "loss", 0, 2);
    events.clear();
    events.counter(0, "loss", 1000, 1);
    EXPECT_EQ(events.str().front(), ',');
    EXPECT_EQ(events.count(), 2U);
    events.counter(0, "loss", 2000, std::numeric_limits<double>::quiet_NaN());
    EXPECT_EQ(events.count(), 2U);
}

/// The last event of one lane.
std::string added(TraceEvents& events, TraceLane& lane, std::size_t depth, std::int64_t start,
                  std::int64_t end) {
    events.clear();
    lane.add(depth, "event", "test", start, end, {});
    return events.str();
}

TEST(TraceLane, NeighboursTouchButNeverOverlap) {
    TraceEvents events;
    TraceLane lane(events, 0, 1);
    EXPECT_THAT(added(events, lane, 0, 1000, 2000), HasSubstr("\"ts\":1.000,\"dur\":1.000"));
    EXPECT_THAT(added(events, lane, 0, 1999, 3000), HasSubstr("\"ts\":2.000,\"dur\":1.000"));
    EXPECT_THAT(added(events, lane, 0, 2500, 2600), HasSubstr("\"ts\":3.000,\"dur\":0.000"));
    EXPECT_THAT(added(events, lane, 0, 5000, 6000), HasSubstr("\"ts\":5.000,\"dur\":1.000"));
}

TEST(TraceLane, ChildrenStayWithinTheirParent) {
    TraceEvents events;
    TraceLane lane(events, 0, 2);
    (void)added(events, lane, 0, 1000, 3000);
    EXPECT_THAT(added(events, lane, 1, 999, 2001), HasSubstr("\"ts\":1.000,\"dur\":1.001"));
    EXPECT_THAT(added(events, lane, 1, 2000, 3001), HasSubstr("\"ts\":2.001,\"dur\":0.999"));
    (void)added(events, lane, 0, 2999, 5000);  // pushed to 3000
    EXPECT_THAT(added(events, lane, 1, 2999, 4000), HasSubstr("\"ts\":3.000,\"dur\":1.000"));
    EXPECT_THAT(added(events, lane, 1, 6000, 7000), HasSubstr("\"ts\":5.000,\"dur\":0.000"));
}

}  // namespace
}  // namespace layerledger
