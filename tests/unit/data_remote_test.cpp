#include <gmock/gmock.h>

#include "data/class_choice.hpp"
#include "data/remote.hpp"
#include "layerledger/base/error.hpp"

namespace layerledger {
namespace {

using ::testing::HasSubstr;
using Kind = Remote::Kind;

void expect_remote(const std::string& text, Kind kind, const std::string& host,
                   const std::string& source) {
    const Remote remote = parse_remote(text);
    EXPECT_EQ(remote.kind, kind) << text;
    EXPECT_EQ(remote.host, host) << text;
    EXPECT_EQ(remote.source("train"), source) << text;
}

TEST(RemoteParsing, KnowsAllForms) {
    expect_remote("ann@node:/data/set/", Kind::ssh, "ann@node", "ann@node:/data/set/train/");
    expect_remote("node:set", Kind::ssh, "node", "node:set/train/");
    expect_remote("node:/", Kind::ssh, "node", "node:/train/");
    expect_remote("ann@[::1]:/data", Kind::ssh, "ann@[::1]", "ann@[::1]:/data/train/");
    expect_remote("rsync://node:873/module/set", Kind::daemon, "node:873",
                  "rsync://node:873/module/set/train/");
    expect_remote("node::module/set", Kind::daemon, "node", "node::module/set/train/");
    expect_remote("/data/set//", Kind::local, "", "/data/set/train/");
    expect_remote("sets/a:b", Kind::local, "", "sets/a:b/train/");
    expect_remote("/", Kind::local, "", "/train/");
    EXPECT_EQ(parse_remote("node:/data").source(""), "node:/data/");
    EXPECT_EQ(parse_remote("node:/data").source("x/"), "node:/data/x/");
}

TEST(RemoteParsing, RefusesWhatIsNoPlaceAndSaysWhatIs) {
    for (const char* text : {"", "--rsh=evil", "-oProxyCommand=x:/y", "ann@-oProxyCommand=x:/y",
                             "http://node/set", "rsync://node", "rsync:///module",
                             "node:", "node::", ":/set", "ann@:/set", "node:/a\nb"}) {
        try {
            static_cast<void>(parse_remote(text));
            FAIL() << "'" << text << "' is taken";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ExitCode::configuration) << text;
            EXPECT_THAT(error.what(), HasSubstr("user@host:/path")) << text;
        }
    }
}

TEST(FilterRules, TakeTheChosenClassesAndNothingElse) {
    EXPECT_EQ(filter_rules("", {"cat", "dog house"}),
              "R /LOC_val_solution.csv\nR /val_labels.txt\nR /val.txt\n"
              "R /imagenet_2012_validation_synset_labels.txt\n"
              "R /LOC_synset_mapping.txt\nR /synset_words.txt\nP /*.txt\nP /*.csv\n"
              "+ /train/\n"
              "+ /train/cat/\n+ /train/cat/*\n+ /train/dog house/\n+ /train/dog house/*\n"
              "+ /val/\n"
              "+ /val/cat/\n+ /val/cat/*\n+ /val/dog house/\n+ /val/dog house/*\n"
              "- /val/*/\n+ /val/*\n+ /*.txt\n+ /*.csv\n- *\n");
}

TEST(FilterRules, NameEveryFolderAboveTheSet) {
    EXPECT_THAT(filter_rules("ILSVRC/Data/", {"cat"}),
                HasSubstr("\n+ /ILSVRC/\n+ /ILSVRC/Data/\n+ /ILSVRC/Data/train/\n"
                                      "+ /ILSVRC/Data/train/cat/\n"));
}

// A rule without wildcards is compared letter by letter, also a backslash.
TEST(FilterRules, GuardWildcardsInNames) {
    const std::string rules = filter_rules("", {"a\\b", "c*[d]?"});
    EXPECT_THAT(rules, HasSubstr("+ /train/a\\b/\n+ /train/a\\\\b/*\n"));
    EXPECT_THAT(rules, HasSubstr("+ /train/c\\*\\[d]\\?/\n+ /train/c\\*\\[d]\\?/*\n"));
}

TEST(ClassChoice, IsAllOrTheFirstOrTheNamed) {
    const std::vector<std::string> found{"a", "b", "c"};
    EXPECT_EQ(choose_classes(found, {}), found);
    EXPECT_EQ(choose_classes(found, {"2"}), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(choose_classes(found, {"c", "a"}), (std::vector<std::string>{"a", "c"}));
    EXPECT_THROW(static_cast<void>(choose_classes(found, {"c", "d"})), Error);
}

}  // namespace
}  // namespace layerledger
