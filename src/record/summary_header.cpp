#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "layerledger/base/text.hpp"
#include "summary_sections.hpp"

namespace layerledger {
namespace {

/// "6.9078 -> 2.2500"; a loss that is no finite number says what that means.
std::string loss_text(const RunSummary& run) {
    if (run.committed_iterations == 0 || std::isfinite(run.last_loss)) {
        return text(shown(run.first_loss, 4), " -> ", shown(run.last_loss, 4));
    }
    return text(shown(run.first_loss, 4), " -> ",
                std::isnan(run.last_loss) ? "not a number" : "infinite", " (training diverged)");
}

/// "12 s for 10 files, 1.2 MiB", of the node that took longest and got most.
std::string staging_text(const StagingRecord& staging) {
    const std::string set = text("a set of ", staging.set_files, " files, ",
                                 bytes_text(static_cast<double>(staging.set_bytes)));
    if (staging.skipped_nodes == staging.nodes) {
        return text(set, ", was up to date (", duration_text(staging.seconds), ")");
    }
    return text(duration_text(staging.seconds), " for ", staging.files, " files, ",
                bytes_text(static_cast<double>(staging.bytes)), " of ", set,
                staging.nodes == 1 ? ""
                                   : text(", on ", staging.nodes, " nodes (", staging.skipped_nodes,
                                          " were up to date)"));
}

/// "2026-11-24T03:16:23Z, 2 ranks, after iteration 40 from runs/a.checkpoints/..."
std::string start_text(const StartRecord& start) {
    return text(start.date, ", ", start.ranks, start.ranks == 1 ? " rank" : " ranks",
                start.checkpoint.empty()
                    ? ""
                    : text(", after iteration ", start.iteration, " from ", start.checkpoint));
}

/// Of a run that was started several times: how it came about.
void add_starts(Table& table, const std::vector<StartRecord>& starts) {
    if (starts.size() < 2) {
        return;
    }
    constexpr std::size_t shown_starts = 4;
    table.name("starts").end(text(starts.size(), ", the first ", start_text(starts.front())));
    const std::size_t first = starts.size() > shown_starts ? starts.size() - shown_starts + 1 : 1;
    for (std::size_t i = first; i < starts.size(); ++i) {
        table.name("").end(start_text(starts[i]));
    }
}

}  // namespace

void add_header(Table& table, const RunSummary& run) {
    const auto fact = [&table](const std::string& name, const std::string& value) {
        table.name(name).end(value);
    };
    fact("network", run.network.empty() ? "-" : run.network);
    fact("ranks", text(run.ranks, " x batch ", run.batch_size, " = ", run.ranks * run.batch_size,
                       " images an iteration"));
    fact("backend", text(run.backend.empty() ? "-" : run.backend, ", level ", run.level));
    fact("iterations", text(run.committed_iterations, ", ", run.measured_iterations,
                            " measured after warm-up, run ", run.status));
    if (const std::string running = running_text(run); !running.empty()) {
        fact("", running);
    }
    if (run.dropped_iterations > 0) {
        fact("", text(run.dropped_iterations, " more were lost (the file could not be written)"));
    }
    if (run.lost_checkpoints > 0) {
        fact("",
             text(run.lost_checkpoints, run.lost_checkpoints == 1 ? " checkpoint" : " checkpoints",
                  " could not be written"));
    }
    if (run.missing_iterations > 0) {
        fact("", text(run.missing_iterations,
                      " more are missing (an earlier start ended before they were written)"));
    }
    if (run.dropped_spans > 0) {
        fact("",
             text(run.dropped_spans, " spans did not fit and are missing: times are too small"));
    }
    add_starts(table, run.starts);
    fact("iteration",
         text(milliseconds(run.iteration_us), " ms (median of the slowest rank); ",
              milliseconds(run.mean_iteration_us), " ms in the mean, of which the shares are"));
    fact("throughput", text(shown(run.images_per_second, 1), " images/s"));
    fact("loss", loss_text(run));
    if (run.staging) {
        fact("staging", staging_text(*run.staging));
    }
    if (run.validation) {
        const ValidationRecord& validation = *run.validation;
        fact("validation",
             text("top-1 ", shown(validation.top1, 2, 100), " %, top-",
                  run.topk > 0 ? text(run.topk) : "k", " ", shown(validation.topk, 2, 100),
                  " %, loss ", shown(validation.loss, 4), " on ", validation.images,
                  " images after iteration ", validation.iteration, " (",
                  duration_text(validation.seconds), ")"));
    }
    if (run.skipped_images > 0) {
        fact("skipped", text(run.skipped_images, run.skipped_images == 1 ? " time" : " times",
                             " an image could not be read and another took its place"));
    }
}

}  // namespace layerledger
