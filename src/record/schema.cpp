#include "schema.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace layerledger::schema {
namespace {

using enum Dim;
using hdf5::Element;

/// One value per element of a list, such as each rank's host.
template <class List, class Get>
Values each(const List& list, Get get) {
    std::vector<std::decay_t<decltype(get(list.front()))>> values;
    values.reserve(list.size());
    for (const auto& item : list) {
        values.push_back(get(item));
    }
    return values;
}

/// Three values per layer, one a phase.
template <class Get>
Values each_phase(const std::vector<LayerDescription>& layers, Get get) {
    std::vector<double> values;
    for (const LayerDescription& layer : layers) {
        const std::array<double, 3>& of_phases = get(layer);
        values.insert(values.end(), of_phases.begin(), of_phases.end());
    }
    return values;
}

Values not_known_yet(const RunDescription& run) {
    return std::vector<double>(run.ranks.size(), std::numeric_limits<double>::quiet_NaN());
}

Values texts(std::span<const std::string_view> names) {
    return std::vector<std::string>(names.begin(), names.end());
}

Values numbers_from_0(std::size_t count) {
    std::vector<std::int32_t> values(count);
    std::iota(values.begin(), values.end(), 0);
    return values;
}

/// Mean over the ranks; not a number where it is none on a rank: what diverged there must show.
Values mean_over_ranks(const RecordBlock& block, const RecordLayout& layout, std::size_t column) {
    const std::size_t iterations = block.iterations();
    const std::size_t ranks = block.starts_ns.size() / iterations;
    std::vector<float> means;
    for (std::size_t i = 0; i < iterations; ++i) {
        double sum = 0;
        for (std::size_t rank = 0; rank < ranks; ++rank) {
            sum += block.rows[(rank * iterations + i) * layout.size + column];
        }
        means.push_back(static_cast<float>(sum / static_cast<double>(ranks)));
    }
    return means;
}

}  // namespace

bool Variable::exists(const DimExtents& extents) const {
    return std::ranges::all_of(
        dims, [&](Dim dim) { return dim == iteration || extents[index(dim)] > 0; });
}

hdf5::Extent Variable::extent(const DimExtents& extents) const {
    hdf5::Extent extent;
    for (const Dim dim : dims) {
        extent.push_back(extents[index(dim)]);
    }
    return extent;
}

void create(hdf5::File& file, const Variable& variable, const hdf5::Extent& extent,
            const hdf5::Extent& chunk) {
    const std::string dataset(variable.name);
    file.create_dataset(dataset, variable.element, extent, chunk);
    if (!variable.units.empty()) {
        file.set_attribute(dataset, "units", variable.units);
    }
    file.set_attribute(dataset, "long_name", variable.long_name);
    if (variable.element == Element::float32) {
        file.set_attribute<float>(dataset, "_FillValue", std::span(&absent, 1));
    }
    if (variable.element == Element::uint8) {
        constexpr std::array<std::uint8_t, 2> flags{0, 1};
        file.set_attribute<std::uint8_t>(dataset, "flag_values", flags);
        file.set_attribute(dataset, "flag_meanings", "no yes");
    }
    if (std::ranges::find(dim_names, variable.name) != dim_names.end()) {
        file.make_scale(dataset);
        return;
    }
    for (unsigned axis = 0; axis < variable.dims.size(); ++axis) {
        file.attach_scale(dataset, axis, std::string(schema::name(variable.dims[axis])));
    }
    if (std::ranges::find(variable.dims, rank) != variable.dims.end() && !chunk.empty()) {
        file.set_attribute(dataset, "coordinates", "hostname local_rank");
    }
}

DimExtents extents_of(const RunDescription& description) {
    const Extents record = description.extents();
    DimExtents extents{};
    extents[index(rank)] = description.ranks.size();
    extents[index(layer)] = record.layers;
    extents[index(phase)] = phases.size();
    extents[index(activity)] = activity_count;
    extents[index(bucket)] = record.buckets;
    extents[index(op)] = record.ops;
    return extents;
}

