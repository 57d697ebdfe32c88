#include "layerledger/record/run_writer.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "bucket_anatomy.hpp"
#include "causality.hpp"
#include "continuation.hpp"
#include "disk.hpp"
#include "event_table.hpp"
#include "facts.hpp"
#include "iteration_arrays.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/hdf5/file.hpp"
#include "open_run_file.hpp"
#include "run_file.hpp"
#include "schema.hpp"
#include "straggler_tables.hpp"

namespace layerledger {
namespace {

using namespace std::chrono_literals;

/// Room for facts, the status and HDF5's own bookkeeping. Kept in reserve behind the data, so that
/// the last words of a run fit on a disk that has become full.
constexpr std::uint64_t spare_bytes = std::uint64_t{256} << 10;

/// Opens the file alone, waiting a moment for a lock to go away; nothing where it stays, or where
/// the file cannot be opened.
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

/// The file while a commit goes on; the lock outlives it.
struct OpenForCommit {
    std::optional<disk::SharedLock> shared;
    hdf5::File file;
};

/// A reader's lock usually goes away soon; if it stays, the commit goes on beside it, because
/// readers see only what is committed. Another writer is never ignored, and a lock shared with the
/// readers keeps it away meanwhile.
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

/// Of an earlier start: a launcher may end a moment before the ranks that it kills.
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

std::size_t bytes_of(const RecordBlock& block) {
    return block.rows.size() * sizeof(float) + block.starts_ns.size() * sizeof(std::int64_t);
}

}  // namespace

struct RunWriter::State {
    std::string path;
    bool overwrite;
    RunDescription description;
    RecordLayout layout;
    std::size_t block_iterations = 0;       ///< 0: as many as the first block has
    std::optional<IterationArrays> arrays;  ///< once the arrays exist in the file

    std::deque<RecordBlock> pending;
    std::size_t pending_bytes = 0;
    std::int64_t committed = 0;
    std::int64_t dropped = 0;
    std::optional<IterationArrays::Epoch> epoch;
    EarlierStart earlier;           ///< nothing but the past where the file is new
    std::uint64_t end_of_data = 0;  ///< size of the file without its spare room
    bool is_failing = false;
    bool is_finished = false;
    std::timed_mutex turn;  ///< of the thread that is in a method

    std::optional<OverheadRecord> overhead;
    std::vector<ValidationRecord> validations;
    std::vector<PauseRecord> pauses;
    std::vector<ClockRecord> clocks;
    KernelSamples kernels;
    std::size_t written_validations = 0;  ///< of these, and of the others, are in the file
    std::size_t written_pauses = 0;
    std::size_t written_clocks = 0;
    std::size_t written_samples = 0;
    std::size_t written_kernels = 0;
    std::size_t written_copies = 0;
    std::optional<WallClockRecord> wall_clock;
    std::vector<BucketAnatomy> zero_skew;  ///< nothing else in them
    std::vector<double> peak_memory;       ///< by rank; empty: not known
    std::int64_t skipped_images = 0;
    std::int64_t dropped_spans = 0;

    State(std::string file, const RunDescription& run, bool may_overwrite)
        : path(std::move(file)), overwrite(may_overwrite), description(run), layout(run.extents()) {
        earlier.past.starts = {run.start};
    }

    void build(std::size_t chunk_iterations);
    void go_on();
    void write_new_events(hdf5::File& file);
    [[nodiscard]] bool try_write_events();
    void take(RecordBlock block);
    void commit_next();
    [[nodiscard]] bool try_commit_all();
    [[nodiscard]] bool try_write_end(RunStatus status);
    [[nodiscard]] bool finish(RunStatus status, std::chrono::nanoseconds patience);
    void warn_once(const std::exception& error);
    void note_recovery();
    void after_close();
    [[nodiscard]] bool is_empty() const { return committed == 0 && pending.empty(); }
};

/// A run that failed before its first commit leaves nothing, so that it can be begun again.
void remove_empty_run(const std::string& path) {
    std::error_code failure;
    std::filesystem::remove(path, failure);
    if (failure) {
        log::warning(
            text("cannot remove '", path, "', which has no iterations (", failure.message(), ")"));
    }
}

void RunWriter::State::build(std::size_t chunk_iterations) {
    disk::prepare(path, overwrite, bytes_of_description(description) + spare_bytes);
    build_run_file(path, description, earlier.past, chunk_iterations);
    overwrite = true;  // from here on the file is ours
    written_validations = written_pauses = written_clocks = 0;
    written_samples = written_kernels = written_copies = 0;
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
        throw Error(ExitCode::bad_data, text("cannot go on in '", path, "' (", error.what(),
                                             ") choose another output.file"));
    }
    overwrite = true;
    committed = earlier.committed;
    validations = earlier.validations;
    pauses = earlier.pauses;
    clocks = earlier.clocks;
    kernels = earlier.kernels;
    written_validations = validations.size();
    written_pauses = pauses.size();
    written_clocks = clocks.size();
    written_samples = kernels.samples.size();
    written_kernels = kernels.kernels.size();
    written_copies = kernels.copies.size();
    if (earlier.block_iterations > 0) {
        block_iterations = static_cast<std::size_t>(earlier.block_iterations);
        arrays.emplace(description, block_iterations);
    }
    after_close();
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
        log::warning(text("cannot write to '", path, "' (", error.what(),
                          ") training goes on, its records wait in memory"));
    }
    is_failing = true;
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
    write_events(file, kernels.samples, written_samples);
    write_events(file, kernels.kernels, written_kernels);
    write_events(file, kernels.copies, written_copies);
}

