#include "open_run_file.hpp"

#include <chrono>
#include <filesystem>
#include <system_error>
#include <thread>

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

std::string_view major_of(std::string_view version) {
    return version.substr(0, version.find('.'));
}

}  // namespace

hdf5::File open_run_file(const std::string& path) {
    std::error_code failure;
    LL_VALIDATE(std::filesystem::exists(path, failure), ExitCode::input_missing,
                text("there is no run file '", path, "'"));
    LL_VALIDATE(hdf5::File::is_hdf5(path), ExitCode::bad_data,
                text("'", path, "' is no run file (it is not HDF5)"));
    try {
        hdf5::File file = open_patiently(path);
        const std::optional<std::string> version = file.text_attribute("/", "schema_version");
        LL_VALIDATE(version.has_value(), ExitCode::bad_data,
                    text("'", path, "' is no run file (it has no schema_version)"));
        LL_VALIDATE(major_of(*version) == major_of(schema::version), ExitCode::bad_data,
                    text("'", path, "' has schema ", *version, " (this layerledger reads ",
                         major_of(schema::version), ".x) use the version that wrote it"));
        return file;
    } catch (const Error& error) {
        LL_VALIDATE(error.code() == ExitCode::internal, error.code(), error.what());
        throw Error(ExitCode::bad_data, text("cannot read '", path, "' (", error.what(), ")"));
    }
}

}  // namespace layerledger
