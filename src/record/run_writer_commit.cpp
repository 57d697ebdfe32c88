// How a run file begins, or is gone on with, and grows by whole blocks and rows of its tables.
#include <filesystem>
#include <utility>

#include "disk.hpp"
#include "event_table.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/comm/rank_map.hpp"
#include "open_for_commit.hpp"
#include "open_run_file.hpp"
#include "run_file.hpp"
#include "run_writer_state.hpp"

namespace layerledger {
namespace {

/// Room for facts, the status and HDF5's own bookkeeping. Kept in reserve behind the data, so that
/// the last words of a run fit on a disk that has become full.
constexpr std::uint64_t spare_bytes = std::uint64_t{256} << 10;

std::uint64_t bytes_of_description(const RunDescription& description) {
    std::uint64_t bytes = description.config_text.size();
    for (const auto& facts : {description.provenance, description.network}) {
        for (const auto& [name, value] : facts) {
            bytes += name.size() + value.size();
        }
    }
    constexpr std::uint64_t bytes_per_item = 512;
    return bytes + bytes_per_item * (description.settings.size() + description.layers.size() +
                                     description.ops.size() + description.ranks.size());
}

}  // namespace

void RunWriter::State::build(std::size_t chunk_iterations) {
    disk::prepare(path, overwrite, bytes_of_description(description) + spare_bytes);
    build_run_file(path, description, earlier.past, chunk_iterations);
    overwrite = true;  // from here on the file is ours
    written_validations = written_pauses = written_clocks = 0;
    if (chunk_iterations > 0) {
        arrays.emplace(description, chunk_iterations);
    }
    after_close();
}

void RunWriter::State::go_on() {
    require_same_tables(open_run_file(path), description, path);
    try {
        OpenForCommit open = open_left_behind(path);
        earlier = continue_run_file(open.file, description.start);
        open.file.close();
    } catch (const std::exception& error) {
        LL_VALIDATE(disk::SharedLock(path).is_held(), ExitCode::cannot_create,
                    text("cannot go on in '", path,
                         "' (another program has locked it) close it there, or choose another "
                         "output.file"));
        throw Error(ExitCode::bad_data, text("cannot go on in '", path, "' (", error.what(),
                                             ") choose another output.file"));
    }
    overwrite = true;
    committed = earlier.committed;
    validations = earlier.validations;
    pauses = earlier.pauses;
    clocks = earlier.clocks;
    kernels = std::exchange(earlier.kernels, {});
    written_validations = validations.size();
    written_pauses = pauses.size();
    written_clocks = clocks.size();
    if (earlier.block_iterations > 0) {
        block_iterations = static_cast<std::size_t>(earlier.block_iterations);
        arrays.emplace(description, block_iterations);
    }
    kernels_are_written();
    after_close();
}

void RunWriter::State::kernels_are_written() {
    if (!arrays) {
        return;  // the file is built anew once their length is known
    }
    const KernelRows written = rows_of(std::exchange(kernels, {}));
    kernel_rows.samples += written.samples;
    kernel_rows.kernels += written.kernels;
    kernel_rows.copies += written.copies;
}

/// HDF5 cuts the file where its data ends; the spare room goes behind that. Where there is none,
/// the next commit says so.
void RunWriter::State::after_close() {
    end_of_data = std::filesystem::file_size(path);
    static_cast<void>(disk::reserve(path, end_of_data + spare_bytes));
}

void RunWriter::State::take(RecordBlock block) {
    LL_VALIDATE(block.starts_ns.size() == block.iterations() * description.ranks.size() &&
                    block.rows.size() == block.starts_ns.size() * layout.size,
                ExitCode::internal, "a block of records is not of the shape of this run");
    if (!epoch) {
        epoch = epoch_of(block, description.ranks.size(), earlier);
    }
    pending_bytes += bytes_of(block);
    pending.push_back(std::move(block));
}

/// Commits the oldest block. The rows are on their way to the disk before `committed_iterations`
/// says that they exist; a failure on the way is repaired by doing it again.
void RunWriter::State::commit_next() {
    const RecordBlock& block = pending.front();
    if (!arrays) {
        build(block_iterations > 0 ? block_iterations : block.iterations());
    }
    const auto first_row = static_cast<std::uint64_t>(committed);
    const std::uint64_t growth = arrays->growth_bytes(first_row, block.iterations());
    const std::string no_room = disk::reserve(path, end_of_data + growth + spare_bytes);
    LL_VALIDATE(no_room.empty(), ExitCode::data_lost, no_room);
    OpenForCommit open = open_for_commit(path);
    hdf5::File& file = open.file;
    arrays->write(file, block, first_row, *epoch);
    file.flush();
    const std::int64_t rows = committed + static_cast<std::int64_t>(block.iterations());
    file.set_attribute("/", "committed_iterations", rows);
    file.close();

    committed = rows;
    pending_bytes -= bytes_of(block);
    pending.pop_front();
    after_close();
}

void RunWriter::State::warn_once(const std::exception& error) {
    if (!is_failing) {
        log::warning(text("rank 0 on ", node_name(), ": cannot write to '", path, "' (",
                          error.what(), ") training goes on, its records wait in memory"));
    }
    is_failing = true;
    failure = error.what();
}

/// After something was written and nothing waits.
void RunWriter::State::note_recovery() {
    if (std::exchange(is_failing, false)) {
        log::info(text("'", path, "' can be written again, no records wait"));
    }
}

bool RunWriter::State::try_commit_all() {
    if (pending.empty()) {
        return true;
    }
    try {
        while (!pending.empty()) {
            commit_next();
        }
    } catch (const std::exception& error) {
        warn_once(error);
        return false;
    }
    note_recovery();
    return true;
}

void RunWriter::State::write_new_events(hdf5::File& file) {
    write_events(file, validations, written_validations);
    write_events(file, pauses, written_pauses);
    write_events(file, clocks, written_clocks);
    write_kernels(file, kernels, kernel_rows);
}

bool RunWriter::State::try_write_events() {
    try {
        OpenForCommit open = open_for_commit(path);
        write_new_events(open.file);
        open.file.close();
        written_validations = validations.size();
        written_pauses = pauses.size();
        written_clocks = clocks.size();
        kernels_are_written();
        after_close();
    } catch (const std::exception& error) {
        warn_once(error);
        return false;
    }
    return true;
}

}  // namespace layerledger
