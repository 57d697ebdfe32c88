#include "set_aside.hpp"

#include <filesystem>
#include <system_error>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;

void move(const fs::path& from, const fs::path& to) {
    std::error_code failure;
    fs::rename(from, to, failure);
    LL_VALIDATE(!failure, ExitCode::cannot_create,
                text("cannot rename '", from.string(), "' to '", to.string(), "' (",
                     failure.message(), ") use another output.directory"));
}

}  // namespace

void set_aside(const std::string& run_file) {
    const fs::path path(run_file);
    const fs::path checkpoints = fs::path(path).replace_extension(".checkpoints");
    for (int number = 1;; ++number) {
        const std::string stem = text(path.stem().string(), ".unfinished-", number);
        const fs::path aside = path.parent_path() / (stem + path.extension().string());
        const fs::path checkpoints_aside = path.parent_path() / (stem + ".checkpoints");
        std::error_code failure;
        if (fs::exists(aside, failure) || fs::exists(checkpoints_aside, failure)) {
            continue;
        }
        if (fs::exists(checkpoints, failure)) {
            move(checkpoints, checkpoints_aside);
        }
        move(path, aside);
        log::warning(text("'", run_file,
                          "' is of an earlier start that is not gone on with; it is now '",
                          aside.string(), "'"));
        return;
    }
}

}  // namespace layerledger
