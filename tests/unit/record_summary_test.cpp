#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>

#include "layerledger/base/error.hpp"
#include "layerledger/record/run_reader.hpp"
#include "support/sample_run.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsNan;
using ::testing::Not;
using testing::sample_block;
using testing::sample_description;
using testing::TemporaryFolder;

constexpr double no_value = std::numeric_limits<double>::quiet_NaN();

/// Ten iterations: 0 and 1 are warm-up, 3 and 7 are not profiled, so 2 4 5 6 8 9 are measured.
RunSummary summary_of_sample(std::size_t ranks, Level level = Level::layer,
                             std::int64_t iterations = 10) {
    const TemporaryFolder folder;
    const RunDescription run = sample_description(ranks, level);
    RunWriter writer(folder.path("run.h5"), run, false);
    for (std::int64_t first = 0; first < iterations; first += 4) {
        const auto count = static_cast<std::size_t>(std::min<std::int64_t>(4, iterations - first));
        writer.append(sample_block(run, first, count));
    }
    writer.set_skipped_images(7);
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    return summarize(writer.path());
}

TEST(Summarize, TakesMediansOverMeasuredIterations) {
    const RunSummary summary = summary_of_sample(1);
    EXPECT_EQ(summary.committed_iterations, 10);
    EXPECT_EQ(summary.measured_iterations, 6);
    // The median of 2 4 5 6 8 9 is 5.5, which adds 5.5 / 4 to each layer's 100 (l + 1) + 10 p.
    EXPECT_THAT(summary.layers[0].time_us, ElementsAre(101.375, 111.375, 121.375));
    EXPECT_THAT(summary.layers[2].time_us, ElementsAre(301.375, 311.375, 321.375));
}

TEST(Summarize, TakesTheMeanOfRanks) {
    // Rank r adds r to each time: 0, 1, 2.
    EXPECT_THAT(summary_of_sample(3).layers[0].time_us, ElementsAre(102.375, 112.375, 122.375));
}

TEST(Summarize, LeavesAbsentWhatWasNotMeasured) {
    const RunSummary summary = summary_of_sample(1);
    EXPECT_THAT(summary.layers[1].time_us, ElementsAre(201.375, 211.375, IsNan()));
}

TEST(Summarize, TakesTheSlowestRankOfEachIteration) {
    // 8 layer times, 1670 + 8 i / 4; 9 activities, 90; 0.5; and 17 times the rank.
    const RunSummary summary = summary_of_sample(3);
    EXPECT_DOUBLE_EQ(summary.iteration_us, 1670 + 11 + 90 + 0.5 + 2 * 17);
    EXPECT_DOUBLE_EQ(summary.images_per_second, 3 * 4 / summary.iteration_us * 1e6);
}

TEST(Summarize, TellsWhatTheAllReduceOfABucketConsistsOf) {
    const RunSummary summary = summary_of_sample(3);
    ASSERT_EQ(summary.anatomy.size(), 2U);
    const BucketAnatomy& first = summary.anatomy.front();
    EXPECT_DOUBLE_EQ(first.hidden_us, 0);  // the backward pass ends long before
    EXPECT_NEAR(first.exposed_us, 4, 1e-9);
    EXPECT_NEAR(first.wait_us, 1, 1e-9);
    EXPECT_NEAR(first.transfer_us, 3, 1e-9);
    EXPECT_NEAR(first.algorithm_bandwidth, 20040 / 3.0 / 1e3, 1e-9);
    EXPECT_NEAR(first.bus_bandwidth, first.algorithm_bandwidth * 4 / 3, 1e-9);
    EXPECT_THAT(first.zero_skew_us, IsNan());
    EXPECT_TRUE(summary_of_sample(1).anatomy.empty());
}

