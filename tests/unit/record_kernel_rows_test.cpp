// How the rows of sampled iterations get into the run file.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <unistd.h>

#include <vector>

#include "layerledger/record/run_reader.hpp"
#include "layerledger/record/run_writer.hpp"
#include "record/event_table.hpp"
#include "record/open_run_file.hpp"
#include "support/sample_run.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::sample_block;
using testing::sample_description;
using testing::TemporaryFolder;

/// One layer's phase, one kind of copies, one rank.
KernelSamples sample_of(std::int64_t iteration) {
    KernelSamples samples;
    samples.samples.push_back({iteration, 0, 12, 0, 900, 800, 0.5});
    samples.kernels.push_back({iteration, 0, 1, 2, 7, 100, 99, 1, 80, 20, 5});
    samples.copies.push_back({iteration, 0, 1, 1, 24, 2, 0});
    return samples;
}

std::vector<std::int64_t> sampled_iterations(const std::string& path) {
    const KernelSamples all = read_kernel_samples(open_run_file(path));
    std::vector<std::int64_t> of_samples;
    std::vector<std::int64_t> of_kernels;
    std::vector<std::int64_t> of_copies;
    for (const SampleRecord& row : all.samples) {
        of_samples.push_back(row.iteration);
    }
    for (const KernelRecord& row : all.kernels) {
        of_kernels.push_back(row.iteration);
    }
    for (const CopyRecord& row : all.copies) {
        of_copies.push_back(row.iteration);
    }
    EXPECT_EQ(of_kernels, of_samples);
    EXPECT_EQ(of_copies, of_samples);
    return of_samples;
}

class KernelRowsTest : public ::testing::Test {
protected:
    TemporaryFolder folder_;
    std::string path_ = folder_.path("run.h5");
    RunDescription run_ = sample_description(1, Level::kernel);
};

// The first block decides how the arrays are cut, and the file is made anew for it.
TEST_F(KernelRowsTest, StayWhenTheFirstBlockComesBehindThem) {
    RunWriter writer(path_, run_, false);
    writer.add_kernels(sample_of(1));
    EXPECT_THAT(sampled_iterations(path_), ElementsAre(1));
    writer.append(sample_block(run_, 0, 4));
    writer.add_kernels(sample_of(5));
    EXPECT_THAT(sampled_iterations(path_), ElementsAre(1, 5));
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    EXPECT_THAT(sampled_iterations(path_), ElementsAre(1, 5));
    EXPECT_THAT(check_run_file(path_), IsEmpty());
}

TEST_F(KernelRowsTest, AreWrittenAsTheyComeAndOnce) {
    RunWriter writer(path_, run_, false);
    writer.append(sample_block(run_, 0, 4));
    for (const std::int64_t iteration : {5, 6, 7}) {
        writer.add_kernels(sample_of(iteration));
    }
    EXPECT_THAT(sampled_iterations(path_), ElementsAre(5, 6, 7));
    writer.append(sample_block(run_, 4, 4));
    EXPECT_TRUE(writer.sync());
    EXPECT_THAT(sampled_iterations(path_), ElementsAre(5, 6, 7));
}

TEST_F(KernelRowsTest, WaitWhileAnotherWriterHoldsTheFile) {
    RunWriter writer(path_, run_, false);
    writer.append(sample_block(run_, 0, 4));
    writer.add_kernels(sample_of(5));
    const int other = ::open(path_.c_str(), O_RDONLY);
    ASSERT_EQ(::flock(other, LOCK_EX | LOCK_NB), 0);
    writer.add_kernels(sample_of(6));
    writer.add_kernels(sample_of(7));
    ::close(other);
    EXPECT_THAT(sampled_iterations(path_), ElementsAre(5));
    writer.add_kernels(sample_of(8));
    EXPECT_THAT(sampled_iterations(path_), ElementsAre(5, 6, 7, 8));
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    EXPECT_THAT(check_run_file(path_), IsEmpty());
}

}  // namespace
}  // namespace layerledger
