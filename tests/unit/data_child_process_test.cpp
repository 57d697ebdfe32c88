#include "data/child_process.hpp"

#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <system_error>

namespace layerledger {
namespace {

using namespace std::chrono_literals;
using Cause = ChildEnd::Cause;

struct Ran {
    ChildEnd end;
    std::string output, errors;
};

Ran run(
    std::vector<std::string> words, std::string input = {}, std::chrono::nanoseconds silence = 60s,
    std::function<bool()> stop = [] { return false; }) {
    Ran ran;
    ChildWatch watch;
    watch.output = [&](std::string_view piece) { ran.output += piece; };
    watch.errors = [&](std::string_view piece) { ran.errors += piece; };
    watch.stop = std::move(stop);
    watch.silence = silence;
    ran.end = run_child({std::move(words), {"LL_TEST=of ours"}, std::move(input), {}}, watch);
    return ran;
}

TEST(ChildProcess, GivesOutputErrorsAndStatus) {
    const Ran ran = run({"sh", "-c", "echo $LL_TEST; echo bad >&2; exit 7"});
    EXPECT_EQ(ran.end.cause, Cause::exited);
    EXPECT_EQ(ran.end.code, 7);
    EXPECT_EQ(ran.output, "of ours\n");
    EXPECT_EQ(ran.errors, "bad\n");
}

TEST(ChildProcess, NeedsNoShell) {
    EXPECT_EQ(run({"echo", "$HOME; `x` \"y\" *"}).output, "$HOME; `x` \"y\" *\n");
}

TEST(ChildProcess, PassesMoreThanAPipeHolds) {
    const std::string much(1'000'000, 'x');
    EXPECT_EQ(run({"cat"}, much).output, much);
}

TEST(ChildProcess, OutlivesAProgramThatDoesNotRead) {
    EXPECT_EQ(run({"true"}, std::string(1'000'000, 'x')).end.code, 0);
}

TEST(ChildProcess, SaysWhatSignalKilled) {
    const Ran ran = run({"sh", "-c", "kill -KILL $$"});
    EXPECT_EQ(ran.end.cause, Cause::killed);
    EXPECT_EQ(ran.end.code, SIGKILL);
}

TEST(ChildProcess, ThrowsWhereThereIsNoSuchProgram) {
    EXPECT_THROW(run({"layerledger-no-such-program"}), std::system_error);
}

bool is_alive(const std::string& pid) {
    return ::kill(std::stoi(pid), 0) == 0;
}

TEST(ChildProcess, EndsOneThatFallsSilent) {
    const Ran ran = run({"sh", "-c", "echo $$; exec sleep 100"}, {}, 300ms);
    EXPECT_EQ(ran.end.cause, Cause::silent);
    EXPECT_FALSE(is_alive(ran.output));
}

TEST(ChildProcess, EndsOneOnRequestEvenWhereItIgnoresSigterm) {
    int asked = 0;
    const Ran ran = run({"sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.1; done"}, {}, 60s,
                        [&] { return ++asked > 5; });
    EXPECT_EQ(ran.end.cause, Cause::stopped);
    EXPECT_FALSE(is_alive(ran.output));
}

TEST(ChildProcess, WaitsForNoGrandchildThatHoldsThePipes) {
    const Ran ran = run({"sh", "-c", "echo ready; sleep 5 & exit 3"});
    EXPECT_EQ(ran.end.code, 3);
    EXPECT_EQ(ran.output, "ready\n");
}

}  // namespace
}  // namespace layerledger