// Measured are iterations 2, 4, 5, 6, 8 and 9. The shortest and the longest all-reduce are left
// out.
TEST(Summarize, TakesAllPartsOfAnAllReduceFromTheSameIterationsSoThatTheyAddUp) {
    const TemporaryFolder folder;
    const RunDescription run = sample_description(2);
    const RecordLayout layout(run.extents());
    RecordBlock block = sample_block(run, 0, 10);
    const std::map<std::size_t, std::pair<float, float>> wait_and_transfer_us{
        {2, {9, 1}}, {4, {1, 19}}, {5, {29, 1}}, {6, {2, 38}}, {8, {45, 5}}, {9, {500, 500}}};
    for (const auto& [iteration, us] : wait_and_transfer_us) {
        for (std::size_t rank = 0; rank < 2; ++rank) {
            float* const row = &block.rows[(rank * 10 + iteration) * layout.size];
            row[layout.bucket_start] = 1500;  // the backward pass ends 10 + i / 4 + rank later
            row[layout.bucket_transfer] = 1500 + us.first;
            row[layout.bucket_end] = 1500 + us.first + us.second;
        }
    }
    RunWriter writer(folder.path("run.h5"), run, false);
    writer.append(std::move(block));
    EXPECT_TRUE(writer.finish(RunStatus::complete));

    const BucketAnatomy bucket = summarize(writer.path()).anatomy.front();
    EXPECT_NEAR(bucket.wait_us, (1 + 29 + 2 + 45) / 4.0, 1e-6);
    EXPECT_NEAR(bucket.transfer_us, (19 + 1 + 38 + 5) / 4.0, 1e-6);
    EXPECT_NEAR(bucket.hidden_us, 10.5 + (4 + 5 + 6 + 8) / 16.0, 1e-6);
    EXPECT_NEAR(bucket.hidden_us + bucket.exposed_us, bucket.wait_us + bucket.transfer_us, 1e-6);
    EXPECT_NEAR(bucket.algorithm_bandwidth, 20040 / bucket.transfer_us / 1e3, 1e-9);
}

TEST(Summarize, TellsWhoComesLast) {
    // The last of 3 ranks takes longest in everything; windows of 20 iterations blame it for what
    // is more than 2.5 % and half a microsecond above the others.
    EXPECT_THAT(summary_of_sample(3).last_share,
                ElementsAre(DoubleEq(0), DoubleEq(0), DoubleEq(1)));
    const RunSummary longer = summary_of_sample(3, Level::layer, 32);
    EXPECT_EQ(longer.measured_iterations, 22);
    for (const Straggler& straggler : longer.stragglers) {
        EXPECT_EQ(straggler.all_windows, 1);
    }
    EXPECT_EQ(longer.sensitivity.size(), 3 * longer.layers.size());
    EXPECT_THAT(to_text(longer), HasSubstr("on one rank show from "));
    EXPECT_TRUE(summary_of_sample(3).sensitivity.empty());  // no window is whole
    EXPECT_THAT(to_text(summary_of_sample(3)), Not(HasSubstr("on one rank show from ")));
    EXPECT_TRUE(summary_of_sample(1).last_share.empty());
}

TEST(Summarize, FindsTheRankWithMostComputing) {
    const RunSummary summary = summary_of_sample(3);
    EXPECT_EQ(summary.slowest_rank, 2);
    EXPECT_DOUBLE_EQ(summary.rank[2].compute_us, 1670 + 11 + 2 * 8);
    EXPECT_DOUBLE_EQ(summary.rank[0].iteration_us, 1670 + 11 + 90 + 0.5);
    EXPECT_EQ(summary.rank[2].host, "node1");
}

TEST(Summarize, AveragesActivitiesOverRanksAndIterations) {
    const RunSummary summary = summary_of_sample(3);
    EXPECT_DOUBLE_EQ(summary.activity_us[index(Activity::memcpy_h2d)], 3);
    EXPECT_DOUBLE_EQ(summary.activity_us[index(Activity::measurement)], 19);
    EXPECT_DOUBLE_EQ(summary.allreduce_hidden_us, 4);
}

TEST(Summarize, GivesTheUnaccountedShareOfTheWorstRank) {
    const RunSummary summary = summary_of_sample(2);
    // Rank 0's iterations are the shortest, the shortest of all is iteration 2.
    EXPECT_NEAR(summary.unaccounted_worst_percent, 0.5 / (1670 + 4 + 90 + 0.5) * 100, 1e-9);
    EXPECT_NEAR(summary.unaccounted_median_percent,
                (0.5 / (1670 + 10 + 90.5) + 0.5 / (1670 + 12 + 90.5)) / 2 * 100, 1e-9);
}

