#include <gtest/gtest.h>

#include <array>

#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

TEST(Text, NumbersReadWell) {
    EXPECT_EQ(fixed(3.14159, 2), "3.14");
    EXPECT_EQ(bytes_text(512), "512 B");
    EXPECT_EQ(bytes_text(1536), "1.5 KiB");
    EXPECT_EQ(bytes_text(244.0 * 1024 * 1024), "244.0 MiB");
    EXPECT_EQ(duration_text(45.2), "45 s");
    EXPECT_EQ(duration_text(200), "3 min 20 s");
    EXPECT_EQ(duration_text(3600 * 2 + 5 * 60), "2 h 05 min");
}

TEST(Text, NearestCorrectsASlipAndDoesNotGuess) {
    const std::array<std::string, 3> keys{"train.batch_size", "train.epochs", "data.root"};
    EXPECT_EQ(nearest("train.batchsize", keys), "train.batch_size");
    EXPECT_EQ(nearest("train.epoch", keys), "train.epochs");
    EXPECT_EQ(nearest("colour", keys), "");
    EXPECT_EQ(did_you_mean("train.epoch", keys), "; did you mean 'train.epochs'?");
    EXPECT_EQ(did_you_mean("colour", keys), "");
}

}  // namespace
}  // namespace layerledger
