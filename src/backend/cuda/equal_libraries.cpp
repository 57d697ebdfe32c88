#include "equal_libraries.hpp"

#include <sstream>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

/// Lines of `mine` that `other` has not, in one line.
std::string differing(const std::string& mine, const std::string& other) {
    std::string found;
    std::istringstream lines(mine);
    for (std::string line; std::getline(lines, line);) {
        if (("\n" + other).find("\n" + line + "\n") == std::string::npos) {
            found += text(found.empty() ? "" : ", ", line);
        }
    }
    return found;
}

}  // namespace

void require_equal_libraries(const Communicator& world, const std::string& host,
                             const std::vector<std::pair<std::string, std::string>>& libraries) {
    std::string mine;
    for (const auto& [name, version] : libraries) {
        mine += text(name, " ", version, "\n");
    }
    const std::vector<std::string> all = world.gather(mine);
    const std::vector<std::string> hosts = world.gather(host);
    world.agree_on_root([&] {
        for (std::size_t other = 1; other < all.size(); ++other) {
            LL_VALIDATE(
                all[other] == all[0], ExitCode::unavailable,
                text("the ranks' libraries differ (rank 0 on ", hosts[0], " has ",
                     differing(all[0], all[other]), "; rank ", other, " on ", hosts[other], " has ",
                     differing(all[other], all[0]), ") load the same versions on every node"));
        }
    });
}

}  // namespace layerledger::cuda