TEST(Summarize, DoesNotTakeTimeCountedTwiceForGood) {
    const TemporaryFolder folder;
    const RunDescription run = sample_description(2);
    const RecordLayout layout(run.extents());
    RecordBlock block = sample_block(run, 0, 10);
    float* const row = &block.rows[(1 * 10 + 4) * layout.size];  // rank 1, iteration 4
    row[layout.iteration_time] -= 3.5F;
    row[layout.unaccounted] = -3.0F;
    RunWriter writer(folder.path("run.h5"), run, false);
    writer.append(std::move(block));
    EXPECT_TRUE(writer.finish(RunStatus::complete));

    const double iteration_us = 1670 + 8 + 90 + 17 - 3;
    EXPECT_NEAR(summarize(writer.path()).unaccounted_worst_percent, 3 / iteration_us * 100, 1e-9);
    EXPECT_THAT(check_run_file(writer.path()),
                ElementsAre("time is counted twice in iteration 4, rank 1 (layers and activities "
                            "make 3.000 us more than its 1782.000 us)"));
}

TEST(Summarize, DoesNotHideADivergenceOnOneRank) {
    const TemporaryFolder folder;
    const RunDescription run = sample_description(2);
    const RecordLayout layout(run.extents());
    RecordBlock block = sample_block(run, 0, 10);
    for (std::size_t i = 7; i < 10; ++i) {
        block.rows[(10 + i) * layout.size + layout.loss] = no_value;  // rank 1
    }
    RunWriter writer(folder.path("run.h5"), run, false);
    writer.append(std::move(block));
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    const RunSummary summary = summarize(writer.path());
    EXPECT_DOUBLE_EQ(summary.first_loss, 2.5);
    EXPECT_TRUE(std::isnan(summary.last_loss));
    EXPECT_THAT(to_text(summary),
                HasSubstr("loss                2.5000 -> not a number (training diverged)\n"));
}

TEST(Summarize, SaysThatSpansAreMissing) {
    const TemporaryFolder folder;
    RunWriter writer(folder.path("run.h5"), sample_description(1), false);
    writer.set_dropped_spans(5);
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    const std::string sentence = "5 spans did not fit and are missing: times are too small";
    EXPECT_THAT(check_run_file(writer.path()), ElementsAre(sentence));
    EXPECT_THAT(to_text(summarize(writer.path())), HasSubstr(sentence));
}

TEST(Summarize, ReadsTheRest) {
    const RunSummary summary = summary_of_sample(2);
    EXPECT_EQ(summary.title, "sample");
    EXPECT_EQ(summary.network, "lenet5");
    EXPECT_EQ(summary.backend, "cpu");
    EXPECT_EQ(summary.level, "layer");
    EXPECT_EQ(summary.status, "complete");
    EXPECT_EQ(running_text(summary), "");
    EXPECT_EQ(summary.batch_size, 4);
    EXPECT_EQ(summary.skipped_images, 7);
    EXPECT_DOUBLE_EQ(summary.first_loss, 2.5);  // mean of 2 and 3
    EXPECT_DOUBLE_EQ(summary.last_loss, 2.5 - 9.0 / 8);
    EXPECT_EQ(summary.layers[2].parameters, 5010);
    EXPECT_FALSE(summary.overhead.has_value());
    EXPECT_FALSE(summary.validation.has_value());
    EXPECT_TRUE(summary.ops.empty());
}

TEST(Summarize, ListsOperationsWhereRecorded) {
    const RunSummary summary = summary_of_sample(1, Level::op);
    ASSERT_EQ(summary.ops.size(), 2U);
    EXPECT_EQ(summary.ops[1].name, "conv1/relu");
    EXPECT_THAT(summary.ops[1].time_us,
                ElementsAre(DoubleEq(50.6875), DoubleEq(55.6875), DoubleEq(60.6875)));
}

