// How rank 0's work grows with the number of ranks and with that of iterations: simulated ranks
// through the rooms that clocks, gathered records and the run file pass, each shape in a process of
// its own. With the ranks neither its time nor its memory may grow faster than the data, with the
// iterations its memory hardly at all.
//
//   rank_scale [FOLDER]         64 to 4,096 ranks; a file of up to 0.5 GB is written there
//   (default:
//                               the temporary folder) and removed
//   rank_scale --small [FOLDER] 16 to 256 ranks, in seconds
//
// Messages are not sent but counted: what comes out of them is fed in. `many_ranks.py` sends them,
// between as many ranks as one machine holds.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "layerledger/base/text.hpp"
#include "layerledger/comm/clock_map.hpp"
#include "layerledger/record/gather.hpp"
#include "layerledger/record/run_reader.hpp"
#include "layerledger/record/run_writer.hpp"
#include "simulated_run.hpp"

namespace layerledger {
namespace {

struct Shape {
    std::size_t ranks = 0;
    std::size_t iterations = 0;
};

constexpr std::array<Shape, 4> many_ranks{{{64, 256}, {256, 256}, {1024, 256}, {4096, 256}}};
constexpr std::array<Shape, 3> small_many_ranks{{{16, 60}, {64, 60}, {256, 60}}};
/// Their records are more than what is read at once.
constexpr std::array<Shape, 2> long_runs{{{1024, 600}, {1024, 2400}}};
constexpr std::array<Shape, 2> small_long_runs{{{256, 600}, {256, 2400}}};
/// Of the memory, where the iterations are four times as many: some words for each may stay.
constexpr double allowed_growth = 1.25;
/// Of the time: what caches hold less of the larger, and what others do on this machine meanwhile.
constexpr double time_tolerance = 1.25;
constexpr std::int64_t hop_bound_ns = 2'000;
constexpr double largest_drift = 20e-6;

/// Of the processor, so that other programs do not count.
double seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto of = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    return of(usage.ru_utime) + of(usage.ru_stime);
}

/// Clocks that are wrong by seconds and drift, read over the tree at both ends of the run.
class SimulatedClocks {
public:
    explicit SimulatedClocks(std::size_t ranks) : maps_(ranks), offsets_ns_(ranks), drifts_(ranks) {
        std::uniform_real_distribution<double> offset_ns(-1e9, 1e9);
        std::uniform_real_distribution<double> drift(-largest_drift, largest_drift);
        for (std::size_t rank = 1; rank < ranks; ++rank) {
            offsets_ns_[rank] = offset_ns(random_);
            drifts_[rank] = drift(random_);
        }
    }

    /// A rank's clock when rank 0's says `root_ns`.
    [[nodiscard]] std::int64_t own_ns(std::size_t rank, std::int64_t root_ns) const {
        return root_ns +
               std::llround(offsets_ns_[rank] + drifts_[rank] * static_cast<double>(root_ns));
    }
    [[nodiscard]] std::int64_t to_root_ns(std::size_t rank, std::int64_t own_ns) const {
        return maps_[rank].to_root_ns(own_ns);
    }

    /// Each exchange is wrong by anything up to its bound, and a parent's error is its child's too.
    std::vector<ClockRecord> read(std::int64_t iteration, std::int64_t root_ns) {
        std::uniform_int_distribution<std::int64_t> error_ns(-hop_bound_ns, hop_bound_ns);
        std::vector<ClockRecord> records{{iteration, 0, root_ns, 0, 0, absent}};
        std::vector<std::int64_t> errors_ns{0};
        add(0, records.front());
        for (std::size_t rank = 1; rank < maps_.size(); ++rank) {
            const auto parent = static_cast<std::size_t>(clock_parent(static_cast<int>(rank)));
            errors_ns.push_back(errors_ns[parent] + error_ns(random_));
            ClockRecord record{iteration,
                               static_cast<std::int64_t>(rank),
                               root_ns,
                               own_ns(rank, root_ns) - root_ns + errors_ns[rank],
                               records[parent].bound_ns + hop_bound_ns,
                               absent};
            add(rank, record);
            records.push_back(record);
        }
        return records;
    }

private:
    void add(std::size_t rank, ClockRecord& record) {
        maps_[rank].add({record.time_ns, record.offset_ns, record.bound_ns});
        record.drift = maps_[rank].drift();
    }