const std::vector<DescriptionVariable>& description_variables() {
    using Run = RunDescription;
    static const std::vector<DescriptionVariable> variables{
        {{"rank", Element::int32, {rank}, "1", "rank"},
         [](const Run& run) { return numbers_from_0(run.ranks.size()); }},
        {{"layer", Element::text, {layer}, "", "layer, in order of the forward pass"},
         [](const Run& run) {
             return each(run.layers, [](const LayerDescription& l) { return l.name; });
         }},
        {{"phase", Element::text, {phase}, "", "part of an iteration in which a layer works"},
         [](const Run&) { return texts(phase_names); }},
        {{"activity", Element::text, {activity}, "", "what an iteration did besides its layers"},
         [](const Run&) { return texts(activity_names); }},
        {{"bucket", Element::int32, {bucket}, "1", "gradient bucket, in order of all-reduce"},
         [](const Run& run) { return numbers_from_0(run.buckets.size()); }},
        {{"op", Element::text, {op}, "", "operation inside a layer"},
         [](const Run& run) {
             return each(run.ops, [](const OpDescription& o) { return o.name; });
         }},

        {{"hostname", Element::text, {rank}, "", "node that the rank ran on"},
         [](const Run& run) {
             return each(run.ranks, [](const RankDescription& r) { return r.host; });
         }},
        {{"local_rank", Element::int32, {rank}, "1", "index among the ranks of the node"},
         [](const Run& run) {
             return each(run.ranks, [](const RankDescription& r) { return r.local_rank; });
         }},
        {{"device_name", Element::text, {rank}, "", "device that computed"},
         [](const Run& run) {
             return each(run.ranks, [](const RankDescription& r) { return r.device_name; });
         }},
        {{"device_uuid", Element::text, {rank}, "", "UUID of the device"},
         [](const Run& run) {
             return each(run.ranks, [](const RankDescription& r) { return r.device_uuid; });
         }},
        {{"threads", Element::int32, {rank}, "1", "computing threads of the rank"},
         [](const Run& run) {
             return each(run.ranks, [](const RankDescription& r) { return r.threads; });
         }},
        {{"clock_offset", Element::int64, {rank}, "ns", "the rank's clock minus rank 0's"},
         [](const Run& run) {
             return each(run.ranks, [](const RankDescription& r) { return r.clock_offset_ns; });
         }},
        {{"clock_bound", Element::int64, {rank}, "ns", "largest error of clock_offset"},
         [](const Run& run) {
             return each(run.ranks, [](const RankDescription& r) { return r.clock_bound_ns; });
         }},

        {{"estimated_memory",
          Element::int64,
          {rank},
          "byte",
          "memory that the rank was expected to need: its GPU's, on CPUs its process's",
          1},
         [](const Run& run) {
             return each(run.ranks, [](const RankDescription& r) { return r.estimated_bytes; });
         }},
        {{"peak_memory",
          Element::float64,
          {rank},
          "byte",
          "largest memory of the rank's process during the run, known at its end",
          1},
         not_known_yet},
        {{"device_memory",
          Element::float64,
          {rank},
          "byte",
          "largest memory that the rank held on its GPU during the run, known at its end",
          4},
         not_known_yet},
        {{"device_library_memory",
          Element::float64,
          {rank},
          "byte",
          "memory of the GPU that its libraries took besides, known at the run's end",
          4},
         not_known_yet},

        {{"layer_kind", Element::text, {layer}, "", "kind of layer"},
         [](const Run& run) {
             return each(run.layers, [](const LayerDescription& l) { return l.kind; });
         }},
        {{"layer_parameters", Element::int64, {layer}, "1", "trained parameters"},
         [](const Run& run) {
             return each(run.layers, [](const LayerDescription& l) { return l.parameters; });
         }},
        {{"layer_flops",
          Element::float64,
          {layer, phase},
          "1",
          "floating-point operations for one per-rank batch"},
         [](const Run& run) {
             return each_phase(
                 run.layers, [](const auto& l) -> auto& { return l.flops; });
         }},
        {{"layer_bytes",
          Element::float64,
          {layer, phase},
          "byte",
          "least memory traffic for one per-rank batch"},
         [](const Run& run) {
             return each_phase(
                 run.layers, [](const auto& l) -> auto& { return l.bytes; });
         }},
        {{"layer_algorithm", Element::text, {layer}, "", "algorithms of the layer's operations"},
         [](const Run& run) {
             return each(run.layers, [](const LayerDescription& l) { return l.algorithm; });
         }},
        {{"layer_workspace_bytes", Element::int64, {layer}, "byte", "workspace of the algorithms"},
         [](const Run& run) {
             return each(run.layers, [](const LayerDescription& l) { return l.workspace_bytes; });
         }},
        {{"layer_activation_bytes",
          Element::int64,
          {layer},
          "byte",
          "memory of the layer's outputs, for one per-rank batch"},
         [](const Run& run) {
             return each(run.layers, [](const LayerDescription& l) { return l.activation_bytes; });
         }},

        {{"layer_parameter_bytes",
          Element::int64,
          {layer},
          "byte",
          "memory of the layer's parameters",
          1},
         [](const Run& run) {
             return each(run.layers, [](const LayerDescription& l) { return l.parameter_bytes; });
         }},
        {{"layer_gradient_bytes",
          Element::int64,
          {layer},
          "byte",
          "memory of the gradients of the layer's parameters and inputs",
          1},
         [](const Run& run) {
             return each(run.layers, [](const LayerDescription& l) { return l.gradient_bytes; });
         }},
        {{"layer_optimizer_bytes",
          Element::int64,
          {layer},
          "byte",
          "memory of the optimizer's state for the layer's parameters",
          1},
         [](const Run& run) {
             return each(run.layers, [](const LayerDescription& l) { return l.optimizer_bytes; });
         }},

        {{"op_kind", Element::text, {op}, "", "kind of operation"},
         [](const Run& run) {
             return each(run.ops, [](const OpDescription& o) { return o.kind; });
         }},
        {{"op_layer", Element::int32, {op}, "1", "index of the operation's layer"},
         [](const Run& run) {
             return each(run.ops, [](const OpDescription& o) { return o.layer; });
         }},
        {{"bucket_bytes", Element::int64, {bucket}, "byte", "size of the bucket"},
         [](const Run& run) {
             return each(run.buckets, [](const BucketDescription& b) { return b.bytes; });
         }},
        {{"bucket_layers", Element::text, {bucket}, "", "layers whose gradients it holds"},
         [](const Run& run) {
             return each(run.buckets, [](const BucketDescription& b) { return b.layers; });
         }},
    };
    return variables;
}