TEST(Summarize, SaysNothingOfTimesWhereAllWasWarmUp) {
    const RunSummary summary = summary_of_sample(1, Level::layer, 2);
    EXPECT_EQ(summary.committed_iterations, 2);
    EXPECT_EQ(summary.measured_iterations, 0);
    EXPECT_THAT(summary.iteration_us, IsNan());
    EXPECT_THAT(summary.layers[0].time_us[0], IsNan());
    const std::string shown = to_text(summary);
    EXPECT_THAT(shown, HasSubstr("  layer                  memory MiB\n"));
    for (const char* word : {"forward ms", "besides", "unaccounted", "slowest rank  "}) {
        EXPECT_THAT(shown, Not(HasSubstr(word)));
    }
}

TEST(Summarize, ReadsBackOverheadAndValidation) {
    const TemporaryFolder folder;
    RunWriter writer(folder.path("run.h5"), sample_description(1), false);
    writer.set_overhead({0.25, 0.1, 0.4, 20, 0.05});
    writer.add_validation({1.5, 0.5, 0.9, 100, 2.5, 10});
    EXPECT_TRUE(writer.finish(RunStatus::complete));
    const RunSummary summary = summarize(writer.path());
    ASSERT_TRUE(summary.overhead && summary.validation);
    EXPECT_EQ(summary.overhead->percent, 0.25);
    EXPECT_EQ(summary.overhead->high, 0.4);
    EXPECT_EQ(summary.overhead->pairs, 20);
    EXPECT_EQ(summary.validation->topk, 0.9);
    EXPECT_EQ(summary.validation->iteration, 10);
}

