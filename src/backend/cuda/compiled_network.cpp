#include "compiled_network.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "convolution_trial.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

/// Calls `work`; what fails inside names the operation.
template <class Work>
void naming(const Op& op, const char* phase, const Work& work) {
    try {
        work();
        // A launch that is refused shows here; a kernel that fails shows at a later call.
        LL_CUDA(cudaPeekAtLastError());
    } catch (const Error& error) {
        throw Error(error.code(), text(phase, " of ", op.name, ": ", error.what()));
    }
}

// Calls visit(index in the network's layout, index in ours) for every element.
template <class Visit>
void for_each_element(const ParameterPlace& place, const Parameter& parameter, const Visit& visit) {
    const std::int64_t rows = parameter.dims[0];
    const std::int64_t columns = parameter.elements() / rows / place.spots;
    for (std::int64_t k = 0; k < rows; ++k) {
        for (std::int64_t c = 0; c < columns; ++c) {
            for (std::int64_t s = 0; s < place.spots; ++s) {
                visit(static_cast<std::size_t>((k * columns + c) * place.spots + s),
                      static_cast<std::size_t>((k * place.spots + s) * place.columns + c));
            }
        }
    }
}

}  // namespace

CompiledNetwork::CompiledNetwork(Gpu& gpu, ConvolutionEngines& engines, const Network& network,
                                 const CompileOptions& options, Recorder& recorder)
    : gpu_(gpu),
      network_(network),
      recorder_(recorder),
      plan_(gpu, engines, network, options),
      gradient_bytes_(network.ops().size(), 0),
      upload_(gpu, recorder, options.batch, network.input().channels, plan_.tensor(OpId{0}).extent,
              plan_.type()),
      sums_(sizeof(BatchMetrics)),
      sent_(metric_slots * sizeof(BatchMetrics)) {
    for (const Op& op : network.ops()) {
        naming(op, "preparation", [&] {
            operations_.push_back(
                std::visit([&](const auto& attributes) { return prepare(plan_, op, attributes); },
                           op.attributes));
        });
        draws_ = draws_ || operations_.back()->draws();
        const auto* loss = dynamic_cast<const LossOperation*>(operations_.back().get());
        if (loss != nullptr && !network.layer(op.layer).auxiliary) {
            main_loss_ = loss;
        }
    }
    for (std::size_t i = operations_.size(); i-- > 0 && !options.inference_only;) {
        const Op& op = network.ops()[i];
        const std::size_t before = plan_.allocated_bytes();
        if (plan_.wants_gradient(op.id)) {
            naming(op, "preparation", [&] { operations_[i]->prepare_backward(plan_); });
        }
        gradient_bytes_[i] = plan_.allocated_bytes() - before;
    }
    plan_.finish();
    for (const Parameter& parameter : network.parameters()) {
        parameter_storage_.push_back(plan_.parameter(parameter.id).storage());
    }
    restart_peak();  // what timing algorithms took for a moment is no part of training
}

// Kernels in flight still use what is freed next.
CompiledNetwork::~CompiledNetwork() {
    check_quietly(cudaStreamSynchronize(gpu_.copies().get()), "cudaStreamSynchronize");
    check_quietly(cudaStreamSynchronize(gpu_.compute().get()), "cudaStreamSynchronize");
}

void CompiledNetwork::bind(DeviceSpan parameters, DeviceSpan gradients,
                           std::span<const std::size_t> offsets) {
    plan_.bind(parameters, gradients, offsets);
}

void CompiledNetwork::import_parameter(ParameterId id, std::span<const float> values) {
    const ParameterPlace& place = plan_.parameter(id);
    std::vector<float> ours(place.storage(), 0.0F);
    for_each_element(place, network_.parameter(id),
                     [&](std::size_t plain, std::size_t own) { ours[own] = values[plain]; });
    LL_CUDA(cudaMemcpyAsync(place.values, ours.data(), ours.size() * sizeof(float),
                            cudaMemcpyHostToDevice, plan_.stream()));
    gpu_.renew_cast({place.values, ours.size()});
    gpu_.compute().synchronize();
}

void CompiledNetwork::export_values(ParameterId id, const float* from,
                                    std::span<float> values) const {
    const ParameterPlace& place = plan_.parameter(id);
    std::vector<float> ours(place.storage());
    LL_CUDA(cudaMemcpyAsync(ours.data(), from, ours.size() * sizeof(float), cudaMemcpyDeviceToHost,
                            plan_.stream()));
    gpu_.compute().synchronize();
    for_each_element(place, network_.parameter(id),
                     [&](std::size_t plain, std::size_t own) { values[plain] = ours[own]; });
}

void CompiledNetwork::export_parameter(ParameterId id, std::span<float> values) const {
    export_values(id, plan_.parameter(id).values, values);
}

void CompiledNetwork::export_gradient(ParameterId id, std::span<float> values) const {
    export_values(id, plan_.parameter(id).gradient, values);
}

