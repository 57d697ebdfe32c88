// What ranks with GPUs settle between them before they train; no GPU is needed for it.
#include <gmock/gmock.h>

#include <optional>

#include "backend/cuda/equal_libraries.hpp"
#include "backend/cuda/gpu_sharing.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

using testing::HasSubstr;
using testing::Not;

class GpuRanks : public testing::Test {
protected:
    /// What rank 0 says where `step` fails on all ranks with exit code 69; nothing where it does
    /// not.
    template <class Step>
    std::optional<std::string> refusal(const Step& step) const {
        try {
            step();
        } catch (const AgreedError& error) {
            EXPECT_EQ(error.code(), ExitCode::unavailable);
            return world_.is_root() ? error.what() : "";
        }
        return {};
    }

    Communicator world_ = Communicator::world();
};

// As with srun --gpus-per-task=1: each sees one GPU, number 0, and it is another one.
TEST_F(GpuRanks, ShareNothingWhereEachSeesAnotherGpu) {
    const ChosenGpu mine{"n0", "GPU X", text("GPU-", world_.rank())};
    EXPECT_EQ(count_sharers(world_, mine, false), 1);
    EXPECT_EQ(count_sharers(world_, mine, true), 1);
}

TEST_F(GpuRanks, AreRefusedWhereTheyWouldShareOne) {
    if (world_.size() == 1) {
        GTEST_SKIP() << "one rank shares with nobody";
    }
    const ChosenGpu mine{"n0", "GPU X", "GPU-the-only-one"};
    const auto said = refusal([&] { static_cast<void>(count_sharers(world_, mine, false)); });
    ASSERT_TRUE(said.has_value());
    if (world_.is_root()) {
        EXPECT_THAT(*said, HasSubstr("ranks 0 and 1 would share GPU X GPU-the-only-one"));
        EXPECT_THAT(*said, HasSubstr(text("n0 has ", world_.size(), " ranks and 1 GPU ")));
        EXPECT_THAT(*said, HasSubstr("device.allow_shared_gpu"));
    }
}

// Of four ranks on two nodes those of the second share.
TEST_F(GpuRanks, AreCountedNodeByNode) {
    if (world_.size() != 4) {
        GTEST_SKIP() << "made for four ranks";
    }
    const bool is_first_node = world_.rank() < 2;
    const ChosenGpu mine{is_first_node ? "n0" : "n1", "GPU X",
                         is_first_node ? text("GPU-", world_.rank()) : "GPU-of-n1"};
    EXPECT_EQ(count_sharers(world_, mine, true), is_first_node ? 1 : 2);
    const auto said = refusal([&] { static_cast<void>(count_sharers(world_, mine, false)); });
    ASSERT_TRUE(said.has_value());
    if (world_.is_root()) {
        EXPECT_THAT(*said, HasSubstr("ranks 2 and 3"));
        EXPECT_THAT(*said, HasSubstr("n1 has 2 ranks and 1 GPU "));
    }
}

TEST_F(GpuRanks, GoOnWithEqualLibraries) {
    EXPECT_NO_THROW(
        require_equal_libraries(world_, "n0", {{"cuDNN", "9.19.0"}, {"NCCL", "2.28.9"}}));
}

TEST_F(GpuRanks, AreRefusedWhereALibraryDiffers) {
    if (world_.size() == 1) {
        GTEST_SKIP() << "one rank agrees with itself";
    }
    const bool is_last = world_.rank() == world_.size() - 1;
    const auto said = refusal([&] {
        require_equal_libraries(
            world_, is_last ? "n1" : "n0",
            {{"CUDA", "13.0"}, {"cuDNN", is_last ? "9.1.0" : "9.19.0"}, {"NCCL", "2.28.9"}});
    });
    ASSERT_TRUE(said.has_value());
    if (world_.is_root()) {
        EXPECT_THAT(*said, HasSubstr(text("rank 0 on n0 has cuDNN 9.19.0; rank ", world_.size() - 1,
                                          " on n1 has cuDNN 9.1.0")));
        EXPECT_THAT(*said, Not(HasSubstr("NCCL")));
        EXPECT_THAT(*said, HasSubstr("load the same versions"));
    }
}

}  // namespace
}  // namespace layerledger::cuda