TEST(Summarize, SaysWhatEachLayerAndTheLargestRankHold) {
    const TemporaryFolder folder;
    RunDescription run = sample_description(3);
    run.layers[0].parameter_bytes = 100;
    run.layers[0].gradient_bytes = 300;
    run.layers[0].optimizer_bytes = 200;
    run.ranks[1].estimated_bytes = 5000;
    RunWriter writer(folder.path("run.h5"), run, false);
    EXPECT_THAT(summarize(writer.path()).memory.peak_bytes, IsNan());  // known at the end
    writer.set_peak_memory({{10'000}, {30'000}, {20'000}});
    EXPECT_TRUE(writer.finish(RunStatus::complete));

    const RunSummary summary = summarize(writer.path());
    EXPECT_EQ(summary.memory.peak_bytes, 30'000);
    EXPECT_EQ(summary.memory.peak_rank, 1);
    EXPECT_EQ(summary.memory.estimated_bytes, 5000);
    EXPECT_THAT(summary.memory.device_bytes, IsNan());
    EXPECT_THAT(to_text(summary), HasSubstr("in the process of rank 1 (4.9 KiB expected"));
    EXPECT_EQ(summary.memory.gradient_bytes, 300);
    EXPECT_EQ(summary.memory.activation_bytes, 73728 + 18432 + 160);
    EXPECT_EQ(summary.memory.largest_workspace_bytes, 4096);
    EXPECT_EQ(summary.layers[0].memory_bytes, 100 + 300 + 200 + 4096 + 73728);
    EXPECT_TRUE(check_run_file(writer.path()).empty());
}

TEST(Summarize, TellsAGpusMemoryFromItsProcesses) {
    const TemporaryFolder folder;
    RunDescription run = sample_description(3);
    run.ranks[2].estimated_bytes = 5 << 20;
    RunWriter writer(folder.path("run.h5"), run, false);
    writer.set_peak_memory(
        {{9 << 20, 4 << 20, 3 << 20}, {8 << 20, 4 << 20, 2 << 20}, {7 << 20, 6 << 20, 1 << 20}});
    EXPECT_TRUE(writer.finish(RunStatus::complete));

    const RunSummary summary = summarize(writer.path());
    EXPECT_EQ(summary.memory.device_bytes, 6 << 20);
    EXPECT_EQ(summary.memory.device_rank, 2);
    EXPECT_EQ(summary.memory.device_library_bytes, 1 << 20);
    EXPECT_EQ(summary.memory.estimated_bytes, 5 << 20);
    EXPECT_THAT(to_text(summary),
                HasSubstr("at most 6.0 MiB on rank 2 (5.0 MiB expected for the training), and 1.0 "
                          "MiB taken by libraries"));
    EXPECT_THAT(to_text(summary), HasSubstr("9.0 MiB in the process of rank 0\n"));
    EXPECT_TRUE(check_run_file(writer.path()).empty());
}

TEST(Summarize, MeansAddUpToTheMeanIteration) {
    const RunSummary summary = summary_of_sample(3);
    double sum_us = summary.unaccounted_median_percent / 100 * summary.iteration_us;
    for (const LayerSummary& layer : summary.layers) {
        for (const double us : layer.mean_us) {
            sum_us += std::isnan(us) ? 0 : us;
        }
    }
    for (const double us : summary.activity_us) {
        sum_us += std::isnan(us) ? 0 : us;
    }
    EXPECT_NEAR(sum_us, summary.mean_iteration_us, 1e-3 * summary.mean_iteration_us);
}

void expect_refusal(const std::string& path, ExitCode code, const std::string& why) {
    try {
        static_cast<void>(summarize(path));
        FAIL() << "nothing was thrown";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), code);
        EXPECT_THAT(error.what(), HasSubstr(why));
    }
}

TEST(Summarize, RefusesWhatIsNoRunFile) {
    const TemporaryFolder folder;
    expect_refusal(folder.path("nothing.h5"), ExitCode::input_missing, "there is no run file");
    std::ofstream(folder.path("text.h5")) << "text";
    expect_refusal(folder.path("text.h5"), ExitCode::bad_data, "not HDF5");
    expect_refusal(folder.path(""), ExitCode::bad_data, "it is a folder");
}

TEST(ToText, IsTheTableThatPeopleRead) {
    RunSummary run;
    run.path = "runs/demo.h5";
    run.title = "demo";
    run.status = "complete";
    run.network = "alexnet";
    run.backend = "cpu";
    run.level = "layer";
    run.ranks = 2;
    run.batch_size = 64;
    run.committed_iterations = 105;
    run.measured_iterations = 100;
    run.iteration_us = 200'000;
    run.mean_iteration_us = 250'000;
    run.images_per_second = 640;
    run.layers = {{"conv1",
                   "conv",
                   {20'000, 40'000, 1'000},
                   {24'000, 50'000, 1'000},
                   {10e9, 20e9, 0},
                   35'000,
                   3.5 * (1 << 20)},
                  {"pool1", "pool", {5'000, 10'000, no_value}, {7'000, 11'000, no_value}, {}, 0}};
    run.activity_us = {0, no_value, 1'500, 2'500, 0, 0, 0, 0, 100};
    run.allreduce_hidden_us = 30'000;
    run.unaccounted_median_percent = 0.12;
    run.unaccounted_worst_percent = 0.35;
    run.rank = {{"node0", 199'000, 75'000}, {"node1", 200'000, 76'500}};
    run.slowest_rank = 1;
    run.memory = {3.0 * (1 << 30), 1, 2.5 * (1 << 30), 1024, 2048, 512, 4096, 256};
    run.twin = TwinRecord{-0.25, -0.75, 0.125, 0.5, 201'000, 200'000, 21, 20.5};
    run.first_loss = 6.9078;
    run.last_loss = 2.25;
    run.skipped_images = 3;
    run.overhead = OverheadRecord{0.21, 0.1, 0.35, 20, 0.05};
    run.validation = ValidationRecord{1.8, 0.5712, 0.802, 50'000, 200, 105};
    run.topk = 5;
    EXPECT_EQ(to_text(run), R"(demo: runs/demo.h5
  network             alexnet
  ranks               2 x batch 64 = 128 images an iteration
  backend             cpu, level layer
  iterations          105, 100 measured after warm-up, run complete
  iteration           200.000 ms (median of the slowest rank); 250.000 ms in the mean, of which the shares are
  throughput          640.0 images/s
  loss                6.9078 -> 2.2500
  validation          top-1 57.12 %, top-5 80.20 %, loss 1.8000 on 50000 images after iteration 105 (3 min 20 s)
  skipped             3 times an image could not be read and another took its place

  layer                  forward ms  backward ms    update ms      share %      GFLOP/s   memory MiB
  conv1                      20.000       40.000        1.000        30.00        491.8          3.5  ######
  pool1                       5.000       10.000            -         7.20            -            -  #
  all layers                 25.000       50.000        1.000        37.20                            #######

  besides                   mean ms      share %
  memcpy_h2d                  0.000         0.00
  memcpy_d2h                      -            -
  allreduce_wait              1.500         0.60
  allreduce_transfer          2.500         1.00
  input_wait                  0.000         0.00
  idle_launch                 0.000         0.00
  idle_sync                   0.000         0.00
  idle_other                  0.000         0.00
  measurement                 0.100         0.04
  unaccounted                               0.12  in the worst iteration 0.35 %

  hidden all-reduce   30.000 ms under the layers' work
  slowest rank        1 on node1: 76.500 ms in its layers, 0.99 % above the median rank
  peak memory         3.0 GiB in the process of rank 1 (2.5 GiB expected for the training)
  memory of a rank    parameters 1.0 KiB, gradients 2.0 KiB, optimizer 512 B, activations 4.0 KiB, workspace at most 256 B
  cost of profiling   0.21 % of the iteration (95 % interval 0.10 to 0.35, 20 pairs), of which measurement 0.05 %
  twin, unprofiled    -0.25 % of the median iteration (95 % interval -0.75 to 0.12); training +2.44 % (21.000 s against 20.500 s), mean iteration +0.50 % (201.000 ms against 200.000 ms)
)");
}

TEST(ToText, ShowsADashWhereThereIsNothing) {
    RunSummary run;
    run.path = "runs/killed.h5";
    run.status = "running";
    run.iteration_us = run.images_per_second = run.first_loss = run.last_loss = no_value;
    run.unaccounted_median_percent = run.unaccounted_worst_percent = no_value;
    run.allreduce_hidden_us = no_value;
    run.activity_us.fill(no_value);
    run.layers = {{"fc1",
                   "dense",
                   {no_value, no_value, no_value},
                   {no_value, no_value, no_value},
                   {1, 1, 1},
                   1}};
    const std::string table = to_text(run);
    EXPECT_THAT(table, HasSubstr("  throughput          - images/s\n"));
    EXPECT_THAT(table, HasSubstr("  loss                - -> -\n"));
    EXPECT_THAT(table, ::testing::ContainsRegex("fc1 +-\n"));
    EXPECT_THAT(table, ::testing::Not(HasSubstr("nan")));
}

TEST(SummaryText, SaysWhatWasSeenInsideTheLayersAndHowFarTheMarksAreOff) {
    const TemporaryFolder folder;
    const std::string path = folder.path("run.h5");
    {
        const RunDescription run = sample_description(1, Level::kernel);
        RunWriter writer(path, run, false);
        writer.append(sample_block(run, 0, 8));
        KernelSamples samples;
        for (const std::int64_t iteration : {3, 5, 7}) {
            const auto shift = static_cast<double>(iteration);
            samples.samples.push_back({iteration, 0, 9, 0, 900, 800, 0.5});
            samples.kernels.push_back(
                {iteration, 0, 0, 0, 4, 400, 396, 4, 300 + shift, 100 - shift, 0});
            samples.kernels.push_back({iteration, 0, 1, 1, 2, 90, 45, 45, 45, 45, 0});
            samples.copies.push_back({iteration, 0, 0, 2, 2'097'152, 50, 40});
        }
        samples.samples.push_back({7, 0, 0, 5, 900, absent, absent});
        writer.add_kernels(samples);
        ASSERT_TRUE(writer.finish(RunStatus::complete));
    }
    const std::string summary = to_text(summarize(path));
    EXPECT_THAT(summary, HasSubstr("inside the layers"));
    EXPECT_THAT(summary, HasSubstr("76.2"));  // 305 of 400 us
    EXPECT_THAT(summary, HasSubstr("copies h2d"));
    EXPECT_THAT(summary, HasSubstr("0.050 ms, of it 0.040 ms under layers' kernels; 2.0 MiB"));
    EXPECT_THAT(summary, HasSubstr("within 1.01 % of CUPTI's times in 1 layers' phases above "
                                   "0.1 ms (worst: conv1 forward)"));
    EXPECT_THAT(summary, HasSubstr("medians of 3 sampled iterations (of all ranks); 1 more lost"));
    EXPECT_THAT(check_run_file(path), ::testing::IsEmpty());
}

}  // namespace
}  // namespace layerledger
