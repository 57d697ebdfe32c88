#include "open_run_file.hpp"

#include <chrono>
#include <filesystem>
#include <system_error>
#include <thread>
#include <vector>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "schema.hpp"

namespace layerledger {
namespace {

/// A commit takes milliseconds. Some file systems have no locks at all, so in the end go without.
hdf5::File open_patiently(const std::string& path) {
    using namespace std::chrono_literals;
    constexpr int attempts = 20;
    for (int attempt = 0; attempt < attempts; ++attempt) {
        try {
            return hdf5::File::open(path, hdf5::Access::read, hdf5::Locking::locked);
        } catch (const Error&) {
            std::this_thread::sleep_for(50ms);
        }
    }
    return hdf5::File::open(path, hdf5::Access::read, hdf5::Locking::unlocked);
}

bool is_checkpoint(const hdf5::File& file) {
    return file.text_attribute("/", "Conventions").value_or("").starts_with("layerledger-check");
}

std::string_view major_of(std::string_view version) {
    return version.substr(0, version.find('.'));
}

/// What a user may have meant who names a file that is not there.
std::string suggestion_for(const std::string& path) {
    namespace fs = std::filesystem;
    const fs::path folder = fs::path(path).parent_path();
    std::vector<std::string> names;
    std::error_code failure;
    for (const fs::directory_entry& entry :
         fs::directory_iterator(folder.empty() ? "." : folder, failure)) {
        if (entry.path().extension() == ".h5") {
            names.push_back((folder / entry.path().filename()).string());
        }
    }
    const std::string near = did_you_mean(path, names);
    if (!near.empty()) {
        return near;
    }
    return names.empty() ? " look where output.directory was; 'runs' is its default"
                         : text(" '", names.front(), "' is one");
}

void require_run_file(const std::string& path) {
    std::error_code failure;
    LL_VALIDATE(std::filesystem::exists(path, failure), ExitCode::input_missing,
                text("there is no run file '", path, "'", suggestion_for(path)));
    const bool is_folder = std::filesystem::is_directory(path, failure);
    const std::uintmax_t bytes = is_folder ? 0 : std::filesystem::file_size(path, failure);
    LL_VALIDATE(!is_folder && hdf5::File::is_hdf5(path), ExitCode::bad_data,
                text("'", path, "' is no run file (",
                     is_folder    ? "it is a folder"
                     : bytes == 0 ? "it is empty"
                                  : "it is not HDF5",
                     ") give the NAME.h5 that training wrote"));
    const std::uint64_t whole = hdf5::File::whole_bytes(path);
    LL_VALIDATE(bytes >= whole, ExitCode::bad_data,
                text("'", path, "' is cut short (", bytes, " of its ", whole,
                     " bytes are there) copy it again"));
}

}  // namespace

hdf5::File open_run_file(const std::string& path) {
    require_run_file(path);
    try {
        hdf5::File file = open_patiently(path);
        const std::optional<std::string> version = file.text_attribute("/", "schema_version");
        LL_VALIDATE(version.has_value(), ExitCode::bad_data,
                    text("'", path, "' is no run file (it ",
                         is_checkpoint(file) ? "is a checkpoint" : "has no schema_version",
                         ") give the NAME.h5 that training wrote"));
        LL_VALIDATE(major_of(*version) == major_of(schema::version), ExitCode::bad_data,
                    text("'", path, "' has schema ", *version, " (this layerledger reads ",
                         major_of(schema::version), ".x) use the version that wrote it"));
        return file;
    } catch (const Error& error) {
        throw damaged(path, error);
    }
}

Error damaged(const std::string& path, const std::exception& error) {
    const auto* const known = dynamic_cast<const Error*>(&error);
    if (known != nullptr && known->code() != ExitCode::internal) {
        return *known;
    }
    return {ExitCode::bad_data,
            text("'", path, "' is damaged (", known != nullptr ? known->reason() : error.what(),
                 ") copy it again from where it was written, or do without it")};
}

}  // namespace layerledger
