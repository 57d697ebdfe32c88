#include "layerledger/record/checkpoint_file.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "layerledger/base/error.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::IsEmpty;
using testing::TemporaryFolder;

Checkpoint sample(std::int64_t iteration = 40) {
    Checkpoint checkpoint;
    checkpoint.run_id = "a-run";
    checkpoint.date_created = "2026-11-25T00:00:00Z";
    checkpoint.iteration = iteration;
    checkpoint.next_batch = iteration;
    checkpoint.skipped_images = 2;
    checkpoint.config_text = "[train]\nbatch_size = 4\n";
    checkpoint.identity = {{"network", "lenet5"}, {"world_size", "2"}};
    checkpoint.versions = {{"layerledger", "0.1.0"}};
    checkpoint.state_names = {"mean_square_gradient", "mean_square_step"};
    checkpoint.parameters = {{"conv1/conv/weight",
                              {2, 1, 1, 3},
                              {1, 2, 3, 4, 5, 6},
                              {{1, 1, 1, 1, 1, 1}, {2, 2, 2, 2, 2, 2}}},
                             {"conv1/conv/bias", {2}, {-0.0F, 7}, {{3, 3}, {4, 4}}}};
    checkpoint.statistics = {{0.5F, 1}, {0.25F, 2}};
    checkpoint.random = {{3, 0xFFFFFFFFFFFFFFFFULL}, {4, 5}};
    return checkpoint;
}

ExitCode code_of_reading(const std::string& path) {
    try {
        static_cast<void>(read_checkpoint(path));
    } catch (const Error& error) {
        return error.code();
    }
    return ExitCode::ok;
}

void expect_equal(const Checkpoint& a, const Checkpoint& b) {
    EXPECT_EQ(a.run_id, b.run_id);
    EXPECT_EQ(a.date_created, b.date_created);
    EXPECT_EQ(a.iteration, b.iteration);
    EXPECT_EQ(a.next_batch, b.next_batch);
    EXPECT_EQ(a.skipped_images, b.skipped_images);
    EXPECT_EQ(a.config_text, b.config_text);
    EXPECT_EQ(a.identity, b.identity);
    EXPECT_EQ(a.versions, b.versions);
    EXPECT_EQ(a.state_names, b.state_names);
    EXPECT_EQ(a.statistics, b.statistics);
    EXPECT_EQ(a.random, b.random);
    ASSERT_EQ(a.parameters.size(), b.parameters.size());
    for (std::size_t p = 0; p < a.parameters.size(); ++p) {
        EXPECT_EQ(a.parameters[p].name, b.parameters[p].name);
        EXPECT_EQ(a.parameters[p].dims, b.parameters[p].dims);
        EXPECT_EQ(a.parameters[p].values, b.parameters[p].values);
        EXPECT_EQ(a.parameters[p].optimizer, b.parameters[p].optimizer);
    }
}

TEST(CheckpointFile, ReadsBackWhatWasWritten) {
    const TemporaryFolder folder;
    write_checkpoint(folder.path("c.h5"), sample());
    expect_equal(read_checkpoint(folder.path("c.h5")), sample());
    EXPECT_EQ(read_checkpoint(folder.path("c.h5")).identity_of("network"), "lenet5");
    EXPECT_EQ(sample().identity_of("nothing"), "");
}

TEST(CheckpointFile, MayHaveNoStates) {
    const TemporaryFolder folder;
    Checkpoint plain = sample();
    plain.state_names.clear();
    for (Checkpoint::Tensor& tensor : plain.parameters) {
        tensor.optimizer.clear();
    }
    plain.statistics = {{}, {}};
    plain.random = {{}, {}};
    write_checkpoint(folder.path("c.h5"), plain);
    expect_equal(read_checkpoint(folder.path("c.h5")), plain);
}

TEST(CheckpointFile, IsRefusedWhereItIsNotWhole) {
    const TemporaryFolder folder;
    const std::string path = folder.path("c.h5");
    EXPECT_EQ(code_of_reading(path), ExitCode::input_missing);
    std::ofstream(path) << "text";
    EXPECT_EQ(code_of_reading(path), ExitCode::bad_data);
    write_checkpoint(path, sample());
    const auto size = std::filesystem::file_size(path);
    for (const auto part : {size - 1, size / 2, std::uintmax_t{512}, std::uintmax_t{8}}) {
        write_checkpoint(path, sample());
        std::filesystem::resize_file(path, part);
        EXPECT_EQ(code_of_reading(path), ExitCode::bad_data) << part;
    }
}