void CompiledNetwork::stage(const HostBatch& batch) {
    const auto images = static_cast<std::size_t>(plan_.options().batch);
    LL_EXPECT(batch.images.size() ==
              images * static_cast<std::size_t>(network_.input().elements()));
    LL_EXPECT(batch.labels.size() == images);
    for (const std::int32_t label : batch.labels) {
        LL_VALIDATE(label >= 0 && label < network_.classes(), ExitCode::bad_data,
                    text("label ", label, " in a batch (the network has ", network_.classes(),
                         " classes) set network.classes to what the data has"));
    }
    upload_.stage(batch);
}

void CompiledNetwork::load(const HostBatch& batch) {
    if (!upload_.is_staged()) {
        stage(batch);
    }
    upload_.load(plan_.tensor(OpId{0}).data, plan_.labels());
    valid_ = batch.valid;
}

void CompiledNetwork::begin_pass() {
    plan_.set_draws(plan_.draws() + 1);
    if (draws_) {
        gpu_.draws().send(plan_.draws(), gpu_.compute());
    }
    pass_begun_ = true;
}

void CompiledNetwork::forward(LayerId layer, Mode mode) {
    if (layer.index() == 0 && mode == Mode::training && !std::exchange(pass_begun_, false)) {
        plan_.set_draws(plan_.draws() + 1);
    }
    for (const Op& op : network_.ops_of(layer)) {
        const auto scope = recorder_.op(op.id, Phase::forward);
        naming(op, "forward", [&] { operations_[op.id.index()]->forward(mode); });
    }
}

void CompiledNetwork::backward(LayerId layer) {
    const std::span<const Op> ops = network_.ops_of(layer);
    std::for_each(ops.rbegin(), ops.rend(), [&](const Op& op) {
        const auto scope = recorder_.op(op.id, Phase::backward);
        if (plan_.wants_gradient(op.id)) {
            naming(op, "backward", [&] { operations_[op.id.index()]->backward(); });
        }
    });
}

void CompiledNetwork::send_metrics(std::size_t slot) {
    LL_EXPECT(slot < metric_slots);
    main_loss_->sum(valid_, sums_.as<BatchMetrics>());
    LL_CUDA(cudaMemcpyAsync(sent_.as<BatchMetrics>() + slot, sums_.data(), sizeof(BatchMetrics),
                            cudaMemcpyDeviceToHost, plan_.stream()));
    arrived_[slot].record(gpu_.compute());
}

BatchMetrics CompiledNetwork::metrics(std::size_t slot) const {
    LL_EXPECT(slot < metric_slots);
    arrived_[slot].synchronize();
    return sent_.as<BatchMetrics>()[slot];
}

std::vector<float> CompiledNetwork::plain_copy(const Tensor& tensor, const void* from) const {
    const auto elements = static_cast<std::size_t>(tensor.extent.elements());
    std::vector<float> ours(elements);
    const DeviceMemory wide(elements * sizeof(float));
    if (plan_.type() == kernels::Type::bf16) {
        kernels::to_fp32(static_cast<const kernels::Bf16*>(from), wide.as<float>(), elements,
                         plan_.stream());
    } else {
        LL_CUDA(cudaMemcpyAsync(wide.data(), from, wide.bytes(), cudaMemcpyDeviceToDevice,
                                plan_.stream()));
    }
    LL_CUDA(cudaMemcpyAsync(ours.data(), wide.data(), wide.bytes(), cudaMemcpyDeviceToHost,
                            plan_.stream()));
    gpu_.compute().synchronize();
    const std::int64_t plane = tensor.extent.height * tensor.extent.width;
    std::vector<float> plain;
    plain.reserve(elements);
    for (std::int64_t n = 0; n < tensor.extent.images; ++n) {
        for (std::int64_t c = 0; c < tensor.channels; ++c) {
            for (std::int64_t p = 0; p < plane; ++p) {
                plain.push_back(
                    ours[static_cast<std::size_t>((n * plane + p) * tensor.extent.channels + c)]);
            }
        }
    }
    return plain;
}

std::vector<float> CompiledNetwork::output(OpId op) const {
    if (const auto* loss = dynamic_cast<const LossOperation*>(operations_[op.index()].get())) {
        return loss->losses();
    }
    return plain_copy(plan_.tensor(op), plan_.tensor(op).data);
}

std::vector<float> CompiledNetwork::output_gradient(OpId op) const {
    const Tensor& tensor = plan_.tensor(op);
    LL_VALIDATE(tensor.gradient != nullptr, ExitCode::internal,
                text(network_.op(op).name, " has no gradient (nothing before it learns)"));
    return plain_copy(tensor, tensor.gradient);
}

