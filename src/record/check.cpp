#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "causality.hpp"
#include "event_table.hpp"
#include "facts.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/record/run_reader.hpp"
#include "open_run_file.hpp"
#include "row_reader.hpp"
#include "schema.hpp"

namespace layerledger {
namespace {

std::string shape_text(const hdf5::Extent& extent) {
    std::string shape;
    for (const auto size : extent) {
        shape += text(shape.empty() ? "" : " x ", size);
    }
    return shape;
}

/// 1 of "2.1.0"; 0 where there is none.
int minor_of(const std::string& version) {
    int minor = 0;
    if (const std::size_t point = version.find('.'); point != std::string::npos) {
        std::from_chars(version.data() + point + 1, version.data() + version.size(), minor);
    }
    return minor;
}

/// One pass over one file; collects a sentence for each fault.
class Check {
public:
    explicit Check(const hdf5::File& file) : file_(file) {}

    [[nodiscard]] std::vector<std::string> run();

private:
    template <class... Parts>
    void fault(const Parts&... parts) {
        faults_.push_back(text(parts...));
    }
    void check_count(const char* name);
    void check_attributes();
    void find_extents();
    void check_variable(const schema::Variable& variable);
    void check_variables();
    void check_nothing_else();
    void check_labels();
    void check_starts();
    void check_iterations();
    void check_sums();
    void check_causality();

