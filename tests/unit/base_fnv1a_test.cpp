#include "layerledger/base/fnv1a.hpp"

#include <gtest/gtest.h>

namespace layerledger {
namespace {

std::uint64_t digest_of(std::string_view bytes) {
    Fnv1a digest;
    digest.add(bytes);
    return digest.value();
}

TEST(Fnv1a, GivesThePublishedDigests) {
    EXPECT_EQ(digest_of(""), 0xCBF29CE484222325U);
    EXPECT_EQ(digest_of("a"), 0xAF63DC4C8601EC8CU);
    EXPECT_EQ(digest_of("foobar"), 0x85944171F73967E8U);
}

TEST(Fnv1a, TakesANumberAsItsBytesFromTheLeast) {
    Fnv1a digest;
    digest.add(std::uint64_t{0x0807060504030201U});
    EXPECT_EQ(digest.value(), digest_of("\1\2\3\4\5\6\7\10"));
}

}  // namespace
}  // namespace layerledger
