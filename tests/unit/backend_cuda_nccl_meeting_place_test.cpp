#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>

#include <cstring>
#include <string>

#include "nccl_meeting_place.hpp"

namespace layerledger::cuda {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

template <class Address>
ncclUniqueId id_with(const Address& address) {
    ncclUniqueId id{};
    std::memcpy(id.internal + 8, &address, sizeof address);
    return id;
}

ncclUniqueId id_at(const char* address, int port) {
    sockaddr_in place{};
    place.sin_family = AF_INET;
    place.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, address, &place.sin_addr);
    return id_with(place);
}

TEST(NcclMeetingPlace, NamesBothEnds) {
    EXPECT_EQ(meeting_place(id_at("127.0.0.1", 4711), 3),
              "rank 0 waits at 127.0.0.1, port 4711; this node reaches it from 127.0.0.1 (lo)");
    EXPECT_EQ(meeting_place(id_at("127.0.0.1", 4711), 0),
              "this rank waits at 127.0.0.1 (lo), port 4711");
}

TEST(NcclMeetingPlace, ReadsTheLongAddressesToo) {
    sockaddr_in6 place{};
    place.sin6_family = AF_INET6;
    place.sin6_port = htons(99);
    ::inet_pton(AF_INET6, "fd00::7", &place.sin6_addr);
    EXPECT_THAT(meeting_place(id_with(place), 1),
                HasSubstr("rank 0 waits at fd00::7, port 99; this node "));
}

TEST(NcclMeetingPlace, SaysNothingOfWhatItDoesNotKnow) {
    EXPECT_EQ(meeting_place(ncclUniqueId{}, 1), "");
}

// NCCL's own id: another version may put the address elsewhere.
TEST(NcclMeetingPlace, UnderstandsTheIdsOfThisNccl) {
    ncclUniqueId id{};
    ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    EXPECT_THAT(meeting_place(id, 0), MatchesRegex("this rank waits at .+ \\(.+\\), port [0-9]+"));
}

}  // namespace
}  // namespace layerledger::cuda