const std::vector<IterationVariable>& iteration_variables() {
    using Block = RecordBlock;
    using Layout = RecordLayout;
    using Facts = IterationFacts;
    static const std::vector<IterationVariable> variables{
        {{"iteration", Element::int64, {iteration}, "1", "training iteration, from 0"},
         [](const Block& block, const Layout&) {
             return each(block.facts, [](const Facts& f) { return f.iteration; });
         }},
        {{"epoch", Element::int32, {iteration}, "1", "epoch, from 0"},
         [](const Block& block, const Layout&) {
             return each(block.facts, [](const Facts& f) { return f.epoch; });
         }},
        {{"warmup", Element::uint8, {iteration}, "1", "whether the iteration is warm-up"},
         [](const Block& block, const Layout&) {
             return each(block.facts,
                         [](const Facts& f) { return static_cast<std::uint8_t>(f.warmup); });
         }},
        {{"profiled", Element::uint8, {iteration}, "1", "whether more than its time was recorded"},
         [](const Block& block, const Layout&) {
             return each(block.facts,
                         [](const Facts& f) { return static_cast<std::uint8_t>(f.profiled); });
         }},
        {{"learning_rate", Element::float32, {iteration}, "1", "learning rate"},
         [](const Block& block, const Layout&) {
             return each(block.facts, [](const Facts& f) { return f.learning_rate; });
         }},
        {{"loss", Element::float32, {iteration}, "1", "training loss, mean over ranks"},
         [](const Block& block, const Layout& layout) {
             return mean_over_ranks(block, layout, layout.loss);
         }},
        {{"top1",
          Element::float32,
          {iteration},
          "1",
          "share of training images whose label came first, mean over ranks"},
         [](const Block& block, const Layout& layout) {
             return mean_over_ranks(block, layout, layout.top1);
         }},
        {{"topk",
          Element::float32,
          {iteration},
          "1",
          "share of training images whose label was among the first k, mean over ranks"},
         [](const Block& block, const Layout& layout) {
             return mean_over_ranks(block, layout, layout.topk);
         }},
    };
    return variables;
}

