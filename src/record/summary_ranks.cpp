#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "layerledger/base/phase.hpp"
#include "layerledger/base/text.hpp"
#include "median.hpp"
#include "summary_sections.hpp"

namespace layerledger {
namespace {

/// Which rank makes the others wait, and by how much; empty where no layer was timed.
std::string slowest_rank_text(const RunSummary& run) {
    if (run.slowest_rank >= run.ranks || run.ranks != std::ssize(run.rank)) {
        return "";
    }
    const RankSummary& slowest = run.rank[static_cast<std::size_t>(run.slowest_rank)];
    if (std::isnan(slowest.compute_us)) {
        return "";
    }
    std::vector<double> compute_us;
    for (const RankSummary& rank : run.rank) {
        compute_us.push_back(rank.compute_us);
    }
    const std::string who = text(run.slowest_rank, " on ", slowest.host, ": ",
                                 milliseconds(slowest.compute_us), " ms in its layers");
    const double more = slowest.compute_us / median(compute_us) - 1;
    return run.ranks == 1 ? who : text(who, ", ", shown(more, 2, 100), " % above the median rank");
}

/// Of fewer windows nobody can say whether they are like the others.
constexpr std::int64_t windows_to_tell_persistence = 3;

/// "conv2 backward of rank 1 on node0: 0.120 ms (6.3 %) more than on the others, always (9 of 9
/// windows)"
std::string straggler_text(const Straggler& straggler, const RunSummary& run) {
    const auto at = [](const auto& names, std::int64_t i) {
        return std::string(names.at(static_cast<std::size_t>(i)));
    };
    const std::string what =
        straggler.layer >= 0 ? text(run.layers.at(static_cast<std::size_t>(straggler.layer)).name,
                                    " ", at(phase_names, straggler.phase))
        : straggler.cause == static_cast<std::int64_t>(LateCause::compute)
            ? "all layers"
            : at(late_cause_names, straggler.cause);
    const auto rank = static_cast<std::size_t>(straggler.rank);
    const std::string node = rank < run.rank.size() ? text(" on ", run.rank[rank].host) : "";
    const std::string when = straggler.all_windows < windows_to_tell_persistence
                                 ? ""
                                 : text(", ", at(persistence_names, straggler.persistence));
    return text(what, " of rank ", straggler.rank, node, ": ", milliseconds(straggler.excess_us),
                " ms (", shown(straggler.percent, 1), " %) more than on the others", when, " (",
                straggler.windows, " of ", straggler.all_windows, " windows)");
}

/// From what on a delay of one phase on one rank shows: of the phases that take a hundredth of the
/// layers' time, those where noise hides least and most. Empty where that is not known.
std::string sensitivity_text(const RunSummary& run) {
    double all_us = 0;
    for (const LayerSummary& layer : run.layers) {
        for (const double us : layer.mean_us) {
            all_us += std::isnan(us) ? 0 : us;
        }
    }
    const Sensitivity* least = nullptr;
    const Sensitivity* most = nullptr;
    for (const Sensitivity& one : run.sensitivity) {
        const double us = run.layers.at(static_cast<std::size_t>(one.iteration))
                              .mean_us.at(static_cast<std::size_t>(one.phase));
        if (!std::isnan(one.percent) && us > 0.01 * all_us) {
            least = least == nullptr || one.percent < least->percent ? &one : least;
            most = most == nullptr || one.percent > most->percent ? &one : most;
        }
    }
    const auto shown_one = [&](const Sensitivity& one) {
        return text(shown(one.percent, 1), " % (",
                    run.layers[static_cast<std::size_t>(one.iteration)].name, ' ',
                    phase_names[static_cast<std::size_t>(one.phase)], ")");
    };
    return least == nullptr ? ""
                            : text("on one rank show from ", shown_one(*least), " to ",
                                   shown_one(*most), " on; less is hidden by noise");
}

/// Who comes last, and what makes it so.
void add_stragglers(Table& table, const RunSummary& run) {
    if (!run.last_share.empty()) {
        const auto most = std::ranges::max_element(run.last_share);
        table.name("arrives last")
            .end(text("rank ", most - run.last_share.begin(), " in ", shown(*most, 1, 100),
                      " % of the iterations"));
    }
    constexpr std::size_t shown_stragglers = 3;
    for (std::size_t i = 0; i < std::min(run.stragglers.size(), shown_stragglers); ++i) {
        table.name(i == 0 ? "stragglers" : "").end(straggler_text(run.stragglers[i], run));
    }
    if (run.stragglers.size() > shown_stragglers) {
        table.name("").end(text(run.stragglers.size() - shown_stragglers, " more in the file"));
    }
    if (const std::string sensitivity = sensitivity_text(run); !sensitivity.empty()) {
        table.name("delays").end(sensitivity);
    }
    if (!run.injection.empty()) {
        table.name("slowed on purpose").end(run.injection);
    }
}

/// Whether the clocks, brought onto one, put causes before their effects.
void add_causality(Table& table, const CausalityRecord& causality) {
    const std::string known =
        text(" (clocks known to ", fixed(causality.widest_bound_us, 1), " us or better)");
    if (causality.violations == 0) {
        table.name("clocks").end(text("in none of ", causality.checked,
                                      " all-reduces a rank leaves before the last one comes",
                                      known));
        return;
    }
    table.name("clocks").end(text("WRONG: in ", causality.violations, " of ", causality.checked,
                                  " all-reduces a rank leaves before the last one comes", known));
    table.name("").end(text("most in iteration ", causality.worst_iteration, ", bucket ",
                            causality.worst_bucket, ": rank ", causality.worst_rank, " by ",
                            fixed(causality.worst_us, 1), " us more than that allows"));
}

}  // namespace

void add_anatomy(Table& table, const RunSummary& run) {
    const bool has_times = std::ranges::any_of(
        run.anatomy, [](const BucketAnatomy& bucket) { return !std::isnan(bucket.transfer_us); });
    if (!has_times) {
        return;
    }
    table.name("bucket");
    for (const char* column : {"hidden ms", "exposed ms", "wait ms", "transfer ms", "zero skew",
                               "alg GB/s", "bus GB/s"}) {
        table.cell(column);
    }
    table.end();
    for (const BucketAnatomy& bucket : run.anatomy) {
        table.name(text(bucket.iteration));
        for (const double us : {bucket.hidden_us, bucket.exposed_us, bucket.wait_us,
                                bucket.transfer_us, bucket.zero_skew_us}) {
            table.cell(milliseconds(us));
        }
        table.cell(shown(bucket.algorithm_bandwidth, 2)).cell(shown(bucket.bus_bandwidth, 2)).end();
    }
    table.end();
}

void add_ranks(Table& table, const RunSummary& run) {
    if (const std::string slowest = slowest_rank_text(run); !slowest.empty()) {
        table.name("slowest rank").end(slowest);
    }
    add_stragglers(table, run);
    if (run.causality && run.causality->checked > 0) {
        add_causality(table, *run.causality);
    }
}

}  // namespace layerledger
