#include "nccl_meeting_place.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "layerledger/base/text.hpp"
#include "layerledger/comm/connections.hpp"

namespace layerledger::cuda {
namespace {

constexpr std::size_t address_at = sizeof(std::uint64_t);

/// A socket's address of one of the two families of the internet.
struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t bytes = 0;  ///< 0: of another family

    explicit SocketAddress(const ncclUniqueId& id) {
        std::memcpy(&storage.ss_family, id.internal + address_at, sizeof storage.ss_family);
        bytes = storage.ss_family == AF_INET    ? sizeof(sockaddr_in)
                : storage.ss_family == AF_INET6 ? sizeof(sockaddr_in6)
                                                : 0;
        std::memcpy(&storage, id.internal + address_at, bytes);
    }
    SocketAddress() = default;

    [[nodiscard]] const sockaddr* get() const noexcept {
        return reinterpret_cast<const sockaddr*>(&storage);
    }

    [[nodiscard]] std::string address() const {
        std::array<char, INET6_ADDRSTRLEN> shown{};
        const void* const number =
            storage.ss_family == AF_INET
                ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in&>(storage).sin_addr)
                : &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr;
        ::inet_ntop(storage.ss_family, number, shown.data(), shown.size());
        return shown.data();
    }

    [[nodiscard]] int port() const {  // at the same place in both
        return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
    }
};

/// From which address this node would send to another; empty where it has no way there.
std::string own_end(const SocketAddress& to) {
    // Connecting a socket of datagrams sends nothing: it asks the kernel for the way.
    const int fd = ::socket(to.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    SocketAddress own;
    own.bytes = sizeof own.storage;
    const bool has_way =
        fd >= 0 && ::connect(fd, to.get(), to.bytes) == 0 &&
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&own.storage), &own.bytes) == 0;
    if (fd >= 0) {
        ::close(fd);
    }
    return has_way ? own.address() : std::string();
}

}  // namespace

std::string meeting_place(const ncclUniqueId& id, int rank) {
    const SocketAddress place(id);
    if (place.bytes == 0) {
        return {};
    }
    const auto interfaces = node_interfaces();
    if (rank == 0) {
        return text("this rank waits at ", with_interface(place.address(), interfaces), ", port ",
                    place.port());
    }
    const std::string own = own_end(place);
    return text("rank 0 waits at ", place.address(), ", port ", place.port(), "; this node ",
                own.empty() ? "has no way there"
                            : text("reaches it from ", with_interface(own, interfaces)));
}

}  // namespace layerledger::cuda