std::vector<float> CompiledNetwork::state() const {
    gpu_.compute().synchronize();
    std::vector<float> all;
    for (const auto& operation : operations_) {
        const Statistics statistics = operation->statistics();
        const auto count = static_cast<std::size_t>(statistics.channels);
        for (const float* part : {statistics.mean, statistics.variance}) {
            all.resize(all.size() + count);
            if (count > 0) {
                LL_CUDA(cudaMemcpy(all.data() + all.size() - count, part, count * sizeof(float),
                                   cudaMemcpyDeviceToHost));
            }
        }
    }
    return all;
}

void CompiledNetwork::set_state(std::span<const float> state) {
    std::size_t wanted = 0;
    for (const auto& operation : operations_) {
        wanted += 2 * static_cast<std::size_t>(operation->statistics().channels);
    }
    LL_VALIDATE(state.size() == wanted, ExitCode::bad_data,
                text("statistics of ", state.size(), " numbers (this network has ", wanted,
                     ") use a checkpoint of the same network"));
    gpu_.compute().synchronize();
    for (const auto& operation : operations_) {
        const Statistics statistics = operation->statistics();
        const auto count = static_cast<std::size_t>(statistics.channels);
        for (float* part : {statistics.mean, statistics.variance}) {
            if (count > 0) {
                LL_CUDA(
                    cudaMemcpy(part, state.data(), count * sizeof(float), cudaMemcpyHostToDevice));
                state = state.subspan(count);
            }
        }
    }
    LL_CUDA(cudaDeviceSynchronize());  // the copies were on the default stream
}

std::vector<std::uint64_t> CompiledNetwork::random_state() const {
    std::vector<std::uint64_t> all;
    for (const auto& operation : operations_) {
        if (operation->draws()) {
            all.push_back(plan_.draws());
        }
    }
    return all;
}

void CompiledNetwork::set_random_state(std::span<const std::uint64_t> state) {
    LL_VALIDATE(state.size() == random_state().size(), ExitCode::bad_data,
                text("random numbers of ", state.size(), " operations (this network has ",
                     random_state().size(), ") use a checkpoint of the same network"));
    if (!state.empty()) {
        plan_.set_draws(state.front());  // all operations draw in every pass
    }
}

std::vector<Implementation> CompiledNetwork::implementations() const {
    std::vector<Implementation> all;
    for (const Op& op : network_.ops()) {
        const Operation& operation = *operations_[op.id.index()];
        all.push_back({op.id, operation.algorithm(), operation.workspace_bytes(),
                       plan_.tensor(op.id).bytes, gradient_bytes_[op.id.index()]});
    }
    return all;
}

std::size_t estimate_bytes(const Network& network, const CompileOptions& options) {
    const kernels::Type type =
        options.precision == Precision::bf16 ? kernels::Type::bf16 : kernels::Type::fp32;
    const auto element = static_cast<double>(kernels::size_of(type));
    // Sums are of doubles: a batch that no memory could hold must not overflow into one that fits.
    double bytes = 2.0 * static_cast<double>(options.batch) *
                   static_cast<double>(network.input().elements()) * sizeof(float);
    const auto elements_of = [&](OpId id) {
        const Shape& shape = network.op(id).output;
        return static_cast<double>(options.batch) *
               static_cast<double>(padded(shape.channels, type)) *
               static_cast<double>(shape.height * shape.width);
    };
    // In the memory of the sum's gradient (see `Plan::hand_on`).
    const auto is_handed_on = [&](const Op& op) {
        const auto readers = network.consumers(op.id);
        return readers.size() == 1 && only_reads_its_gradient(op) &&
               std::holds_alternative<Add>(network.op(readers.front()).attributes);
    };
    double trial = 0;  // rank 0 times engines on copies of a convolution's tensors
    for (const Op& op : network.ops()) {
        const double elements = elements_of(op.id);
        const bool gradient = !options.inference_only &&
                              (network.needs_gradient(op.id) || options.gradients_of_input);
        bytes += element * elements * (gradient && !is_handed_on(op) ? 2 : 1);
        if (std::holds_alternative<MaxPool>(op.attributes)) {
            bytes += elements;  // where the maximum was
        } else if (const auto* convolution = std::get_if<Convolution>(&op.attributes)) {
            const double weights =
                static_cast<double>(padded(op.output.channels, type)) *
                static_cast<double>(padded(network.op(op.inputs[0]).output.channels, type)) *
                static_cast<double>(convolution->window.kernel * convolution->window.kernel);
            const double tensors = element * (elements + elements_of(op.inputs[0]) + weights);
            trial = std::max(trial, tensors + largest_workspace(tensors));
        }
    }
    if (type == kernels::Type::bf16) {
        bytes += 2.0 * static_cast<double>(network.parameter_elements());
    }
    bytes += trial;
    // As a double the largest size is 2^64, one more than it can hold.
    constexpr std::size_t largest = std::numeric_limits<std::size_t>::max();
    return bytes < static_cast<double>(largest) ? static_cast<std::size_t>(bytes) : largest;
}

}  // namespace layerledger::cuda
