// Wrong input: the exact words and the exit code.
#include "config_support.hpp"

namespace layerledger {
namespace {

using test::complaint;
using test::complaint_about;
using test::ConfigFile;

std::string complaint_about_file(const ConfigFile& file) {
    return complaint_about({"--config", file.path()});
}

TEST(UnknownSetting, OnTheCommandLineNamesTheNearest) {
    EXPECT_EQ(complaint_about({"--train.batchsize", "8"}),
              "78: unknown setting 'train.batchsize' (command line); did you mean "
              "'train.batch_size'?");
    EXPECT_EQ(complaint_about({"--train.batchsize=8"}),
              "78: unknown setting 'train.batchsize' (command line); did you mean "
              "'train.batch_size'?");
}

TEST(UnknownSetting, IsNotGuessedFromItsFirstLetters) {
    EXPECT_EQ(complaint_about({"--train.epoch", "8"}),
              "78: unknown setting 'train.epoch' (command line); did you mean 'train.epochs'?");
}

TEST(UnknownSetting, InTheWrongSectionIsFound) {
    EXPECT_EQ(complaint_about({"--train.bucket_mb", "8"}),
              "78: unknown setting 'train.bucket_mb' (command line); did you mean "
              "'sync.bucket_mb'?");
}

TEST(UnknownSetting, FarFromEveryKeySaysWhereToLook) {
    EXPECT_EQ(complaint_about({"--color.background", "red"}),
              "78: unknown setting 'color.background' (command line); see 'layerledger train "
              "--help'");
}

TEST(UnknownSetting, InAFileNamesItsLine) {
    const ConfigFile file("[network]\narchitecture = lenet5\n\n# comment\n[train]\nepoch = 3\n");
    EXPECT_EQ(complaint_about_file(file), "78: unknown setting 'train.epoch' (" + file.path() +
                                              ":6); did you mean 'train.epochs'?");
}

TEST(UnknownSetting, InTheEnvironmentNamesTheNearestVariable) {
    EXPECT_EQ(complaint_about({}, {"LAYERLEDGER_TRAIN_EPOCHS=3"}),
              "78: unknown setting 'LAYERLEDGER_TRAIN_EPOCHS' (environment); did you mean "
              "'LAYERLEDGER_TRAIN__EPOCHS'?");
}

TEST(UnknownOption, NamesTheNearest) {
    EXPECT_EQ(complaint_about({"--dryrun"}),
              "64: unknown option '--dryrun' (command line); did you mean '--dry-run'?");
    EXPECT_EQ(complaint_about({"--batch_size", "8"}),
              "64: unknown option '--batch_size' (command line); did you mean "
              "'--train.batch_size'?");
    EXPECT_EQ(complaint_about({"-x"}),
              "64: unknown option '-x' (command line); see 'layerledger train --help'");
}

TEST(WrongValue, OfTheWrongTypeSaysWhatItTakes) {
    EXPECT_EQ(complaint_about({"--train.epochs", "ten"}),
              "78: train.epochs cannot be 'ten' (command line); it takes a whole number from 1 to "
              "1000000");
    EXPECT_EQ(complaint_about({"--train.epochs", "1.5"}),
              "78: train.epochs cannot be '1.5' (command line); it takes a whole number from 1 to "
              "1000000");
    EXPECT_EQ(complaint_about({"--train.learning_rate", "nan"}),
              "78: train.learning_rate cannot be 'nan' (command line); it takes a number above 0");
    EXPECT_EQ(complaint_about({"--output.overwrite=maybe"}),
              "78: output.overwrite cannot be 'maybe' (command line); it takes true or false");
    EXPECT_EQ(complaint_about({"--data.classes", "cat,,dog"}),
              "78: data.classes cannot be 'cat,,dog' (command line); it takes names with commas "
              "between them");
    EXPECT_EQ(complaint_about({"--experiment.name", "a/b"}),
              "78: experiment.name cannot be 'a/b' (command line); it takes a name without '/'");
}

TEST(WrongValue, ListsTheChoices) {
    EXPECT_EQ(complaint_about({"--train.optimizer", "adam"}),
              "78: train.optimizer cannot be 'adam' (command line); it takes sgd | momentum | "
              "adagrad | adadelta");
    EXPECT_EQ(complaint_about({"--device.backend", "gpu"}),
              "78: device.backend cannot be 'gpu' (command line); it takes auto | cuda | cpu");
}

TEST(WrongValue, NamesTheFileAndLineOrTheVariable) {
    const ConfigFile file("[train]\nepochs = 3\nbatch_size = none  # oops\n");
    EXPECT_EQ(complaint_about_file(file), "78: train.batch_size cannot be 'none' (" + file.path() +
                                              ":3); it takes a whole number from 1 to 1000000");
    EXPECT_EQ(complaint_about({}, {"LAYERLEDGER_TRAIN__EPOCHS="}),
              "78: train.epochs cannot be '' (environment LAYERLEDGER_TRAIN__EPOCHS); it takes a "
              "whole number from 1 to 1000000");
}

struct Bound {
    std::string key;
    std::string inside;
    std::string outside;
};

class Range : public testing::TestWithParam<Bound> {};

TEST_P(Range, EndsWhereItShould) {
    const auto& [key, inside, outside] = GetParam();
    EXPECT_EQ(complaint_about({"--" + key, inside}), "no error");
    const std::string refused = complaint_about({"--" + key, outside});
    EXPECT_TRUE(refused.starts_with("78: " + key + " cannot be '" + outside + "' (command line)"))
        << refused;
}

INSTANTIATE_TEST_SUITE_P(
    Settings, Range,
    testing::Values(Bound{"experiment.seed", "0", "-1"}, Bound{"network.classes", "0", "-1"},
                    Bound{"data.workers", "0", "-1"}, Bound{"data.crop_share", "1", "0"},
                    Bound{"data.central_share", "0", "1.1"}, Bound{"data.prefetch", "1", "0"},
                    Bound{"train.batch_size", "1", "0"},
                    Bound{"train.batch_size", "1000000", "1000001"},
                    Bound{"train.epochs", "1000000", "1000001"},
                    Bound{"sync.timeout_seconds", "9999999", "1e12"},
                    Bound{"sync.rendezvous_seconds", "0.1", "0"},
                    Bound{"sync.bucket_mb", "999999", "1e300"},
                    Bound{"train.learning_rate", "1e-9", "0"}, Bound{"train.momentum", "0", "-0.1"},
                    Bound{"train.momentum", "0.999", "1"}, Bound{"train.weight_decay", "0", "-1"},
                    Bound{"train.topk", "1", "0"}, Bound{"train.digest_every", "1", "0"},
                    Bound{"sync.bucket_mb", "0.001", "0"}, Bound{"profile.warmup", "0", "-1"},
                    Bound{"profile.every", "1", "0"}, Bound{"output.commit_seconds", "0.1", "0"},
                    Bound{"device.threads", "0", "-1"}));

TEST(WrongFile, ThatIsMissingOrAFolder) {
    EXPECT_EQ(complaint_about({"--config", "/no/such.cfg"}),
              "66: cannot read the config file '/no/such.cfg' (there is no such file); check "
              "--config");
    EXPECT_EQ(complaint_about({"--config", "/"}),
              "66: cannot read the config file '/' (it is a folder); check --config");
}

TEST(WrongFile, WithAKeyTwiceNamesBothLines) {
    const ConfigFile file("[train]\nepochs = 3\n[sync]\noverlap = off\n[train]\nepochs = 4\n");
    EXPECT_EQ(complaint_about_file(file), "78: train.epochs is set twice (" + file.path() +
                                              ":2 and " + file.path() + ":6); keep one of the two");
}

TEST(WrongFile, WithALineThatIsNoSetting) {
    const ConfigFile words("[train]\nepochs 3\n", "words.cfg");
    EXPECT_EQ(complaint_about_file(words), "78: 'epochs 3' is neither a section nor a setting (" +
                                               words.path() + ":2); write key = value");
    const ConfigFile section("\n[train\n", "section.cfg");
    EXPECT_EQ(complaint_about_file(section),
              "78: '[train' is no section (" + section.path() + ":2); write [name]");
    const ConfigFile quote("[data]\nroot = \"/a\n", "quote.cfg");
    EXPECT_EQ(complaint_about_file(quote),
              "78: a quote is never closed (" + quote.path() + ":2); end the value with '\"'");
}

TEST(WrongCommandLine, WithAStrayWord) {
    EXPECT_EQ(complaint_about({"--train.epochs", "3", "configs/alexnet-64.cfg"}),
              "64: stray word 'configs/alexnet-64.cfg' (command line); settings are given as "
              "--section.key VALUE");
}

TEST(WrongCommandLine, WithAFlagThatIsNeitherTrueNorFalse) {
    EXPECT_EQ(complaint_about({"--output.overwrite", "perhaps"}),
              "78: output.overwrite cannot be 'perhaps' (command line); it takes true or false");
}

TEST(WrongCommandLine, WithAnOptionWithoutItsValue) {
    EXPECT_EQ(complaint_about({"--train.epochs"}),
              "64: option '--train.epochs' has no value (command line); see 'layerledger train "
              "--help'");
    EXPECT_EQ(complaint_about({"--config"}),
              "64: option '--config' has no value (command line); see 'layerledger train --help'");
}

TEST(WrongCommandLine, WithASettingTwice) {
    EXPECT_EQ(complaint_about({"--train.epochs", "3", "--train.epochs=4"}),
              "78: train.epochs is set twice (command line); keep one of the two");
}

TEST(WrongCombination, OfImagesInAFolderWithoutTheFolder) {
    EXPECT_EQ(complaint_about({"--data.source", "folder"}),
              "78: data.root is not set, but data.source is folder (command line); give the folder "
              "that holds train/ and val/");
}

TEST(WrongCombination, OfAFolderWithoutTheWordThatItIsTheSource) {
    EXPECT_EQ(complaint_about({"--data.root", "photos"}),
              "78: data.root is set (command line), but data.source is not, and is synthetic then; "
              "set data.source = folder");
    EXPECT_EQ(complaint_about({"--data.file", "photos.h5"}),
              "78: data.file is set (command line), but data.source is not, and is synthetic then; "
              "set data.source = packed");
}

TEST(WrongCombination, OfARemoteForImagesThatComeFromNowhere) {
    EXPECT_EQ(complaint_about({"--data.remote", "node:/set"}),
              "78: data.remote is set, but data.source is not folder (command line); set "
              "data.source = folder, or unset data.remote");
}

}  // namespace
}  // namespace layerledger
