#include "stage_data.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <limits>
#include <string_view>
#include <thread>

#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/data/staging.hpp"
#include "stop_signals.hpp"

namespace layerledger {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto heartbeat = 250ms;

/// What a rank tells the others; the worst counts.
enum State : std::int64_t { done, working, failed };

/// Staging on a thread of its own, so that this rank's heart goes on beating.
class Worker {
public:
    explicit Worker(StagingRequest request)
        : thread_([this, request = std::move(request)](const std::stop_token& stop) {
              try {
                  set_ = stage(request, progress_, stop);
                  state_ = done;
              } catch (...) {
                  failure_ = std::current_exception();
                  state_ = failed;
              }
          }) {}

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] const StagingProgress& progress() const noexcept { return progress_; }
    /// Ends the transfer if it still goes on.
    void stop() {
        thread_.request_stop();
        thread_.join();
    }
    /// After the end. Throws what `stage` threw.
    [[nodiscard]] const StagedSet& set() const {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
        return set_;
    }

private:
    StagingProgress progress_;
    StagedSet set_;
    std::exception_ptr failure_;
    std::atomic<State> state_{working};
    std::jthread thread_;  // last: it uses all of the above
};

/// How far all nodes are.
struct Standing {
    std::array<std::int64_t, 4> nodes{};  ///< by StagingStep, of those that are not done
    std::int64_t bytes = 0;               ///< that have arrived
    std::int64_t least_percent = 100;     ///< of what is listed

    [[nodiscard]] std::int64_t at(StagingStep step) const {
        return nodes[static_cast<std::size_t>(step)];
    }
};

/// Lines about the transfers of all nodes, from rank 0.
class Report {
public:
    Report(const Experiment& experiment, bool is_shown)
        : interval_(experiment.output.progress_seconds),
          is_shown_(is_shown && experiment.output.progress != "none") {}

    void update(const Standing& standing) {
        const auto now = Clock::now();
        if (!is_shown_ || now - said_ < interval_) {
            return;
        }
        const double seconds = std::chrono::duration<double>(now - said_).count();
        const auto bytes = static_cast<double>(standing.bytes);
        std::string line = text("staging for ", duration_text(since(begun_)), ":");
        const auto add = [&line](std::int64_t nodes, std::string_view does) {
            if (nodes > 0) {
                line += text(line.ends_with(':') ? " " : ", ", nodes,
                             nodes == 1 ? " node " : " nodes ", does);
            }
        };
        add(standing.at(StagingStep::asking), "asking the remote");
        add(standing.at(StagingStep::waiting), "waiting for another process at the same root");
        add(standing.at(StagingStep::receiving), "receiving");
        add(standing.at(StagingStep::writing), "writing to the disk what has arrived");
        if (bytes > 0) {
            line += text("; ", bytes_text(bytes), " have arrived, ", standing.least_percent,
                         " % of what is listed, ", bytes_text((bytes - bytes_) / seconds), "/s");
        }
        log::info(line);
        said_ = now;
        bytes_ = bytes;
    }

private:
    static double since(Clock::time_point then) {
        return std::chrono::duration<double>(Clock::now() - then).count();
    }

    std::chrono::duration<double> interval_;
    bool is_shown_;
    Clock::time_point begun_ = Clock::now();
    Clock::time_point said_ = begun_;
    double bytes_ = 0;
};

/// Collective; `worker` is null on ranks that do not stage.
Standing standing_of(const Communicator& ranks, const Worker* worker) {
    Standing standing;
    for (std::size_t step = 0; step < standing.nodes.size(); ++step) {
        const bool is_at = worker != nullptr && worker->state() == working &&
                           static_cast<std::size_t>(worker->progress().step.load()) == step;
        standing.nodes[step] = ranks.all_reduce_sum(std::int64_t{is_at ? 1 : 0});
    }
    standing.bytes = ranks.all_reduce_sum(worker != nullptr ? worker->progress().bytes.load() : 0);
    // Only those that receive know of a share.
    const bool receives =
        worker != nullptr && worker->progress().step.load() == StagingStep::receiving;
    standing.least_percent =
        ranks.all_reduce_min(receives ? worker->progress().percent.load() : 100);
    return standing;
}

/// Beats until every node is done or one has failed; false where one has failed. Nodes that are
/// done keep the pace of the slowest.
bool wait_for_all(const Communicator& ranks, const Worker* worker, Report& report) {
    for (;;) {
        const auto next = Clock::now() + heartbeat;
        while (worker != nullptr && worker->state() == working && StopSignals::caught() == 0 &&
               Clock::now() < next) {
            std::this_thread::sleep_for(10ms);
        }
        State state = worker != nullptr ? worker->state() : done;
        if (StopSignals::caught() != 0) {
            state = failed;
        }
        const std::int64_t worst = ranks.all_reduce_max(state);
        if (worst != working) {
            return worst == done;
        }
        report.update(standing_of(ranks, worker));
    }
}

