// Where settings come from, and which source counts.
#include <gmock/gmock.h>

#include <optional>

#include "config_support.hpp"

namespace layerledger {
namespace {

using test::ConfigFile;
using test::experiment;

// Every combination of the three sources over the default 1.
struct Case {
    bool in_file;
    bool in_environment;
    bool on_command_line;
    std::int64_t epochs;
};

class Precedence : public testing::TestWithParam<Case> {};

TEST_P(Precedence, IsCommandLineThenEnvironmentThenFileThenDefault) {
    const Case& given = GetParam();
    const ConfigFile file("[train]\nepochs = 2\n");
    std::vector<std::string> arguments;
    std::vector<std::string> environment;
    std::string origin = "default";
    if (given.in_file) {
        arguments = {"--config", file.path()};
        origin = file.path() + ":2";
    }
    if (given.in_environment) {
        environment = {"PATH=/bin", "LAYERLEDGER_TRAIN__EPOCHS=3"};
        origin = "environment LAYERLEDGER_TRAIN__EPOCHS";
    }
    if (given.on_command_line) {
        arguments.insert(arguments.begin(), {"--train.epochs", "4"});
        origin = "command line";
    }
    const Experiment resolved = experiment(arguments, environment);
    EXPECT_EQ(resolved.train.epochs, given.epochs);
    EXPECT_EQ(resolved.blame("train.epochs"), "train.epochs (" + origin + ")");
}

INSTANTIATE_TEST_SUITE_P(AllCombinations, Precedence,
                         testing::Values(Case{false, false, false, 1}, Case{true, false, false, 2},
                                         Case{false, true, false, 3}, Case{true, true, false, 3},
                                         Case{false, false, true, 4}, Case{true, false, true, 4},
                                         Case{false, true, true, 4}, Case{true, true, true, 4}));

TEST(ConfigFiles, TheLastOneThatSetsAKeyCounts) {
    const ConfigFile first("[train]\nepochs = 2\nbatch_size = 8\n", "first.cfg");
    const ConfigFile second("[train]\nepochs = 3\n", "second.cfg");
    const Experiment resolved = experiment({"--config", first.path(), "--config", second.path()});
    EXPECT_EQ(resolved.train.epochs, 3);
    EXPECT_EQ(resolved.train.batch_size, 8);
}

TEST(ConfigFiles, MayHoldCommentsQuotesDottedKeysAndWindowsLineEnds) {
    const ConfigFile file(
        "# a comment\r\n"
        "train.epochs = 2\r\n"
        "\r\n"
        "[ data ]  # images\r\n"
        "  source = folder\r\n"
        "  root=/data/#1   # not a comment before the blank\r\n"
        "[output]\r\n"
        "directory = \" a # b \"  # a comment\r\n"
        "file = # nothing\r\n");
    const Experiment resolved = experiment({"--config", file.path()});
    EXPECT_EQ(resolved.train.epochs, 2);
    EXPECT_EQ(resolved.data.root, "/data/#1");
    EXPECT_EQ(resolved.output.directory, " a # b ");
    EXPECT_EQ(resolved.output.file, "");
}

TEST(CommandLine, TakesAValueAfterABlankOrAnEqualsSign) {
    const Experiment resolved =
        experiment({"--train.epochs", "2", "--train.batch_size=8", "--output.file="});
    EXPECT_EQ(resolved.train.epochs, 2);
    EXPECT_EQ(resolved.train.batch_size, 8);
    EXPECT_EQ(resolved.output.file, "");
}

TEST(CommandLine, ReadsEveryWordForTrueAndFalse) {
    for (const char* yes : {"true", "on", "yes", "1"}) {
        EXPECT_TRUE(experiment({"--output.overwrite", yes}).output.overwrite) << yes;
    }
    for (const char* no : {"false", "off", "no", "0"}) {
        EXPECT_FALSE(experiment({"--sync.overlap", no}).sync.overlap) << no;
    }
}

TEST(CommandLine, ABareFlagMeansTrueAndLeavesTheNextOptionAlone) {
    const Experiment resolved = experiment({"--output.overwrite", "--train.epochs", "2"});
    EXPECT_TRUE(resolved.output.overwrite);
    EXPECT_EQ(resolved.train.epochs, 2);
}

TEST(CommandLine, HelpComesBeforeEveryComplaintAboutValues) {
    const ParsedCommandLine parsed =
        parse_command_line({"--help", "--train.epochs", "many"}, {"LAYERLEDGER_NONSENSE=1"});
    EXPECT_TRUE(parsed.help);
}

TEST(CommandLine, PassesOnPrintConfigAndDryRun) {
    const ParsedCommandLine none = parse_command_line({}, {});
    EXPECT_FALSE(none.help || none.print_config || none.dry_run);
    const ParsedCommandLine both = parse_command_line({"--print-config", "--dry-run"}, {});
    EXPECT_TRUE(both.print_config && both.dry_run);
    EXPECT_FALSE(both.help);
}

TEST(Settings, ReadEachKindOfValue) {
    const Experiment resolved =
        experiment({"--data.source", "folder", "--data.root", "/d", "--data.classes", "cat, dog",
                    "--experiment.seed", "18446744073709551615", "--train.learning_rate", "2.5e-3",
                    "--sync.collective", "mpi", "--profile.level", "kernel"});
    EXPECT_EQ(resolved.data.source, DataSource::folder);
    EXPECT_THAT(resolved.data.classes, testing::ElementsAre("cat", "dog"));
    EXPECT_EQ(resolved.experiment.seed, 18446744073709551615ULL);
    EXPECT_DOUBLE_EQ(resolved.train.learning_rate, 0.0025);
    EXPECT_EQ(resolved.sync.collective, CollectiveChoice::mpi);
    EXPECT_EQ(resolved.profile.level, "kernel");
}

TEST(Settings, WithoutSourcesAreTheDefaultsOfTheirStructs) {
    const Experiment resolved = experiment({});
    EXPECT_EQ(resolved.train.batch_size, TrainSettings{}.batch_size);
    EXPECT_EQ(resolved.sync.bucket_mb, SyncSettings{}.bucket_mb);
    for (const SettingText& setting : resolved.settings) {
        EXPECT_EQ(setting.origin, "default") << setting.key;
    }
}

}  // namespace
}  // namespace layerledger