    const hdf5::File& file_;
    std::vector<std::string> faults_;
    schema::DimExtents extents_{};
    std::int64_t committed_ = 0;
    int minor_ = 0;  ///< version of the schema that the file follows
    bool is_running_ = false;
};

void Check::check_count(const char* name) {
    const auto value = file_.integer_attribute("/", name);
    if (!value) {
        fault("the attribute ", name, " is missing or no integer");
    } else if (*value < 0) {
        fault("the attribute ", name, " is negative (", *value, ")");
    }
}

void Check::check_attributes() {
    minor_ = minor_of(file_.text_attribute("/", "schema_version").value_or(""));
    for (const char* name :
         {"Conventions", "title", "creator", "run_id", "date_created", "status", "level"}) {
        if (!file_.text_attribute("/", name)) {
            fault("the attribute ", name, " is missing or no text");
        }
    }
    for (const char* name : {"committed_iterations", "warmup_iterations", "per_rank_batch",
                             "dropped_iterations", "dropped_spans", "skipped_images"}) {
        check_count(name);
    }
    if (minor_ >= schema::minor_with_starts) {
        check_count("missing_iterations");
    }
    if (file_.integer_attribute("/", "lost_checkpoints")) {  // which older files do not say
        check_count("lost_checkpoints");
    }
    const std::string status = file_.text_attribute("/", "status").value_or("");
    if (std::ranges::find(schema::status_names, status) == schema::status_names.end()) {
        fault("the status '", status, "' is none of running, complete, interrupted, failed");
    }
    const std::string level = file_.text_attribute("/", "level").value_or("");
    if (std::ranges::find(schema::level_names, level) == schema::level_names.end()) {
        fault("the level '", level, "' is none of off, iteration, layer, op, kernel");
    }
    for (const std::string_view group : schema::fact_groups) {
        if (!file_.contains(std::string(group))) {
            fault("the group ", group, " is missing");
        }
    }
    is_running_ = status == schema::name(RunStatus::running);
    committed_ =
        std::max<std::int64_t>(0, file_.integer_attribute("/", "committed_iterations").value_or(0));
}

/// The scales say how large everything is. Runs may have no buckets and record no operations.
void Check::find_extents() {
    for (std::size_t i = 0; i < schema::dim_names.size(); ++i) {
        const std::string name(schema::dim_names.at(i));
        const auto dim = static_cast<schema::Dim>(i);
        const bool is_optional = dim == schema::Dim::bucket || dim == schema::Dim::op ||
                                 (dim == schema::Dim::iteration && committed_ == 0);
        if (file_.contains(name)) {
            const hdf5::Extent extent = file_.extent(name);
            extents_.at(i) = extent.empty() ? 0 : extent.front();
        } else if (!is_optional) {
            fault("the scale ", name, " is missing");
        }
    }
}

void Check::check_variable(const schema::Variable& variable) {
    const std::string name(variable.name);
    if (!file_.contains(name)) {
        if (variable.since <= minor_) {
            fault(name, " is missing");
        }
        return;
    }
    if (file_.element(name) != variable.element) {
        fault(name, " has another element type than the schema");
        return;
    }
    if (!variable.units.empty() && file_.text_attribute(name, "units") != variable.units) {
        fault(name, " has the units '", file_.text_attribute(name, "units").value_or(""),
              "' instead of '", variable.units, "'");
    }
    if (!file_.text_attribute(name, "long_name")) {
        fault(name, " has no long_name");
    }
    hdf5::Extent extent = file_.extent(name);
    const bool is_growing = variable.dims.front() == schema::Dim::iteration;
    if (is_running_ && is_growing && !extent.empty() &&
        extent.front() >= static_cast<std::uint64_t>(committed_)) {
        // A kill in the middle of a commit leaves rows in some arrays that do not count yet.
        extent.front() = extents_[schema::index(schema::Dim::iteration)];
    }
    if (extent != variable.extent(extents_)) {
        fault(name, " is ", shape_text(extent), " where its dimensions are ",
              shape_text(variable.extent(extents_)));
        return;
    }
    if (variable.name == schema::name(variable.dims.front()) && variable.dims.size() == 1) {
        return;  // itself a scale
    }
    for (unsigned axis = 0; axis < variable.dims.size(); ++axis) {
        const std::string_view dim = schema::name(variable.dims[axis]);
        if (file_.scale_of(name, axis) != dim) {
            fault(name, " is not attached to the scale ", dim, " on axis ", axis);
        }
    }
}

void Check::check_variables() {
    for (const auto& variable : schema::description_variables()) {
        if (variable.exists(extents_)) {
            check_variable(variable);
        }
    }
    if (!file_.contains("iteration")) {
        return;  // ended before its first iteration
    }
    for (const auto& variable : schema::iteration_variables()) {
        check_variable(variable);
    }
    check_variable(schema::iteration_start());
    for (const auto& variable : schema::record_variables()) {
        if (variable.exists(extents_)) {
            check_variable(variable);
        }
    }
    if (extents_[schema::index(schema::Dim::iteration)] < static_cast<std::uint64_t>(committed_)) {
        fault("committed_iterations is ", committed_, " but there are only ",
              extents_[schema::index(schema::Dim::iteration)], " rows");
    }
}

/// One array without scales in the root group and common readers refuse the whole file.
void Check::check_nothing_else() {
    for (const std::string& name : file_.datasets("/")) {
        const hdf5::Extent extent = file_.extent(name);
        const bool is_scale = std::ranges::find(schema::dim_names, name) != schema::dim_names.end();
        for (unsigned axis = 0; !is_scale && axis < extent.size(); ++axis) {
            if (file_.scale_of(name, axis).empty()) {
                fault(name, " has no scale on axis ", axis);
            }
        }
    }
}

/// The dictionary of classes, which runs on synthetic images do not have.
void Check::check_labels() {
    if (!file_.contains("labels")) {
        return;
    }
    if (!file_.contains("labels/class") || file_.element("labels/class") != hdf5::Element::text) {
        fault("labels/class is missing or no text");
        return;
    }
    if (file_.contains("labels/class_name") &&
        file_.extent("labels/class_name") != file_.extent("labels/class")) {
        fault("labels/class_name is not as long as labels/class");
    }
    for (const char* name : {"train_images", "val_images"}) {
        if (file_.integer_attribute("labels", name).value_or(-1) < 0) {
            fault("the attribute ", name, " of labels is missing or negative");
        }
    }
}

/// Each start of the run is on record, the first one too.
void Check::check_starts() {
    if (minor_ < schema::minor_with_starts) {
        return;
    }
    const std::vector<StartRecord> starts = read_starts(file_);
    if (starts.empty()) {
        fault("starts has no rows");
    }
    for (const StartRecord& start : starts) {
        if (start.iteration < 0 || start.date.empty() ||
            start.ranks != static_cast<std::int64_t>(extents_[schema::index(schema::Dim::rank)])) {
            fault("the start of ", start.date.empty() ? "no date" : start.date, " at iteration ",
                  start.iteration, " with ", start.ranks, " ranks cannot be");
        }
    }
}

/// They rise, and those that are not there are counted in the attributes that say so.
void Check::check_iterations() {
    const auto iterations = file_.read<std::int64_t>(
        "iteration", hdf5::Slab{{0}, {static_cast<std::uint64_t>(committed_)}});
    const auto fall = std::ranges::adjacent_find(iterations, std::greater_equal<>());
    if (fall != iterations.end()) {
        fault("iteration does not rise after row ", fall - iterations.begin(), " (", *fall,
              " is followed by ", *std::next(fall), ")");
        return;
    }
    const std::string status = file_.text_attribute("/", "status").value_or("");
    if (minor_ < schema::minor_with_starts || (status != schema::name(RunStatus::complete) &&
                                               status != schema::name(RunStatus::interrupted))) {
        return;  // a run that was cut off could not count them
    }
    const std::int64_t first =
        std::ranges::min(read_starts(file_), {}, &StartRecord::iteration).iteration;
    const std::int64_t lacking = iterations.back() + 1 - first - std::ssize(iterations);
    const std::int64_t counted = file_.integer_attribute("/", "dropped_iterations").value_or(0) +
                                 file_.integer_attribute("/", "missing_iterations").value_or(0);
    if (lacking < 0 || lacking > counted) {
        fault("of iterations ", first, " to ", iterations.back(), " there are ",
              std::ssize(iterations), ", and ", counted, " are said to be missing");
    }
}

/// iteration_time = layers + activities + unaccounted for every profiled iteration, and nothing is
/// counted twice: then unaccounted would be negative.
void Check::check_sums() {
    const std::string level = file_.text_attribute("/", "level").value_or("");
    if (level == schema::name(Level::off) || level == schema::name(Level::iteration)) {
        return;
    }
    // Every term is rounded to a float; a layer's is the sum of a few.
    constexpr double relative_error = 1e-6;
    // Differences of clock readings, each of which is rounded too.
    const auto least_unaccounted = [](double iteration_us) { return -(1 + 1e-5 * iteration_us); };
    Rows rows;
    rows.count = static_cast<std::uint64_t>(committed_);
    const auto profiled = file_.read<std::uint8_t>("profiled", hdf5::Slab{{0}, {rows.count}});
    struct Violation {
        std::uint64_t row, rank;
        double sum, iteration;
    };
    std::optional<Violation> first;
    std::optional<Violation> first_double;
    const std::uint64_t columns =
        extents_[schema::index(schema::Dim::layer)] * extents_[schema::index(schema::Dim::phase)];
    std::vector<double> sums;

    for_each_piece(file_, "layer_time", rows, [&](const Piece& piece) {
        if (piece.first_column == 0) {
            sums.assign(rows.count * piece.ranks, 0);
        }
        for (std::uint64_t i = 0; i < sums.size(); ++i) {
            for (std::uint64_t column = 0; column < piece.width; ++column) {
                const float value = piece.values[i * piece.width + column];
                sums[i] += std::isnan(value) ? 0 : value;
            }
        }
        if (piece.first_column + piece.width < columns) {
            return;
        }
        hdf5::Slab slab{{0, piece.first_rank}, {rows.count, piece.ranks}};
        const auto unaccounted = file_.read<float>("unaccounted", slab);
        const auto iteration_time = file_.read<float>("iteration_time", slab);
        slab.start.push_back(0);
        slab.count.push_back(activity_count);
        const auto activities = file_.read<float>("activity_time", slab);
        for (std::uint64_t i = 0; i < sums.size(); ++i) {
            const std::uint64_t row = i / piece.ranks;
            const std::uint64_t rank = piece.first_rank + i % piece.ranks;
            if (profiled[row] == 0) {
                continue;
            }
            if (unaccounted[i] < least_unaccounted(iteration_time[i]) &&
                (!first_double || row < first_double->row)) {
                first_double = {row, rank, unaccounted[i], iteration_time[i]};
            }
            if (first && row >= first->row) {
                continue;
            }
            double sum = sums[i] + unaccounted[i];
            for (std::uint64_t a = 0; a < activity_count; ++a) {
                const float value = activities[i * activity_count + a];
                sum += std::isnan(value) ? 0 : value;
            }
            const double difference = std::abs(sum - iteration_time[i]);
            if (!(difference <= relative_error * iteration_time[i])) {
                first = {row, rank, sum, iteration_time[i]};
            }
        }
    });
    if (first) {
        fault("the account of row ", first->row, ", rank ", first->rank,
              " does not close (layers, activities and unaccounted make ", fixed(first->sum, 3),
              " us of ", fixed(first->iteration, 3), " us)");
    }
    if (first_double) {
        const auto iteration =
            file_.read<std::int64_t>("iteration", hdf5::Slab{{first_double->row}, {1}});
        fault("time is counted twice in iteration ", iteration.front(), ", rank ",
              first_double->rank, " (layers and activities make ", fixed(-first_double->sum, 3),
              " us more than its ", fixed(first_double->iteration, 3), " us)");
    }
}

/// No rank leaves an all-reduce before the last one enters it, and the facts about that are right.
void Check::check_causality() {
    const std::optional<CausalityRecord> found = find_causality(file_);
    if (!found) {
        return;
    }
    if (found->violations > 0) {
        fault("in ", found->violations, " of ", found->checked,
              " all-reduces a rank leaves before the last one enters (most in iteration ",
              found->worst_iteration, ", bucket ", found->worst_bucket, ", rank ",
              found->worst_rank, ": ", fixed(found->worst_us, 3),
              " us more than the clocks may be wrong by)");
    }
    const std::string status = file_.text_attribute("/", "status").value_or("");
    const std::optional<CausalityRecord> stored = read_causality(file_);
    if (stored && status != schema::name(RunStatus::running) &&
        status != schema::name(RunStatus::failed) &&  // then they are of an earlier start
        (stored->checked != found->checked || stored->within_bounds != found->within_bounds ||
         stored->violations != found->violations)) {
        fault("causality says ", stored->violations, " violations in ", stored->checked,
              " all-reduces where there are ", found->violations, " in ", found->checked);
    }
}

std::vector<std::string> Check::run() {
    check_attributes();
    find_extents();
    if (!faults_.empty()) {
        return faults_;
    }
    check_variables();
    check_nothing_else();
    for (const std::string& event_fault : check_event_tables(file_, is_running_)) {
        fault(event_fault);
    }
    if (faults_.empty()) {
        check_starts();
    }
    check_labels();
    for (const std::string& staging_fault : staging_faults(file_)) {
        fault(staging_fault);
    }
    if (faults_.empty() && committed_ > 0) {
        check_iterations();
        check_sums();
        check_causality();
    }
    if (const auto lost = file_.integer_attribute("/", "dropped_iterations").value_or(0);
        lost > 0) {
        fault("the records of ", lost, " iterations could not be written and are lost");
    }
    if (const auto spans = file_.integer_attribute("/", "dropped_spans").value_or(0); spans > 0) {
        fault(spans, " spans did not fit and are missing: times are too small");
    }
    return faults_;
}

}  // namespace

std::vector<std::string> check_run_file(const std::string& path) {
    const hdf5::File file = open_run_file(path);
    try {
        return Check(file).run();
    } catch (const std::exception& error) {
        throw damaged(path, error);
    }
}

}  // namespace layerledger
