// Settings as text: the INI that reads back, and the help.
#include <gmock/gmock.h>

#include "config_support.hpp"

namespace layerledger {
namespace {

using test::experiment;

std::vector<std::string> values(const Experiment& experiment) {
    std::vector<std::string> shown;
    for (const SettingText& setting : experiment.settings) {
        shown.push_back(setting.key + "=" + setting.value);
    }
    return shown;
}

TEST(IniText, ReadsBackToTheSameSettings) {
    const Experiment written =
        experiment({"--experiment.name",     "a=b [c]",
                    "--experiment.seed",     "18446744073709551615",
                    "--data.source",         "folder",
                    "--data.root",           R"( /with "quotes", back\slashes # and hashes )",
                    "--output.file",         "\"quoted\"",
                    "--data.classes",        "n01440764,with blank",
                    "--train.learning_rate", "0.1000000000000000055",
                    "--train.epsilon",       "1e-300",
                    "--sync.bucket_mb",      "123456.9",
                    "--sync.overlap",        "off",
                    "--train.schedule",      "cosine"});
    const Experiment read = parse_ini(written.to_ini());
    EXPECT_EQ(values(read), values(written));
    EXPECT_EQ(read.to_ini(), written.to_ini());
    EXPECT_EQ(read.data.root, R"( /with "quotes", back\slashes # and hashes )");
    EXPECT_EQ(read.output.file, "\"quoted\"");
    EXPECT_EQ(read.train.learning_rate, 0.1);
    EXPECT_EQ(read.train.epsilon, 1e-300);
    EXPECT_EQ(read.sync.bucket_mb, 123456.9);
}

TEST(IniText, HoldsWhatMembersHoldNow) {
    Experiment changed = experiment({});
    changed.network.classes = 7;
    EXPECT_EQ(parse_ini(changed.to_ini()).network.classes, 7);
}

TEST(IniText, IsGroupedBySection) {
    const std::string ini = experiment({}).to_ini();
    EXPECT_TRUE(
        ini.starts_with("[experiment]\nname = experiment\nseed = 1\nrepetitions = 1\n\n"
                        "[network]\narchitecture = alexnet\n"))
        << ini;
}

TEST(IniText, RefusesALineBreakInAValue) {
    EXPECT_EQ(test::complaint_about({"--data.root", "a\nb"}),
              "78: data.root cannot be 'a\nb' (command line); it takes a text of one line");
}

TEST(Help, NamesEverySettingWithItsDefault) {
    const std::string help = settings_help();
    for (const SettingText& setting : experiment({}).settings) {
        const std::string option = "--" + setting.key + " ";
        ASSERT_THAT(help, testing::HasSubstr(option));
        const std::string line = help.substr(help.find(option), 60);
        if (!setting.value.empty()) {
            EXPECT_THAT(line, testing::HasSubstr("(=" + setting.value + ")")) << setting.key;
        }
    }
    for (const char* option : {"--help", "--config", "--print-config", "--dry-run"}) {
        EXPECT_THAT(help, testing::HasSubstr(option));
    }
}

TEST(Help, FitsIntoAHundredColumns) {
    std::istringstream in(settings_help());
    for (std::string line; std::getline(in, line);) {
        EXPECT_LE(line.size(), 100U) << line;
    }
}

}  // namespace
}  // namespace layerledger