const std::vector<RecordVariable>& record_variables() {
    using Layout = RecordLayout;
    constexpr Element f4 = Element::float32;
    static const std::vector<RecordVariable> variables{
        {{"iteration_time",
          f4,
          {iteration, rank},
          "us",
          "from the end of the previous iteration to the end of this one"},
         &Layout::iteration_time},
        {{"layer_time",
          f4,
          {iteration, rank, layer, phase},
          "us",
          "time in which a layer worked; in a pass from the end of the span before"},
         &Layout::layer_time},
        {{"layer_start",
          f4,
          {iteration, rank, layer, phase},
          "us",
          "when a layer began, from the iteration's start"},
         &Layout::layer_start},
        {{"op_time",
          f4,
          {iteration, rank, op, phase},
          "us",
          "time of an operation, part of its layer's"},
         &Layout::op_time},
        {{"activity_time",
          f4,
          {iteration, rank, activity},
          "us",
          "time in which no layer worked, by cause"},
         &Layout::activity_time},
        {{"unaccounted", f4, {iteration, rank}, "us", "iteration_time minus layers and activities"},
         &Layout::unaccounted},
        {{"allreduce_hidden",
          f4,
          {iteration, rank},
          "us",
          "all-reduce under layers' work, part of layer_time"},
         &Layout::allreduce_hidden},
        {{"memcpy_hidden",
          f4,
          {iteration, rank},
          "us",
          "copies under layers' work, part of layer_time"},
         &Layout::memcpy_hidden},
        {{"launch_bound",
          f4,
          {iteration, rank},
          "us",
          "layers at whose end the device had caught up with the host, part of layer_time",
          4},
         &Layout::launch_bound},
        {{"h2d_start",
          f4,
          {iteration, rank},
          "us",
          "when the copy of the images to the device began, from the iteration's start",
          4},
         &Layout::h2d_start},
        {{"h2d_end",
          f4,
          {iteration, rank},
          "us",
          "when the images were on the device, from the iteration's start",
          4},
         &Layout::h2d_end},
        {{"d2h_start",
          f4,
          {iteration, rank},
          "us",
          "when loss and accuracy began to come back, from the iteration's start",
          4},
         &Layout::d2h_start},
        {{"d2h_end",
          f4,
          {iteration, rank},
          "us",
          "when loss and accuracy were back, from the iteration's start",
          4},
         &Layout::d2h_end},
        {{"bucket_ready",
          f4,
          {iteration, rank, bucket},
          "us",
          "when the last gradient of a bucket existed, from the iteration's start"},
         &Layout::bucket_ready},
        {{"bucket_start",
          f4,
          {iteration, rank, bucket},
          "us",
          "when the rank entered the all-reduce, from the iteration's start"},
         &Layout::bucket_start},
        {{"bucket_transfer",
          f4,
          {iteration, rank, bucket},
          "us",
          "when the last rank had entered the all-reduce, from the iteration's start"},
         &Layout::bucket_transfer},
        {{"bucket_end",
          f4,
          {iteration, rank, bucket},
          "us",
          "when the sum was there, from the iteration's start"},
         &Layout::bucket_end},
    };
    return variables;
}

const Variable& iteration_start() {
    static const Variable variable{"iteration_start",
                                   Element::int64,
                                   {iteration, rank},
                                   "ns",
                                   "start of the iteration since epoch_ns, on rank 0's clock"};
    return variable;
}

}  // namespace layerledger::schema
