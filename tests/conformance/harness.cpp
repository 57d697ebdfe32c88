#include "conformance/harness.hpp"

#include <cmath>
#include <random>

namespace layerledger::conformance {

double relative_error(std::span<const float> got, std::span<const double> wanted) {
    EXPECT_EQ(got.size(), wanted.size());
    double error = 0;
    double norm = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        error += std::pow(static_cast<double>(got[i]) - wanted[i], 2);
        norm += std::pow(wanted[i], 2);
    }
    return norm > 0 ? std::sqrt(error / norm) : std::sqrt(error);
}

Harness::Harness(Backend& backend, Network network, const CompileOptions& options)
    : network_(std::move(network)),
      options_(options),
      recorder_(backend.marks(), {network_.layers().size(), network_.ops().size(), 0},
                4 * network_.ops().size()),
      ops_(backend.compile(network_, options, recorder_)),
      reference_(network_, options.batch) {
    std::size_t size = 0;
    for (const std::size_t floats : ops_->parameter_storage()) {
        offsets_.push_back(size);
        size += floats;
    }
    parameters_ = backend.allocate(size);
    gradients_ = backend.allocate(size);
    ops_->bind(parameters_->span(), gradients_->span(), offsets_);

    std::mt19937 generator(7);
    std::normal_distribution<float> normal;
    for (const Parameter& parameter : network_.parameters()) {
        const float scale =
            1.0F / std::sqrt(static_cast<float>(std::max<std::int64_t>(1, parameter.fan_in)));
        std::vector<float> values(static_cast<std::size_t>(parameter.elements()));
        for (float& value : values) {
            value = parameter.role == ParameterRole::weight ? scale * normal(generator)
                                                            : 0.5F + 0.2F * normal(generator);
        }
        ops_->import_parameter(parameter.id, values);
        reference_.parameter(parameter.id).assign(values.begin(), values.end());
    }
    batch_.images.resize(reference_.images().values.size());
    for (float& value : batch_.images) {
        value = normal(generator);
    }
    for (std::int64_t n = 0; n < options.batch; ++n) {
        batch_.labels.push_back(static_cast<std::int32_t>((5 * n + 1) % network_.classes()));
    }
    batch_.valid = options.batch;
}

void Harness::forward(Mode mode) {
    ops_->load(batch_);
    reference_.images().values.assign(batch_.images.begin(), batch_.images.end());
    reference_.labels() = batch_.labels;
    for (const Layer& layer : network_.layers()) {
        ops_->forward(layer.id, mode);
    }
    for (const Op& op : network_.ops()) {
        if (std::holds_alternative<Dropout>(op.attributes)) {
            const std::vector<float> x = ops_->output(op.inputs[0]);
            const std::vector<float> y = ops_->output(op.id);
            std::vector<bool> kept(x.size());
            for (std::size_t i = 0; i < x.size(); ++i) {
                kept[i] = y[i] != 0.0F || x[i] == 0.0F;
            }
            reference_.keep(op.id, std::move(kept));
        }
    }
    reference_.forward(mode);
}

void Harness::backward() {
    for (std::size_t i = network_.layers().size(); i-- > 0;) {
        ops_->backward(network_.layers()[i].id);
    }
    if (options_.precision != Precision::fp32) {
        for (const Op& op : network_.ops()) {
            reference_.adopt(op.id, ops_->output(op.id));
        }
    }
    reference_.backward();
}

std::vector<float> Harness::gradient(ParameterId id) const {
    std::vector<float> values(static_cast<std::size_t>(network_.parameter(id).elements()));
    ops_->export_gradient(id, values);
    return values;
}

namespace {

std::vector<float> part(const Buffer& buffer, std::size_t offset, std::size_t size) {
    std::vector<float> values(size);
    buffer.download(offset, values);
    return values;
}

}  // namespace

std::vector<float> Harness::parameters(std::size_t offset, std::size_t size) const {
    return part(*parameters_, offset, size);
}

std::vector<float> Harness::gradients(std::size_t offset, std::size_t size) const {
    return part(*gradients_, offset, size);
}

double Harness::tolerance() const {
    switch (options_.precision) {
        case Precision::bf16: return 1e-2;
        case Precision::tf32: return 1e-3;
        case Precision::fp32: break;
    }
    for (const Implementation& implementation : ops_->implementations()) {
        if (implementation.algorithm.find("wino") != std::string::npos) {
            return 1e-4;
        }
    }
    return 1e-5;
}

void Harness::expect_equal_outputs() {
    for (const Op& op : network_.ops()) {
        EXPECT_LE(relative_error(ops_->output(op.id), reference_.output(op.id).values), tolerance())
            << "output of " << op.name;
    }
}

void Harness::expect_equal_gradients() {
    for (const Parameter& parameter : network_.parameters()) {
        EXPECT_LE(
            relative_error(gradient(parameter.id), reference_.parameter_gradient(parameter.id)),
            tolerance())
            << "gradient of " << parameter.name;
    }
    if (options_.gradients_of_input) {
        EXPECT_LE(
            relative_error(ops_->output_gradient(OpId{0}), reference_.gradient(OpId{0}).values),
            tolerance())
            << "gradient of the images";
    }
}

void expect_conforms(Backend& backend, Network network, CompileOptions options) {
    options.gradients_of_input = true;
    Harness harness(backend, std::move(network), options);
    harness.forward(Mode::training);
    harness.expect_equal_outputs();
    harness.backward();
    harness.expect_equal_gradients();
    harness.forward(Mode::inference);
    harness.expect_equal_outputs();
}

}  // namespace layerledger::conformance
