// A process' TCP connections and its node's interfaces: over which network other nodes are reached
// is what the connections say, whatever was asked for.
#pragma once

#include <cstdint>
#include <istream>
#include <set>
#include <string>
#include <vector>

namespace layerledger {

/// An address of this node; an interface may have several.
struct Interface {
    std::string name;     ///< "eth0"
    std::string address;  ///< "10.0.0.7", "fd00::7"
    friend bool operator==(const Interface&, const Interface&) = default;
};

struct Connection {
    std::string local;  ///< address
    int local_port = 0;
    std::string remote;
    int remote_port = 0;
    bool is_established = false;  ///< false: the other end has not answered
    friend auto operator<=>(const Connection&, const Connection&) = default;
};

/// Those that are up, loopback too.
[[nodiscard]] std::vector<Interface> node_interfaces();

/// "eth0 10.0.0.7, ib0 10.1.0.7", without loopback, and of IPv6 without link-local ones.
[[nodiscard]] std::string interfaces_text(const std::vector<Interface>& interfaces);

/// "10.0.0.7 (eth0)".
[[nodiscard]] std::string with_interface(const std::string& address,
                                         const std::vector<Interface>& interfaces);

/// Of this process, established or on the way to be.
[[nodiscard]] std::set<Connection> own_connections();
/// Of another one of this user's on this node; none of one that may not be looked at.
[[nodiscard]] std::set<Connection> connections_of(int process);

/// Those whose other end is on another node.
[[nodiscard]] std::set<Connection> leaving_the_node(std::set<Connection> connections,
                                                    const std::vector<Interface>& interfaces);

/// Where established `connections` to other nodes begin.
[[nodiscard]] std::vector<Interface> ways_to_other_nodes(const std::set<Connection>& connections,
                                                         const std::vector<Interface>& interfaces);

/// The connections in a table as /proc/net/tcp and tcp6 are, of sockets with these inodes.
[[nodiscard]] std::set<Connection> read_connections(std::istream& table,
                                                    const std::set<std::uint64_t>& inodes);

}  // namespace layerledger