bool RunWriter::State::try_write_events() {
    try {
        OpenForCommit open = open_for_commit(path);
        write_new_events(open.file);
        open.file.close();
        written_validations = validations.size();
        written_pauses = pauses.size();
        written_clocks = clocks.size();
        written_samples = kernels.samples.size();
        written_kernels = kernels.kernels.size();
        written_copies = kernels.copies.size();
        after_close();
    } catch (const std::exception& error) {
        warn_once(error);
        return false;
    }
    return true;
}

/// What is known only when the run ends, and the status as its very last word.
bool RunWriter::State::try_write_end(RunStatus status) {
    try {
        OpenForCommit open = open_for_commit(path);
        hdf5::File& file = open.file;
        if (overhead) {
            write_facts(file, *overhead);
        }
        if (!validations.empty()) {
            write_facts(file, validations.back());
        }
        write_new_events(file);
        if (wall_clock) {
            write_facts(file, *wall_clock);
        }
        if (!peak_memory.empty()) {
            file.write<double>("peak_memory", peak_memory);
        }
        drop_uncommitted_rows(file);
        file.set_attribute("/", "skipped_images", skipped_images);
        file.set_attribute("/", "dropped_spans", earlier.dropped_spans + dropped_spans);
        file.set_attribute("/", "dropped_iterations", earlier.dropped + dropped);
        if (status != RunStatus::failed && pending.empty()) {
            write_stragglers(file);
            write_events(file, zero_skew, 0);
            write_anatomy(file);
            if (const auto causality = find_causality(file)) {
                write_facts(file, *causality);
            }
        }
        file.flush();
        file.set_attribute("/", "status", schema::name(status));
        file.close();
    } catch (const std::exception& error) {
        warn_once(error);
        return false;
    }
    if (pending.empty()) {
        note_recovery();
    }
    return true;
}

RunWriter::RunWriter(std::string path, const RunDescription& description, bool overwrite)
    : state_(std::make_unique<State>(std::move(path), description, overwrite)) {
    state_->build(0);
}

RunWriter::RunWriter(std::string path, const RunDescription& description, GoOn)
    : state_(std::make_unique<State>(std::move(path), description, false)) {
    state_->go_on();
}

RunWriter::~RunWriter() {
    if (state_->is_finished) {
        return;
    }
    static_cast<void>(state_->try_commit_all());
    if (state_->is_empty()) {
        remove_empty_run(state_->path);
    } else {
        static_cast<void>(state_->try_write_end(RunStatus::failed));
    }
}

void RunWriter::set_block_iterations(std::size_t iterations) {
    const std::lock_guard turn(state_->turn);
    LL_VALIDATE(!state_->arrays && iterations > 0, ExitCode::internal,
                "the length of a block is fixed already, or is 0");
    state_->block_iterations = iterations;
    try {
        state_->build(iterations);
    } catch (const std::exception& error) {
        state_->warn_once(error);  // the first commit tries again
    }
}

void RunWriter::append(RecordBlock block) {
    if (block.facts.empty()) {
        return;
    }
    const std::lock_guard turn(state_->turn);
    State& state = *state_;
    state.take(std::move(block));
    if (state.try_commit_all()) {
        return;
    }
    while (state.pending_bytes > pending_limit_bytes) {
        const RecordBlock& oldest = state.pending.front();
        if (state.dropped == 0) {
            log::warning(text("records of iteration ", oldest.facts.front().iteration,
                              " and later are dropped (", bytes_text(pending_limit_bytes),
                              " wait already) make room for '", state.path, "'"));
        }
        state.dropped += static_cast<std::int64_t>(oldest.iterations());
        state.pending_bytes -= bytes_of(oldest);
        state.pending.pop_front();
    }
}

void RunWriter::set_overhead(const OverheadRecord& overhead) {
    const std::lock_guard turn(state_->turn);
    state_->overhead = overhead;
}

void RunWriter::add_validation(const ValidationRecord& validation) {
    const std::lock_guard turn(state_->turn);
    state_->validations.push_back(validation);
    static_cast<void>(state_->try_write_events());
}

void RunWriter::add_pause(PauseKind kind, std::int64_t iteration, double seconds) {
    const std::lock_guard turn(state_->turn);
    state_->pauses.push_back({iteration, static_cast<std::int64_t>(kind), seconds});
    static_cast<void>(state_->try_write_events());
}

void RunWriter::add_clocks(const std::vector<ClockRecord>& clocks) {
    const std::lock_guard turn(state_->turn);
    state_->clocks.insert(state_->clocks.end(), clocks.begin(), clocks.end());
    static_cast<void>(state_->try_write_events());
}

