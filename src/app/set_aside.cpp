#include "set_aside.hpp"

#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/run_writer.hpp"

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

/// What is beside a run file and belongs to it; its log goes on.
constexpr std::array<std::string_view, 5> companions{".layers.csv", ".iterations.csv",
                                                     ".experiment.csv", ".train.tsv", ".val.tsv"};

fs::path checkpoints_of(const fs::path& run_file) {
    return fs::path(run_file).replace_extension(".checkpoints");
}

/// NAME.before-2.h5
fs::path numbered(const fs::path& run_file, SetAside why, int number) {
    constexpr std::array words{"unfinished", "before", "older"};
    return fs::path(run_file).replace_filename(text(run_file.stem().string(), ".",
                                                    words[static_cast<std::size_t>(why)], "-",
                                                    number, run_file.extension().string()));
}

/// The file names its lists. Where it cannot be told their new names, they are found by its own.
void rename_lists_in(const fs::path& run_file) {
    const auto name_of = [&](std::string_view ending) {
        return fs::path(run_file).replace_extension(ending).filename().string();
    };
    std::error_code failure;
    if (!fs::exists(run_file, failure)) {
        return;
    }
    try {
        rename_image_lists(run_file.string(), name_of(".train.tsv"), name_of(".val.tsv"));
    } catch (const Error& error) {
        log::warning(error.what());
    }
}

}  // namespace

std::string set_aside(const std::string& run_file, SetAside why) {
    const fs::path path(run_file);
    const fs::path checkpoints = checkpoints_of(path);
    for (int number = 1;; ++number) {
        const fs::path aside = numbered(path, why, number);
        std::error_code failure;
        if (fs::exists(aside, failure) || fs::exists(checkpoints_of(aside), failure)) {
            continue;
        }
        if (fs::exists(path, failure)) {
            move(path, aside);
        }
        for (const std::string_view ending : companions) {
            const fs::path companion = fs::path(path).replace_extension(ending);
            if (fs::exists(companion, failure)) {
                move(companion, fs::path(aside).replace_extension(ending));
            }
        }
        rename_lists_in(aside);
        // Last, because they are what a start goes on from that follows a kill in between.
        if (why != SetAside::older && fs::exists(checkpoints, failure)) {
            move(checkpoints, checkpoints_of(aside));
        }
        log::warning(text("'", run_file,
                          why == SetAside::older
                              ? "' is of another version of the schema; training goes on in a new "
                                "file, and it is now '"
                              : "' is of an earlier start that is not gone on with; it is now '",
                          aside.string(), "'"));
        return fs::path(aside).replace_extension().string();
    }
}

std::vector<std::string> checkpoint_folders_before(const std::string& run_file) {
    std::vector<std::string> folders;
    std::error_code failure;
    for (int number = 1;; ++number) {
        const fs::path aside = numbered(run_file, SetAside::before, number);
        const fs::path checkpoints = checkpoints_of(aside);
        const bool has_checkpoints = fs::exists(checkpoints, failure);
        if (!has_checkpoints && !fs::exists(aside, failure)) {
            break;
        }
        if (has_checkpoints) {
            folders.insert(folders.begin(), checkpoints.string());
        }
    }
    return folders;
}

}  // namespace layerledger
