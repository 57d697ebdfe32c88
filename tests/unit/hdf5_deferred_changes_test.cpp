#include "hdf5/deferred_changes.hpp"

#include <gtest/gtest.h>

#include <string>

namespace layerledger {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

/// What is held back, in order, as "address:bytes" words.
std::string held_back(DeferredChanges& changes) {
    std::string words;
    EXPECT_TRUE(changes.apply([&](std::uint64_t address, std::span<const std::byte> bytes) {
        words += std::to_string(address) + ':';
        for (const std::byte byte : bytes) {
            words += static_cast<char>(byte);
        }
        words += ' ';
        return true;
    }));
    return words;
}

class DeferredChangesTest : public ::testing::Test {
protected:
    DeferredChangesTest() { changes_.defer_below(20); }
    std::size_t defer(std::uint64_t address, const std::string& text) {
        return changes_.defer(address, bytes_of(text));
    }
    DeferredChanges changes_;
};

TEST_F(DeferredChangesTest, LetsThroughWhatIsBehindTheEnd) {
    EXPECT_EQ(defer(20, "new"), 0U);
    EXPECT_EQ(held_back(changes_), "");
}

TEST_F(DeferredChangesTest, HoldsBackThePartBeforeTheEnd) {
    EXPECT_EQ(defer(18, "abcd"), 2U);
    EXPECT_EQ(held_back(changes_), "18:ab ");
}

TEST_F(DeferredChangesTest, HandsOverByRisingAddress) {
    defer(9, "c");
    defer(0, "a");
    defer(4, "b");
    EXPECT_EQ(held_back(changes_), "0:a 4:b 9:c ");
    EXPECT_EQ(held_back(changes_), "");
}

TEST_F(DeferredChangesTest, KeepsNeighboursApart) {
    defer(4, "ef");
    defer(0, "ab");
    defer(2, "cd");
    EXPECT_EQ(held_back(changes_), "0:ab 2:cd 4:ef ");
}

TEST_F(DeferredChangesTest, KeepsTheNewerOfTwoChangesOfOneByte) {
    defer(2, "cdef");
    defer(0, "ABC");
    EXPECT_EQ(held_back(changes_), "0:ABCdef ");
    defer(0, "abcdef");
    defer(2, "X");
    EXPECT_EQ(held_back(changes_), "0:abXdef ");
    defer(1, "b");
    defer(5, "f");
    defer(0, "ABCDEFG");
    EXPECT_EQ(held_back(changes_), "0:ABCDEFG ");
}

TEST_F(DeferredChangesTest, ShowsThemToReads) {
    defer(2, "cd");
    defer(8, "ij");
    std::string read = "........";  // from address 1
    changes_.overlay(1, std::as_writable_bytes(std::span(read)));
    EXPECT_EQ(read, ".cd....i");
}

TEST_F(DeferredChangesTest, StoresNothingMoreOnceWithheld) {
    defer(0, "a");
    changes_.withhold();
    defer(5, "b");
    int stored = 0;
    EXPECT_FALSE(changes_.apply([&](std::uint64_t, auto) { return ++stored > 0; }));
    EXPECT_EQ(stored, 0);
}

TEST_F(DeferredChangesTest, KeepsAllWhereOneCannotBeStored) {
    defer(0, "a");
    defer(5, "b");
    EXPECT_FALSE(changes_.apply([](std::uint64_t address, auto) { return address == 0; }));
    EXPECT_EQ(held_back(changes_), "0:a 5:b ");
}

}  // namespace
}  // namespace layerledger
