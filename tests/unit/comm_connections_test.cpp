#include "layerledger/comm/connections.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

namespace layerledger {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::vector<Interface> interfaces{
    {"lo", "127.0.0.1"}, {"eth0", "10.77.0.1"}, {"ib0", "10.78.0.1"}, {"eth0", "fe80::1"}};

// As a kernel on x86 writes it: addresses are numbers in the machine's order of bytes.
std::set<Connection> read(const std::string& rows, const std::set<std::uint64_t>& inodes) {
    std::istringstream table("  sl  local_address rem_address   st tx_queue ...\n" + rows);
    return read_connections(table, inodes);
}

TEST(Connections, AreReadFromTheKernelsTable) {
    const auto found = read(
        "   0: 0100007F:A9D1 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 11 1\n"
        "   1: 01004D0A:D36F 02004D0A:0400 01 00000000:00000000 00:00000000 00000000 0 0 12 2\n"
        "   2: 01004D0A:D370 02004D0A:0400 02 00000000:00000000 00:00000000 00000000 0 0 13 2\n"
        "   3: 01004D0A:D371 02004D0A:0400 06 00000000:00000000 00:00000000 00000000 0 0 14 2\n"
        "   4: 01004D0A:D372 02004D0A:0400 01 00000000:00000000 00:00000000 00000000 0 0 15 2\n",
        {11, 12, 13, 14});
    EXPECT_THAT(found, ElementsAre(Connection{"10.77.0.1", 0xD36F, "10.77.0.2", 0x400, true},
                                   Connection{"10.77.0.1", 0xD370, "10.77.0.2", 0x400, false}));
}

TEST(Connections, MayBeOfIPv6OrOfIPv4InItsPlace) {
    const auto found = read(
        "   0: 000000FD000000000000000007000000:1F90 000000FD000000000000000008000000:1F91 01 "
        "00000000:00000000 00:00000000 00000000 0 0 11 1\n"
        "   1: 0000000000000000FFFF000001004D0A:0016 0000000000000000FFFF000002004D0A:0017 01 "
        "00000000:00000000 00:00000000 00000000 0 0 11 1\n",
        {11});
    EXPECT_THAT(found, ElementsAre(Connection{"10.77.0.1", 22, "10.77.0.2", 23, true},
                                   Connection{"fd00::7", 8080, "fd00::8", 8081, true}));
}

TEST(Connections, InATableThatIsNoneAreNone) {
    EXPECT_THAT(read("", {11}), IsEmpty());
    EXPECT_THAT(read("what is this\n 1: 0100007F 0100007F:1 01 0 0 0 0 0 11\n"
                     " 1: 0100007G:0001 0100007F:1 01 0:0 0:0 0 0 0 11\n",
                     {0, 11}),
                IsEmpty());
}

TEST(Connections, OfThisProcessAreFound) {
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(bind(server, reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(listen(server, 1), 0);
    ASSERT_EQ(getsockname(server, reinterpret_cast<sockaddr*>(&address), &size), 0);
    const auto is_client = [&](const Connection& one) {
        return one.remote == "127.0.0.1" && one.remote_port == ntohs(address.sin_port) &&
               one.is_established;
    };
    EXPECT_TRUE(std::ranges::none_of(own_connections(), is_client));
    ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_TRUE(std::ranges::any_of(own_connections(), is_client));
    EXPECT_TRUE(std::ranges::any_of(connections_of(getpid()), is_client));
    close(client);
    close(server);
}

TEST(Connections, ToOtherNodesTellTheWay) {
    const std::set<Connection> connections{
        {"127.0.0.1", 1, "127.0.0.1", 2, true},   // the launcher's daemon
        {"10.77.0.1", 3, "10.77.0.1", 4, true},   // a rank of this node
        {"10.77.0.1", 5, "10.77.0.2", 6, false},  // not there yet
        {"10.78.0.1", 7, "10.78.0.2", 8, true},
        {"10.78.0.1", 9, "10.78.0.3", 10, true}};
    EXPECT_THAT(ways_to_other_nodes(connections, interfaces),
                ElementsAre(Interface{"ib0", "10.78.0.1"}));
    EXPECT_EQ(leaving_the_node(connections, interfaces).size(), 3U);
    EXPECT_EQ(with_interface("10.78.0.1", interfaces), "10.78.0.1 (ib0)");
    EXPECT_EQ(with_interface("10.79.0.1", interfaces), "10.79.0.1");
}

TEST(Interfaces, AreNamedWithoutTheOnesThatLeadNowhere) {
    EXPECT_EQ(interfaces_text(interfaces), "eth0 10.77.0.1, ib0 10.78.0.1");
    EXPECT_TRUE(std::ranges::any_of(node_interfaces(), [](const Interface& one) {
        return one.name == "lo" && one.address == "127.0.0.1";
    }));
}

}  // namespace
}  // namespace layerledger
