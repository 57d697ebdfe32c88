#include "layerledger/comm/connections.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <system_error>

#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

constexpr std::string_view established = "01";
constexpr std::string_view not_answered = "02";  // SYN_SENT
constexpr std::size_t word_digits = 8;

std::string address_text(int family, const void* bytes) {
    std::array<char, INET6_ADDRSTRLEN> shown{};
    inet_ntop(family, bytes, shown.data(), shown.size());
    constexpr std::string_view mapped = "::ffff:";  // IPv4 on a socket of IPv6
    const std::string_view address = shown.data();
    return std::string(address.starts_with(mapped) && address.find('.') != address.npos
                           ? address.substr(mapped.size())
                           : address);
}

template <class Number>
bool read_number(std::string_view digits, int base, Number& number) {
    const auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
    return failure == std::errc{} && end == digits.data() + digits.size();
}

/// "0100007F:0016": words of the address as this machine's numbers, then the port.
bool read_end(std::string_view shown, std::string& address, int& port) {
    const std::size_t colon = shown.find(':');
    if (colon != word_digits && colon != 4 * word_digits) {
        return false;
    }
    std::array<std::uint32_t, 4> words{};
    for (std::size_t i = 0; i < colon / word_digits; ++i) {
        if (!read_number(shown.substr(i * word_digits, word_digits), 16, words.at(i))) {
            return false;
        }
    }
    address = address_text(colon == word_digits ? AF_INET : AF_INET6, words.data());
    return read_number(shown.substr(colon + 1), 16, port);
}

/// Of the sockets that a process has open.
std::set<std::uint64_t> sockets_of(const std::string& process) {
    constexpr std::string_view prefix = "socket:[";
    std::set<std::uint64_t> inodes;
    std::error_code failure;
    for (std::filesystem::directory_iterator file(text("/proc/", process, "/fd"), failure), end;
         !failure && file != end; file.increment(failure)) {
        std::error_code gone;
        const std::string target = std::filesystem::read_symlink(file->path(), gone).string();
        std::uint64_t inode = 0;
        if (!gone && target.starts_with(prefix) &&
            read_number(
                std::string_view(target).substr(prefix.size(), target.size() - prefix.size() - 1),
                10, inode)) {
            inodes.insert(inode);
        }
    }
    return inodes;
}

std::set<Connection> all_of(const std::string& process) {
    const std::set<std::uint64_t> inodes = sockets_of(process);
    std::set<Connection> connections;
    for (const char* table : {"/net/tcp", "/net/tcp6"}) {
        std::ifstream lines(text("/proc/", process, table));
        connections.merge(read_connections(lines, inodes));
    }
    return connections;
}

bool is_loopback(const std::string& address) {
    return address.starts_with("127.") || address == "::1";
}

}  // namespace

std::vector<Interface> node_interfaces() {
    std::vector<Interface> interfaces;
    ifaddrs* first = nullptr;
    if (getifaddrs(&first) != 0) {
        return interfaces;
    }
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> list(first, freeifaddrs);
    for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr || (one->ifa_flags & IFF_UP) == 0) {
            continue;
        }
        if (one->ifa_addr->sa_family == AF_INET) {
            sockaddr_in address{};
            std::memcpy(&address, one->ifa_addr, sizeof address);
            interfaces.push_back({one->ifa_name, address_text(AF_INET, &address.sin_addr)});
        } else if (one->ifa_addr->sa_family == AF_INET6) {
            sockaddr_in6 address{};
            std::memcpy(&address, one->ifa_addr, sizeof address);
            interfaces.push_back({one->ifa_name, address_text(AF_INET6, &address.sin6_addr)});
        }
    }
    return interfaces;
}

std::string interfaces_text(const std::vector<Interface>& interfaces) {
    std::string shown;
    for (const Interface& one : interfaces) {
        if (!is_loopback(one.address) && !one.address.starts_with("fe80:")) {
            shown += text(shown.empty() ? "" : ", ", one.name, " ", one.address);
        }
    }
    return shown;
}

std::string with_interface(const std::string& address, const std::vector<Interface>& interfaces) {
    const auto here = std::ranges::find(interfaces, address, &Interface::address);
    return here == interfaces.end() ? address : text(address, " (", here->name, ")");
}

std::set<Connection> own_connections() {
    return all_of("self");
}
std::set<Connection> connections_of(int process) {
    return all_of(text(process));
}

std::set<Connection> leaving_the_node(std::set<Connection> connections,
                                      const std::vector<Interface>& interfaces) {
    std::erase_if(connections, [&](const Connection& connection) {
        return is_loopback(connection.remote) ||
               std::ranges::find(interfaces, connection.remote, &Interface::address) !=
                   interfaces.end();
    });
    return connections;
}

std::vector<Interface> ways_to_other_nodes(const std::set<Connection>& connections,
                                           const std::vector<Interface>& interfaces) {
    std::vector<Interface> ways;
    for (const Connection& connection : leaving_the_node(connections, interfaces)) {
        const auto here = std::ranges::find(interfaces, connection.local, &Interface::address);
        if (connection.is_established && here != interfaces.end() &&
            std::ranges::find(ways, *here) == ways.end()) {
            ways.push_back(*here);
        }
    }
    return ways;
}

std::set<Connection> read_connections(std::istream& table, const std::set<std::uint64_t>& inodes) {
    std::set<Connection> connections;
    std::string line;
    std::getline(table, line);  // the names of the columns
    while (std::getline(table, line)) {
        std::istringstream columns(line);
        std::string number, local, remote, state, queues, timer, retransmits, user, timeout;
        std::uint64_t inode = 0;
        columns >> number >> local >> remote >> state >> queues >> timer >> retransmits >> user >>
            timeout >> inode;
        Connection connection;
        connection.is_established = state == established;
        if (columns && (state == established || state == not_answered) && inodes.contains(inode) &&
            read_end(local, connection.local, connection.local_port) &&
            read_end(remote, connection.remote, connection.remote_port)) {
            connections.insert(std::move(connection));
        }
    }
    return connections;
}

}  // namespace layerledger
