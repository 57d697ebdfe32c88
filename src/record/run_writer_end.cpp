// How a run file ends.
#include <algorithm>
#include <chrono>
#include <thread>

#include "bucket_anatomy.hpp"
#include "causality.hpp"
#include "event_table.hpp"
#include "facts.hpp"
#include "failed_run.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/comm/rank_map.hpp"
#include "open_for_commit.hpp"
#include "peak_memory.hpp"
#include "run_file.hpp"
#include "run_writer_state.hpp"
#include "schema.hpp"
#include "straggler_tables.hpp"

namespace layerledger {

using namespace std::chrono_literals;

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
        write_peak_memory(file, peak_memory);
        drop_uncommitted_rows(file);
        file.set_attribute("/", "skipped_images", skipped_images);
        file.set_attribute("/", "lost_checkpoints", earlier.lost_checkpoints + lost_checkpoints);
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
        log::error(text("rank 0 on ", node_name(), ": '", path, "' is not whole (records of ",
                        dropped, " iterations are lost", is_ended ? "" : ", and its end",
                        failure.empty() ? "" : ": ", failure,
                        ") see to its disk and folder, and run again"));
    }
    return is_ended && dropped == 0;
}

}  // namespace layerledger
