#include "open_for_commit.hpp"

#include <chrono>
#include <thread>
#include <utility>

namespace layerledger {

using namespace std::chrono_literals;

std::optional<hdf5::File> try_open_locked(const std::string& path) {
    for (const auto nap : {5ms, 20ms}) {
        try {
            return hdf5::File::open(path, hdf5::Access::write, hdf5::Locking::locked);
        } catch (const Error&) {
            std::this_thread::sleep_for(nap);
        }
    }
    return {};
}

OpenForCommit open_for_commit(const std::string& path) {
    if (std::optional<hdf5::File> file = try_open_locked(path)) {
        return {{}, std::move(*file)};
    }
    std::optional<disk::SharedLock> shared(path);
    if (shared->is_held()) {
        hdf5::File file = hdf5::File::open(path, hdf5::Access::write, hdf5::Locking::unlocked);
        return {std::move(shared), std::move(file)};
    }
    return {{}, hdf5::File::open(path, hdf5::Access::write, hdf5::Locking::locked)};
}

OpenForCommit open_left_behind(const std::string& path) {
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while (true) {
        try {
            return open_for_commit(path);
        } catch (const Error&) {
            if (std::chrono::steady_clock::now() > deadline) {
                throw;
            }
            std::this_thread::sleep_for(50ms);
        }
    }
}

}  // namespace layerledger
