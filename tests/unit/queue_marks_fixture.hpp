// Marks of a simulated device, by events or by stamps.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "queue_marks.hpp"
#include "support/simulated_queue.hpp"

namespace layerledger::testing {

using Marks = cuda::QueueMarks<SimulatedEvents>;

enum class By : unsigned char { events, stamps };

inline SimulatedQueue queue_with(By by) {
    SimulatedQueue queue;
    queue.stamps = by == By::stamps;
    return queue;
}

/// What makes a mark on the compute stream, in the queue's journal.
inline std::string made(By by) {
    return by == By::stamps ? "stamp" : "record";
}

inline std::string name_of(const ::testing::TestParamInfo<By>& tested) {
    return tested.param == By::stamps ? "ByStamps" : "ByEvents";
}

}  // namespace layerledger::testing
