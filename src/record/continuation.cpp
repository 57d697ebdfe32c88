#include "continuation.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "event_table.hpp"
#include "facts.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "peak_memory.hpp"
#include "run_file.hpp"
#include "schema.hpp"

namespace layerledger {
namespace {

/// The values of a description variable that is in the file.
template <class T>
bool is_equal(const hdf5::File& file, const std::string& name, const std::vector<T>& values) {
    return file.contains(name) ? file.read<T>(name) == values : values.empty();
}

std::int64_t last_end_ns(const hdf5::File& file, std::uint64_t rows, std::uint64_t ranks) {
    if (rows == 0) {
        return 0;
    }
    const hdf5::Slab last{{rows - 1, 0}, {1, ranks}};
    const auto starts = file.read<std::int64_t>(std::string(schema::iteration_start().name), last);
    const auto times_us = file.read<float>("iteration_time", last);
    std::int64_t end = 0;
    for (std::size_t rank = 0; rank < starts.size(); ++rank) {
        const double ns = std::isnan(times_us[rank]) ? 0.0 : 1e3 * times_us[rank];
        end = std::max(end, starts[rank] + static_cast<std::int64_t>(ns));
    }
    return end;
}

template <class Event>
std::vector<Event> up_to(std::vector<Event> events, std::int64_t iteration) {
    std::erase_if(events, [iteration](const Event& event) { return event.iteration > iteration; });
    return events;
}

}  // namespace

void require_same_tables(const hdf5::File& file, const RunDescription& description,
                         const std::string& path) {
    const auto require = [&](bool is_same, const std::string& what) {
        LL_VALIDATE(is_same, ExitCode::cannot_create,
                    text("cannot go on in '", path, "' (it was written with other ", what,
                         ") choose another output.file"));
    };
    require(file.text_attribute("/", "level") == schema::name(description.level),
            "settings of profile.level");
    require(file.integer_attribute("/", "per_rank_batch") == description.batch_size,
            "batches per rank");
    require(file.extent("rank") == hdf5::Extent{description.ranks.size()}, "ranks");
    for (const schema::DescriptionVariable& variable : schema::description_variables()) {
        const std::string name(variable.name);
        if (name == "layer" || name == "activity" || name == "phase" || name == "bucket_bytes" ||
            (name == "op" && description.extents().ops > 0)) {
            require(std::visit([&](const auto& values) { return is_equal(file, name, values); },
                               variable.values(description)),
                    name == "bucket_bytes" ? "gradient buckets" : text("names of ", name));
        }
    }
}

EarlierStart continue_run_file(hdf5::File& file, const StartRecord& start) {
    const std::int64_t iteration = start.iteration;
    EarlierStart earlier;
    earlier.lost_checkpoints = file.integer_attribute("/", "lost_checkpoints").value_or(0);
    earlier.dropped_spans = file.integer_attribute("/", "dropped_spans").value_or(0);
    earlier.peak_memory = read_peak_memory(file);
    file.set_attribute("/", "status", schema::name(RunStatus::running));
    const std::string before = file.text_attribute("/", "history").value_or("");
    file.set_attribute("/", "history",
                       text(before, before.empty() ? "" : "\n", history_line(start)));
    std::vector<StartRecord>& starts = earlier.past.starts;
    starts = read_starts(file);
    starts.push_back(start);
    write_events(file, starts, starts.size() - 1);
    std::int64_t first = std::ranges::min(starts, {}, &StartRecord::iteration).iteration;

    earlier.validations = up_to(read_validations(file), iteration);
    earlier.pauses = up_to(read_pauses(file), iteration);
    earlier.clocks = up_to(read_clocks(file), iteration);
    // Of iterations themselves: the one that comes next is not among the earlier ones.
    earlier.kernels = read_kernel_samples(file);
    earlier.kernels.samples = up_to(std::move(earlier.kernels.samples), iteration - 1);
    earlier.kernels.kernels = up_to(std::move(earlier.kernels.kernels), iteration - 1);
    earlier.kernels.copies = up_to(std::move(earlier.kernels.copies), iteration - 1);
    if (file.contains("iteration")) {
        const auto rows = static_cast<std::uint64_t>(
            file.integer_attribute("/", "committed_iterations").value_or(0));
        const auto numbers = file.read<std::int64_t>("iteration", hdf5::Slab{{0}, {rows}});
        earlier.committed = std::ranges::lower_bound(numbers, iteration) - numbers.begin();
        if (earlier.committed > 0) {
            first = std::min(first, numbers.front());
        }
        earlier.block_iterations = file.chunk("iteration").at(0);
        earlier.epoch_utc_ns =
            file.integer_attribute(std::string(schema::iteration_start().name), "epoch_utc_ns")
                .value_or(0);
        earlier.last_end_ns = last_end_ns(file, static_cast<std::uint64_t>(earlier.committed),
                                          file.extent("rank").front());
        file.set_attribute("/", "committed_iterations", earlier.committed);
        file.flush();  // from here on the rows do not count, whether they are there or not
        drop_uncommitted_rows(file);
    }
    const std::int64_t lacking = iteration - first - earlier.committed;
    earlier.dropped =
        std::min(lacking, file.integer_attribute("/", "dropped_iterations").value_or(0));
    file.set_attribute("/", "dropped_iterations", earlier.dropped);
    earlier.past.missing = lacking - earlier.dropped;
    file.set_attribute("/", "missing_iterations", earlier.past.missing);
    write_events(file, earlier.validations, earlier.validations.size());
    write_events(file, earlier.pauses, earlier.pauses.size());
    write_events(file, earlier.clocks, earlier.clocks.size());
    write_kernels(file, {}, rows_of(earlier.kernels));
    return earlier;
}

IterationArrays::Epoch epoch_of(const RecordBlock& first, std::size_t ranks,
                                const EarlierStart& earlier) {
    std::int64_t earliest = first.starts_ns.front();
    for (std::size_t rank = 1; rank < ranks; ++rank) {
        earliest = std::min(earliest, first.starts_ns[rank * first.iterations()]);
    }
    const auto nanoseconds = [](auto duration) {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
    };
    const std::int64_t age_ns =
        nanoseconds(std::chrono::steady_clock::now().time_since_epoch()) - earliest;
    const std::int64_t utc_ns =
        nanoseconds(std::chrono::system_clock::now().time_since_epoch()) - age_ns;
    if (earlier.committed == 0) {
        return {earliest, utc_ns};
    }
    const std::int64_t on_calendar = earlier.epoch_utc_ns > 0 ? utc_ns - earlier.epoch_utc_ns : 0;
    const std::int64_t elapsed_ns = std::max(on_calendar, earlier.last_end_ns);
    return {earliest - elapsed_ns, utc_ns - elapsed_ns};
}

}  // namespace layerledger