void RunWriter::add_kernels(const KernelSamples& samples) {
    KernelSamples& all = state_->kernels;
    all.samples.insert(all.samples.end(), samples.samples.begin(), samples.samples.end());
    all.kernels.insert(all.kernels.end(), samples.kernels.begin(), samples.kernels.end());
    all.copies.insert(all.copies.end(), samples.copies.begin(), samples.copies.end());
    static_cast<void>(state_->try_write_events());
}

void RunWriter::set_zero_skew(const std::vector<double>& times_us) {
    const std::lock_guard turn(state_->turn);
    state_->zero_skew.clear();
    for (const double time_us : times_us) {
        BucketAnatomy bucket;
        bucket.iteration = std::ssize(state_->zero_skew);
        bucket.zero_skew_us = time_us;
        state_->zero_skew.push_back(bucket);
    }
}

void RunWriter::set_wall_clock(const WallClockRecord& wall_clock) {
    const std::lock_guard turn(state_->turn);
    state_->wall_clock = wall_clock;
}

void RunWriter::set_peak_memory(std::vector<double> bytes) {
    const std::lock_guard turn(state_->turn);
    LL_VALIDATE(bytes.size() == state_->description.ranks.size(), ExitCode::internal,
                "peak memory is not given for each rank");
    for (std::size_t rank = 0; rank < state_->earlier.peak_memory.size(); ++rank) {
        bytes[rank] = std::fmax(bytes[rank], state_->earlier.peak_memory[rank]);
    }
    state_->peak_memory = std::move(bytes);
}

void RunWriter::set_skipped_images(std::int64_t images) {
    const std::lock_guard turn(state_->turn);
    state_->skipped_images = images;
}

void RunWriter::set_dropped_spans(std::int64_t spans) {
    const std::lock_guard turn(state_->turn);
    state_->dropped_spans = spans;
}

bool RunWriter::sync() {
    const std::lock_guard turn(state_->turn);
    State& state = *state_;
    const bool has_new_events = state.written_validations < state.validations.size() ||
                                state.written_pauses < state.pauses.size() ||
                                state.written_clocks < state.clocks.size() ||
                                state.written_samples < state.kernels.samples.size();
    if (!state.try_commit_all() || (has_new_events && !state.try_write_events())) {
        return false;
    }
    try {
        disk::sync(state.path);
        disk::sync(std::filesystem::path(state.path).parent_path().string());
    } catch (const std::exception& error) {
        state.warn_once(error);
        return false;
    }
    return true;
}

bool RunWriter::State::finish(RunStatus status, std::chrono::nanoseconds patience) {
    is_finished = true;
    if (status == RunStatus::failed && is_empty()) {
        remove_empty_run(path);
        return dropped == 0;
    }
    const auto deadline = std::chrono::steady_clock::now() + patience;
    bool is_ended = false;
    while (!(is_ended = try_commit_all() && try_write_end(status)) &&
           std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(250ms, patience / 4));
    }
    if (!is_ended) {
        for (const RecordBlock& block : pending) {
            dropped += static_cast<std::int64_t>(block.iterations());
        }
        is_ended = try_write_end(status);
    }
    if (!is_ended || dropped > 0) {
        log::error(text("'", path, "' is not whole (records of ", dropped, " iterations are lost",
                        is_ended ? "" : ", and its end", ") make room and run again"));
    }
    return is_ended && dropped == 0;
}

bool RunWriter::finish(RunStatus status) {
    const std::lock_guard turn(state_->turn);
    return state_->finish(status, finish_patience);
}

void RunWriter::fail_within(std::chrono::nanoseconds patience) {
    const std::unique_lock turn(state_->turn, patience / 2);
    if (turn && !state_->is_finished) {
        static_cast<void>(state_->finish(RunStatus::failed, patience / 2));
    }
}

const std::string& RunWriter::path() const noexcept {
    return state_->path;
}

std::int64_t RunWriter::committed_iterations() const noexcept {
    return state_->committed;
}

std::size_t RunWriter::block_iterations() const noexcept {
    return state_->block_iterations;
}

std::int64_t RunWriter::last_validation() const noexcept {
    return state_->validations.empty() ? -1 : state_->validations.back().iteration;
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

void rename_image_lists(const std::string& path, const std::string& train_list,
                        const std::string& val_list) {
    try {
        hdf5::File file = hdf5::File::open(path, hdf5::Access::write, hdf5::Locking::locked);
        if (!file.contains("labels")) {
            return;
        }
        for (const auto& [name, list] :
             {std::pair("train_list", train_list), {"val_list", val_list}}) {
            if (!file.text_attribute("labels", name).value_or("").empty()) {
                file.set_attribute("labels", name, list);
            }
        }
        file.close();
    } catch (const Error& error) {
        throw Error(ExitCode::data_lost,
                    text("cannot write to '", path, "' that its lists of images were renamed (",
                         error.what(), ") close what reads the file and make room"));
    }
}

}  // namespace layerledger