TEST(CheckpointFile, IsRefusedWhereAnyOfItsBytesIsAnother) {
    const TemporaryFolder folder;
    const std::string path = folder.path("c.h5");
    write_checkpoint(path, sample());
    std::ifstream whole(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(whole), {}};
    const auto refused = [&](const std::string& other) {
        std::ofstream(path, std::ios::binary) << other;
        try {
            static_cast<void>(read_checkpoint(path));
        } catch (const Error& error) {
            const std::string said = error.what();
            return error.code() == ExitCode::bad_data && said.starts_with("'" + path + "' is no") &&
                   (said.ends_with(") copy it again or use another one") ||
                    said.ends_with("beside its NAME.h5"));
        }
        return false;
    };
    for (std::size_t at = 4096; at < bytes.size(); at += 97) {
        std::string other = bytes;
        other[at] = static_cast<char>(other[at] ^ 1);
        EXPECT_TRUE(refused(other)) << at;
    }
    // As a copy into a file that was made in its full length first.
    for (const std::size_t left : {std::size_t{0}, std::size_t{30}, bytes.size() / 2}) {
        EXPECT_TRUE(refused(bytes.substr(0, left) + std::string(bytes.size() - left, '\0')));
    }
    EXPECT_FALSE(refused(bytes));
}

TEST(CheckpointFolder, LosesNothingWhereLatestCannotBeWritten) {
    const TemporaryFolder place;
    const CheckpointFolder folder(place.path("c"), 1);
    folder.save(sample(1));
    std::filesystem::remove(place.path("c/latest"));
    std::filesystem::create_directories(place.path("c/latest/in the way"));
    EXPECT_THAT(folder.save(sample(2)), EndsWith("checkpoint-000000000002.h5"));
    EXPECT_THAT(folder.files(), ElementsAre(EndsWith("checkpoint-000000000002.h5")));
}

TEST(CheckpointFile, KeepsTheOlderOneWhereItCannotBeWritten) {
    const TemporaryFolder folder;
    std::filesystem::create_directory(folder.path("c.h5"));  // in the way of the new name
    std::ofstream(folder.path("c.h5/older")) << "x";
    EXPECT_THROW(write_checkpoint(folder.path("c.h5"), sample()), Error);
    EXPECT_TRUE(std::filesystem::exists(folder.path("c.h5/older")));
    EXPECT_FALSE(std::filesystem::exists(folder.path("c.h5.part")));
}

TEST(CheckpointFolder, KeepsTheNewestAndNamesTheLatest) {
    const TemporaryFolder place;
    const CheckpointFolder folder(place.path("run.checkpoints"), 2);
    EXPECT_THAT(folder.files(), IsEmpty());
    EXPECT_FALSE(folder.newest_whole());
    folder.prepare();
    for (const std::int64_t iteration : {9, 10, 100}) {
        const std::string path = folder.save(sample(iteration));
        EXPECT_TRUE(folder.holds(path));
    }
    EXPECT_THAT(folder.files(), ElementsAre(EndsWith("checkpoint-000000000100.h5"),
                                            EndsWith("checkpoint-000000000010.h5")));
    std::string latest;
    std::ifstream(place.path("run.checkpoints/latest")) >> latest;
    EXPECT_EQ(latest, "checkpoint-000000000100.h5");
    EXPECT_EQ(folder.newest_whole()->checkpoint.iteration, 100);
    folder.remove_after(10);
    EXPECT_EQ(folder.newest_whole()->checkpoint.iteration, 10);
}

TEST(CheckpointFolder, GoesBackToTheNewestWholeOne) {
    const TemporaryFolder place;
    const CheckpointFolder folder(place.path("c"), 5);
    folder.save(sample(1));
    folder.save(sample(2));
    const std::string broken = folder.save(sample(3));
    std::filesystem::resize_file(broken, 600);
    EXPECT_EQ(folder.newest_whole()->checkpoint.iteration, 2);
    folder.set_aside_after(2);
    EXPECT_EQ(folder.files().size(), 2U);
    EXPECT_FALSE(std::filesystem::exists(broken));
    EXPECT_EQ(std::filesystem::file_size(broken + ".unreadable"), 600U);
}

TEST(CheckpointFolder, TakesAwayHalvesAndRefusesWhatIsNoFolder) {
    const TemporaryFolder place;
    const CheckpointFolder folder(place.path("c"), 5);
    folder.prepare();
    std::ofstream(place.path("c/checkpoint-000000000004.h5.part")) << "half";
    EXPECT_THAT(folder.files(), IsEmpty());
    folder.prepare();
    EXPECT_TRUE(std::filesystem::is_empty(place.path("c")));
    std::ofstream(place.path("file")) << "x";
    EXPECT_THROW(CheckpointFolder(place.path("file"), 1).prepare(), Error);
}

}  // namespace
}  // namespace layerledger