    std::minstd_rand random_{1};
    std::vector<ClockMap> maps_;
    std::vector<double> offsets_ns_, drifts_;
};

/// What one number of ranks costs rank 0.
struct Cost {
    double data_bytes = 0;  ///< of all records
    double gather_s = 0, write_s = 0, end_s = 0, summary_s = 0, check_s = 0;
    double largest_bound_us = 0, largest_error_us = 0;  ///< of a clock
    double peak_bytes = 0;
    int is_whole = 0;

    [[nodiscard]] double total_s() const {
        return gather_s + write_s + end_s + summary_s + check_s;
    }
};

/// Adds what `work` takes to `sum_s`.
template <class Work>
void add_time(double& sum_s, const Work& work) {
    const double begun_s = seconds();
    work();
    sum_s += seconds() - begun_s;
}

Cost cost_of(Shape shape, const std::string& path) {
    const auto [ranks, iterations] = shape;
    Cost cost;
    const RunDescription description = bench::simulated_run("rank_scale", ranks);
    const RecordLayout layout(description.extents());
    bench::SimulatedRecords records(description);
    SimulatedClocks clocks(ranks);
    const std::size_t block_size =
        std::min(iterations, largest_block(layout, static_cast<int>(ranks)));
    RunWriter writer(path, description, true);
    writer.set_block_iterations(block_size);
    add_time(cost.write_s, [&] { writer.add_clocks(clocks.read(0, 0)); });
    const auto end = static_cast<std::int64_t>(iterations);
    const std::vector<ClockRecord> last = clocks.read(end, end * bench::simulated_iteration_ns);
    for (std::size_t first = 0; first < iterations; first += block_size) {
        RecordBlock sent = records.block(static_cast<std::int64_t>(first),
                                         std::min(block_size, iterations - first));
        for (std::size_t row = 0; row < sent.starts_ns.size(); ++row) {
            const std::size_t rank = row / sent.iterations();
            const std::int64_t true_ns = sent.starts_ns[row];
            sent.starts_ns[row] = clocks.to_root_ns(rank, clocks.own_ns(rank, true_ns));
            cost.largest_error_us =
                std::max(cost.largest_error_us,
                         static_cast<double>(std::abs(sent.starts_ns[row] - true_ns)) / 1e3);
        }
        cost.data_bytes += static_cast<double>(std::span(sent.rows).size_bytes());
        RecordBlock block;
        add_time(cost.gather_s, [&] {
            block = block_of(sent.facts, std::as_bytes(std::span(sent.rows)),
                             std::as_bytes(std::span(sent.starts_ns)));
        });
        add_time(cost.write_s, [&] { writer.append(std::move(block)); });
    }
    add_time(cost.write_s, [&] { writer.add_clocks(last); });
    for (const ClockRecord& record : last) {
        cost.largest_bound_us =
            std::max(cost.largest_bound_us, static_cast<double>(record.bound_ns) / 1e3);
    }
    bool is_whole = false;
    add_time(cost.end_s, [&] { is_whole = writer.finish(RunStatus::complete); });
    add_time(cost.summary_s, [&] { is_whole = summarize(path).causality.has_value() && is_whole; });
    add_time(cost.check_s, [&] {
        for (const std::string& fault : check_run_file(path)) {
            std::cout << fault << '\n';
            is_whole = false;
        }
    });
    cost.is_whole = static_cast<int>(is_whole);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    cost.peak_bytes = static_cast<double>(usage.ru_maxrss) * 1024;
    return cost;
}

/// In a process of its own, so that its memory is its own.
Cost cost_in_child(Shape shape, const std::string& path) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) {
        throw std::runtime_error("no pipe can be made");
    }
    std::cout << std::flush;  // else the child would write it too
    const pid_t child = fork();
    if (child == 0) {
        try {
            const Cost cost = cost_of(shape, path);
            std::cout << std::flush;
            _exit(::write(ends[1], &cost, sizeof cost) == sizeof cost ? 0 : 1);
        } catch (const std::exception& error) {
            std::cerr << error.what() << '\n';
            _exit(1);
        }
    }
    close(ends[1]);
    Cost cost;
    const bool has_come = ::read(ends[0], &cost, sizeof cost) == sizeof cost;
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    std::filesystem::remove(path);
    if (!has_come || status != 0) {
        throw std::runtime_error(text(shape.ranks, " ranks: the child failed"));
    }
    return cost;
}

