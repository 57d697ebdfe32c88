// The checkpoints of one run.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iomanip>
#include <sstream>
#include <system_error>

#include "disk.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/output_file.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/checkpoint_file.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "checkpoint-";
constexpr std::string_view suffix = ".h5";

/// Of as many digits for every iteration, so that a listing by name is one by age.
std::string name_of(std::int64_t iteration) {
    std::ostringstream name;
    name << prefix << std::setw(12) << std::setfill('0') << iteration << suffix;
    return std::move(name).str();
}

/// The iteration in a checkpoint's name; nothing for other files.
std::optional<std::int64_t> iteration_of(const fs::path& path) {
    std::string name = path.filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(suffix)) {
        return {};
    }
    name = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
    std::int64_t iteration = 0;
    const char* const end = name.data() + name.size();
    const auto [stop, status] = std::from_chars(name.data(), end, iteration);
    return status == std::errc{} && stop == end ? std::optional(iteration) : std::nullopt;
}

/// A convenience for people: where it cannot be written, the checkpoint is as good as any.
void name_latest(const fs::path& folder, const std::string& name) {
    try {
        OutputFile file((folder / "latest").string());
        file.write(name + '\n');
        file.commit();
    } catch (const Error& error) {
        log::warning(text(error.what(), "; the newest checkpoint is '", name, "'"));
    }
}

}  // namespace

CheckpointFolder::CheckpointFolder(std::string folder, std::int64_t keep)
    : folder_(std::move(folder)), keep_(keep) {}

void CheckpointFolder::prepare() const {
    // Proves it by making a file of that name, which goes away again.
    disk::prepare((fs::path(folder_) / "trial").string(), /*overwrite=*/true, 0);
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_, ignored)) {
        if (entry.path().extension() == ".part") {
            fs::remove(entry.path(), ignored);
        }
    }
}

std::vector<std::string> CheckpointFolder::files() const {
    std::vector<std::pair<std::int64_t, std::string>> found;
    std::error_code missing;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_, missing)) {
        if (const auto iteration = iteration_of(entry.path())) {
            found.emplace_back(*iteration, entry.path().string());
        }
    }
    std::ranges::sort(found, std::greater<>());
    std::vector<std::string> paths;
    for (auto& [iteration, path] : found) {
        paths.push_back(std::move(path));
    }
    return paths;
}

std::optional<CheckpointFolder::Found> CheckpointFolder::newest_whole() const {
    for (const std::string& path : files()) {
        try {
            return Found{path, read_checkpoint(path)};
        } catch (const Error& error) {
            log::warning(text(error.what(), "; trying the one before"));
        }
    }
    return {};
}

std::string CheckpointFolder::save(const Checkpoint& checkpoint) const {
    std::error_code failure;
    fs::create_directories(folder_, failure);
    LL_VALIDATE(!failure, ExitCode::data_lost,
                text("cannot create the folder '", folder_, "' (", failure.message(), ")"));
    const fs::path path = fs::path(folder_) / name_of(checkpoint.iteration);
    write_checkpoint(path.string(), checkpoint);
    name_latest(folder_, path.filename().string());
    const std::vector<std::string> all = files();
    for (std::size_t i = static_cast<std::size_t>(keep_); i < all.size(); ++i) {
        fs::remove(all[i], failure);
    }
    return path.string();
}

bool CheckpointFolder::has_after(std::int64_t iteration) const {
    return std::ranges::any_of(
        files(), [&](const std::string& path) { return iteration_of(path) > iteration; });
}

void CheckpointFolder::remove_after(std::int64_t iteration) const {
    std::error_code ignored;
    for (const std::string& path : files()) {
        if (iteration_of(path) > iteration) {
            fs::remove(path, ignored);
        }
    }
}

void CheckpointFolder::set_aside_after(std::int64_t iteration) const {
    for (const std::string& path : files()) {
        if (iteration_of(path) <= iteration) {
            continue;
        }
        const std::string aside = path + ".unreadable";
        std::error_code failure;
        fs::rename(path, aside, failure);
        LL_VALIDATE(!failure, ExitCode::cannot_create,
                    text("cannot rename '", path, "' (", failure.message(), ") move it away"));
        log::warning(text("'", path, "' is kept as '", aside, "'"));
    }
}

bool CheckpointFolder::holds(const std::string& path) const {
    std::error_code failure;
    return fs::equivalent(fs::absolute(path).parent_path(), folder_, failure) && !failure;
}

CheckpointFolder::Found find_checkpoint(const std::string& path) {
    const fs::path named(path);
    std::error_code failure;
    const bool is_folder = fs::is_directory(named, failure);
    if (!is_folder && named.filename() != "latest") {
        return {path, read_checkpoint(path)};
    }
    const fs::path parent = named.parent_path();
    const std::string folder = is_folder ? path : parent.empty() ? "." : parent.string();
    const CheckpointFolder checkpoints(folder, 1);
    LL_VALIDATE(!checkpoints.files().empty(), ExitCode::input_missing,
                text("there are no checkpoints in '", folder,
                     "' (train.checkpoint_every writes them to NAME.checkpoints beside NAME.h5)"));
    std::optional<CheckpointFolder::Found> found = checkpoints.newest_whole();
    LL_VALIDATE(found.has_value(), ExitCode::bad_data,
                text("no checkpoint in '", folder, "' is whole"));
    return std::move(*found);
}

}  // namespace layerledger
