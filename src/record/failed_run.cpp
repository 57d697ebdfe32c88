#include "failed_run.hpp"

#include <filesystem>
#include <optional>
#include <system_error>

#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/run_writer.hpp"
#include "open_for_commit.hpp"
#include "run_file.hpp"
#include "schema.hpp"

namespace layerledger {

void remove_empty_run(const std::string& path) {
    std::error_code failure;
    std::filesystem::remove(path, failure);
    if (failure) {
        log::warning(
            text("cannot remove '", path, "', which has no iterations (", failure.message(), ")"));
    }
}

void mark_failed(const std::string& path) noexcept {
    try {
        if (!hdf5::File::is_hdf5(path)) {
            return;
        }
        std::optional<hdf5::File> file = try_open_locked(path);
        if (!file) {
            return;
        }
        const bool is_running =
            file->text_attribute("/", "status") == schema::name(RunStatus::running);
        const bool is_empty = file->integer_attribute("/", "committed_iterations") == 0;
        if (is_running && !is_empty) {
            drop_uncommitted_rows(*file);
            file->set_attribute("/", "status", schema::name(RunStatus::failed));
        }
        file->close();
        if (is_running && is_empty) {
            remove_empty_run(path);
        }
    } catch (const std::exception& error) {
        log::warning(text("cannot mark '", path, "' as failed (", error.what(), ")"));
    }
}

}  // namespace layerledger