bool report(const std::string& what, double value, double limit) {
    const bool is_within = value <= limit;
    std::cout << "  " << what << ": " << fixed(value, 2) << " (limit " << fixed(limit, 2) << ") "
              << (is_within ? "PASS" : "FAIL") << '\n';
    return is_within;
}

/// Measures a shape and prints what it costs. Whether its file is whole.
bool measure(Shape shape, const std::string& path, Cost& cost) {
    cost = cost_in_child(shape, path);
    const std::size_t rounds = std::bit_width(shape.ranks - 1);
    const double cells = static_cast<double>(shape.ranks * shape.iterations);
    std::cout << shape.ranks << " ranks x " << shape.iterations << " iterations, "
              << bytes_text(cost.data_bytes) << ": " << fixed(cost.total_s(), 2) << " s (gather "
              << fixed(cost.gather_s, 2) << ", write " << fixed(cost.write_s, 2) << ", end "
              << fixed(cost.end_s, 2) << ", summary " << fixed(cost.summary_s, 2) << ", check "
              << fixed(cost.check_s, 2) << "), " << fixed(cost.total_s() / cells * 1e6, 1)
              << " us a rank and iteration; memory " << bytes_text(cost.peak_bytes)
              << "; clocks in " << rounds << " rounds, wrong by " << fixed(cost.largest_error_us, 1)
              << " us at most, bound " << fixed(cost.largest_bound_us, 1)
              << " us; messages of rank 0: " << shape.ranks - 1 << " a gather, " << rounds
              << " x 33 to 257 a clock reading\n";
    return cost.is_whole != 0 && cost.largest_error_us <= cost.largest_bound_us;
}

/// Neither time nor memory may grow faster than the data, nor memory by more than `largest_memory`.
bool measure_growth(std::span<const Shape> shapes, const std::string& path, double largest_memory) {
    bool is_good = true;
    Cost before;
    for (const Shape shape : shapes) {
        Cost cost;
        is_good = measure(shape, path, cost) && is_good;
        if (before.data_bytes > 0) {
            const double growth = cost.data_bytes / before.data_bytes;
            is_good = report("time grows by", cost.total_s() / before.total_s(),
                             time_tolerance * growth) &&
                      is_good;
            is_good = report("memory grows by", cost.peak_bytes / before.peak_bytes,
                             std::min(growth, largest_memory)) &&
                      is_good;
        }
        before = cost;
    }
    return is_good;
}

bool run(bool is_small, const std::filesystem::path& folder) {
    const std::string path = (folder / text("layerledger_rank_scale_", getpid(), ".h5")).string();
    const auto ranks = is_small ? std::span<const Shape>(small_many_ranks) : many_ranks;
    const auto runs = is_small ? std::span<const Shape>(small_long_runs) : long_runs;
    const bool is_good = measure_growth(ranks, path, std::numeric_limits<double>::infinity());
    return measure_growth(runs, path, allowed_growth) && is_good;
}

}  // namespace
}  // namespace layerledger

int main(int argc, char** argv) {
    using namespace layerledger;
    std::vector<std::string> words(argv + 1, argv + argc);
    const bool is_small = !words.empty() && words.front() == "--small";
    if (is_small) {
        words.erase(words.begin());
    }
    try {
        const std::filesystem::path folder = words.empty() ? std::filesystem::temp_directory_path()
                                                           : std::filesystem::path(words.front());
        return run(is_small, folder) ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