/// The facts about all nodes. Throws Error{bad_data} where nodes hold different sets.
StagingRecord combine(const Communicator& ranks, const StagedSet* set, int nodes) {
    const auto largest = [&](std::int64_t StagedSet::*member) {
        return ranks.all_reduce_max(set != nullptr ? set->*member : 0);
    };
    using Limits = std::numeric_limits<std::int64_t>;
    const auto digest = static_cast<std::int64_t>(set != nullptr ? set->digest : 0);
    const bool is_same = ranks.all_reduce_min(set != nullptr ? digest : Limits::max()) ==
                         ranks.all_reduce_max(set != nullptr ? digest : Limits::min());
    StagingRecord record;
    record.seconds = static_cast<double>(ranks.all_reduce_max(
                         set != nullptr ? static_cast<std::int64_t>(set->seconds * 1e6) : 0)) *
                     1e-6;
    record.files = largest(&StagedSet::transferred_files);
    record.bytes = largest(&StagedSet::transferred_bytes);
    record.set_files = largest(&StagedSet::files);
    record.set_bytes = largest(&StagedSet::bytes);
    record.nodes = nodes;
    record.skipped_nodes = ranks.all_reduce_sum(
        std::int64_t{set != nullptr && set->is_whole && set->transferred_files == 0 ? 1 : 0});
    ranks.agree_on_root([&] {
        if (!is_same) {
            throw Error(ExitCode::bad_data,
                        "the nodes hold different sets (the remote changed while it was staged) "
                        "start again when nobody writes there");
        }
    });
    return record;
}

void announce(const StagedData& data, const StagingRecord& record, bool only_look) {
    const std::string set =
        text(record.set_files, " files, ", bytes_text(static_cast<double>(record.set_bytes)));
    if (record.skipped_nodes == record.nodes) {
        log::info(text("'", data.settings.root, "' is up to date: ", set));
    } else {
        log::info(text(only_look ? "to stage: " : "staged ", record.files, " files, ",
                       bytes_text(static_cast<double>(record.bytes)), " of ", set,
                       only_look ? std::string() : text(", in ", duration_text(record.seconds))));
    }
}

}  // namespace

StagedData stage_data(const Communicator& world, const RankMap& rank, const Experiment& experiment,
                      bool only_look) {
    StagedData data;
    data.settings = experiment.data;
    const bool is_leader = rank.local_rank == 0;
    const bool is_staged = !experiment.data.remote.empty();
    world.agree([&] {
        data.settings.root = expand_environment(experiment.data.root, "data.root");
        data.settings.file = expand_environment(experiment.data.file, "data.file");
        data.settings.val_labels =
            expand_environment(experiment.data.val_labels, "data.val_labels");
        data.settings.class_names =
            expand_environment(experiment.data.class_names, "data.class_names");
        if (!is_staged && is_leader && experiment.data.source == DataSource::folder) {
            require_whole(data.settings.root);
        }
    });
    if (!is_staged) {
        return data;
    }

    Communicator ranks = world.duplicate();
    const auto nodes = static_cast<int>(ranks.all_reduce_sum(std::int64_t{is_leader ? 1 : 0}));
    log::info(text(only_look ? "looking at " : "staging ", data.settings.remote, " into '",
                   data.settings.root, "'"));
    const StopSignals signals;
    Report report(experiment, world.is_root());
    std::optional<Worker> worker;
    if (is_leader) {
        worker.emplace(StagingRequest{data.settings, only_look});
    }
    const bool is_complete = wait_for_all(ranks, worker ? &*worker : nullptr, report);
    const bool had_failed = worker && worker->state() == failed;
    if (worker) {
        worker->stop();
    }
    ranks.agree([&] {
        if (const int signal = StopSignals::caught(); signal != 0) {
            throw Error(ExitCode::interrupted,
                        text("staging was stopped by a signal (", strsignal(signal),
                             ") what has arrived is kept: start again to go on"));
        }
        // Where another node failed, this one's transfer was ended because of it.
        if (worker && (is_complete || had_failed)) {
            static_cast<void>(worker->set());
        }
    });
    const StagedSet* const set = worker ? &worker->set() : nullptr;
    data.record = combine(ranks, set, nodes);
    data.is_here = data.record->skipped_nodes == nodes || !only_look;
    if (set != nullptr) {
        data.settings.classes = set->classes;  // what the remote has, not what else lies in root
    }
    announce(data, *data.record, only_look);
    return data;
}

}  // namespace layerledger
