#include "progress.hpp"

#include <gmock/gmock.h>

#include <sstream>

namespace layerledger {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// 2026-11-24T03:00:00Z, and a second later at every look.
Progress::Clock ticking_clock() {
    return [now = std::chrono::system_clock::from_time_t(1795489200)]() mutable {
        const auto shown = now;
        now += std::chrono::seconds(1);
        return shown;
    };
}

std::vector<std::string> pieces(const std::string& text, char separator) {
    std::vector<std::string> found;
    std::istringstream in(text);
    for (std::string piece; std::getline(in, piece, separator);) {
        found.push_back(piece);
    }
    return found;
}

ProgressOptions bar_options(int width) {
    ProgressOptions options;
    options.style = ProgressStyle::bar;
    options.iterations = 4;
    options.interval_seconds = 0;
    options.width = [width] { return width; };
    return options;
}

TEST(ProgressLog, WritesTheFirstTheLastAndOneLineAnInterval) {
    std::ostringstream out;
    {
        ProgressOptions options;
        options.iterations = 8;
        options.iterations_per_epoch = 4;
        options.interval_seconds = 10;
        Progress progress(out, options, ticking_clock());
        for (int i = 1; i <= 8; ++i) {
            progress.update(i, 1.0 / i, 4, 128);
        }
    }
    EXPECT_THAT(
        pieces(out.str(), '\n'),
        ElementsAre(
            "2026-11-24T03:00:00Z iteration 1/8 epoch 1/2  32.0 images/s  loss 1.0000  ETA 28 s",
            "2026-11-24T03:00:01Z iteration 4/8 epoch 1/2  32.0 images/s  loss 0.2500  ETA 16 s",
            "2026-11-24T03:00:02Z iteration 7/8 epoch 2/2  32.0 images/s  loss 0.1429  ETA 4 s",
            "2026-11-24T03:00:03Z iteration 8/8 epoch 2/2  32.0 images/s  loss 0.1250  ETA 0 s"));
}

TEST(ProgressLog, LeavesEpochsOutWhereThereAreNone) {
    std::ostringstream out;
    ProgressOptions options;
    options.iterations = 100;
    Progress progress(out, options, ticking_clock());
    progress.update(1, 2.5, 2, 64);
    EXPECT_EQ(out.str(),
              "2026-11-24T03:00:00Z iteration 1/100  32.0 images/s  loss 2.5000  ETA 3 min 18 s\n");
}

TEST(ProgressLog, ForgetsASlowStart) {
    std::ostringstream out;
    ProgressOptions options;
    options.iterations = 1000;
    options.interval_seconds = 1e9;
    Progress progress(out, options, ticking_clock());
    progress.update(1, 0, 60, 10);
    for (int i = 2; i <= 1000; ++i) {
        progress.update(i, 0, 1, 10);
    }
    EXPECT_THAT(pieces(out.str(), '\n').back(), HasSubstr("  10.0 images/s"));
}

TEST(ProgressBar, RedrawsOneLineOfTheTerminalsWidth) {
    std::ostringstream out;
    {
        Progress progress(out, bar_options(84), ticking_clock());
        progress.update(1, 0.5, 2, 64);
        progress.update(4, 0.25, 2, 64);
    }
    const std::string text = out.str();
    ASSERT_TRUE(text.starts_with('\r') && text.ends_with('\n'));
    EXPECT_THAT(
        pieces(text.substr(1, text.size() - 2), '\r'),
        ElementsAre(
            "[##########------------------------------] 1/4  32.0 images/s  loss 0.5000  ETA 6 s",
            "[########################################] 4/4  32.0 images/s  loss 0.2500  ETA 0 s"));
}

TEST(ProgressBar, GivesWayToTheNumbersOnANarrowTerminal) {
    std::ostringstream out;
    {
        Progress progress(out, bar_options(21), ticking_clock());
        progress.update(1, 0.5, 2, 64);
    }
    EXPECT_EQ(out.str(), "\r1/4  32.0 images/s  \n");
}

TEST(ProgressBar, HasNoEscapeCodesWithoutColorAndSomeWith) {
    for (const bool color : {false, true}) {
        std::ostringstream out;
        ProgressOptions options = bar_options(100);
        options.color = color;
        Progress progress(out, options, ticking_clock());
        progress.update(2, 0.5, 2, 64);
        EXPECT_EQ(out.str().find('\x1b') != std::string::npos, color);
    }
}

TEST(ProgressBar, IsNotRedrawnFasterThanItsInterval) {
    std::ostringstream out;
    ProgressOptions options = bar_options(80);
    options.iterations = 1000;
    options.interval_seconds = 0.095;
    Progress progress(out, options, ticking_clock());
    for (int i = 1; i <= 100; ++i) {
        progress.update(i, 0, 0.01, 64);
    }
    EXPECT_THAT(pieces(out.str().substr(1), '\r'), SizeIs(10));
}

TEST(ProgressNone, WritesNothing) {
    std::ostringstream out;
    {
        ProgressOptions options;
        options.style = ProgressStyle::none;
        options.iterations = 1;
        Progress progress(out, options, ticking_clock());
        progress.update(1, 0, 100, 64);
    }
    EXPECT_EQ(out.str(), "");
}

TEST(ProgressOptions, FollowTheSetting) {
    EXPECT_EQ(progress_options("none", 5).style, ProgressStyle::none);
    EXPECT_EQ(progress_options("bar", 5).style, ProgressStyle::bar);
    const ProgressOptions log = progress_options("log", 5);
    EXPECT_EQ(log.style, ProgressStyle::log);
    EXPECT_EQ(log.interval_seconds, 5);
}

}  // namespace
}  // namespace layerledger
