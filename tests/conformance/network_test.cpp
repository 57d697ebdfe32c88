// Whole networks: parameters in and out, memory, gradients against differences of the loss.
#include <cmath>
#include <fstream>
#include <string>

#include "conformance/harness.hpp"
#include "layerledger/network/zoo.hpp"

namespace layerledger::conformance {
namespace {

Network everything() {
    NetworkBuilder net("everything", {3, 12, 12}, 4);
    net.layer("conv1");
    OpId x = net.convolution(net.input(), {8, {.kernel = 3, .padding = 1}, 1, false});
    x = net.batch_norm(x, {.relu = true});
    x = net.max_pool(x, {.kernel = 3, .stride = 2, .padding = 0, .ceil_mode = true});
    net.layer("block");
    const OpId a = net.convolution(x, {8, {.kernel = 3, .padding = 1}, 2, true, true}, "a");
    const OpId b = net.lrn(x, {.alpha = 0.5F});
    const OpId sum = net.add(a, b, {.relu = true});
    const OpId joined =
        net.concat({sum, net.average_pool(x, {.kernel = 3, .stride = 1, .padding = 1})});
    net.auxiliary_layer("side");
    net.softmax_loss(net.fully_connected(joined, {.outputs = 4}), 0.3F);
    net.layer("fc1");
    x = net.dropout(net.fully_connected(joined, {.outputs = 20, .relu = true}), 0.3F);
    net.layer("output");
    net.softmax_loss(net.fully_connected(x, {.outputs = 4}));
    return std::move(net).build();
}

class NetworkConformance : public Conformance {};

TEST_P(NetworkConformance, EveryKindOfOperationTogether) {
    expect_conforms(*backend_, everything(), {.batch = 4, .seed = 5});
}

// The reference itself, and through it the device: gradients are the slopes of the objective.
TEST_P(NetworkConformance, GradientsAreTheSlopesOfTheObjective) {
    Harness harness(*backend_, everything(), {.batch = 2, .seed = 5});
    harness.forward(Mode::training);
    harness.backward();
    Reference& reference = harness.reference();
    for (const Parameter& parameter : harness.network().parameters()) {
        const std::vector<double> gradient = reference.parameter_gradient(parameter.id);
        for (std::size_t i = 0; i < gradient.size(); i += 1 + gradient.size() / 5) {
            double& value = reference.parameter(parameter.id)[i];
            const double original = value;
            const double step = 1e-6;
            value = original + step;
            reference.forward(Mode::training);
            const double above = reference.objective();
            value = original - step;
            reference.forward(Mode::training);
            const double below = reference.objective();
            value = original;
            EXPECT_NEAR((above - below) / (2 * step), gradient[i], 1e-7)
                << parameter.name << "[" << i << "]";
        }
    }
}

TEST_P(NetworkConformance, LeNetMatchesTheReference) {
    expect_conforms(*backend_, make_network("lenet5"), {.batch = 3});
}

TEST_P(NetworkConformance, ParametersSurviveARoundTrip) {
    Harness harness(*backend_, everything(), {.batch = 2});
    for (const Parameter& parameter : harness.network().parameters()) {
        std::vector<float> values(static_cast<std::size_t>(parameter.elements()));
        for (std::size_t i = 0; i < values.size(); ++i) {
            values[i] = static_cast<float>(i) + 0.25F;
        }
        harness.ops().import_parameter(parameter.id, values);
        std::vector<float> back(values.size());
        harness.ops().export_parameter(parameter.id, back);
        EXPECT_EQ(back, values) << parameter.name;
        EXPECT_EQ(harness.ops().parameter_storage()[parameter.id.index()] % 16, 0U);
        EXPECT_GE(harness.ops().parameter_storage()[parameter.id.index()], values.size());
    }
}

// Sums over arenas see every float, so padding must not hold anything. Where no value of a
// parameter is zero, the zeros of its slice are the padding, and its gradient's padding is at the
// same places.
TEST_P(NetworkConformance, PaddingOfTheArenasStaysZero) {
    Harness harness(*backend_, everything(), {.batch = 2});
    for (const Parameter& parameter : harness.network().parameters()) {
        std::vector<float> values(static_cast<std::size_t>(parameter.elements()));
        for (std::size_t i = 0; i < values.size(); ++i) {
            values[i] = 0.01F * static_cast<float>(1 + i % 7);
        }
        harness.ops().import_parameter(parameter.id, values);
    }
    harness.forward(Mode::training);
    harness.backward();
    for (const Parameter& parameter : harness.network().parameters()) {
        const std::size_t p = parameter.id.index();
        const std::size_t storage = harness.ops().parameter_storage()[p];
        const std::vector<float> values = harness.parameters(harness.offsets()[p], storage);
        const std::vector<float> gradient = harness.gradients(harness.offsets()[p], storage);
        std::size_t padding = 0;
        for (std::size_t i = 0; i < storage; ++i) {
            if (values[i] == 0.0F) {
                ++padding;
                EXPECT_EQ(gradient[i], 0.0F) << parameter.name << "[" << i << "]";
            }
        }
        EXPECT_EQ(padding, storage - static_cast<std::size_t>(parameter.elements()))
            << parameter.name;
    }
}

TEST_P(NetworkConformance, InferenceAloneNeedsNoGradients) {
    CompileOptions options{.batch = 2};
    options.inference_only = true;
    Harness harness(*backend_, everything(), options);
    harness.forward(Mode::inference);
    harness.expect_equal_outputs();
    EXPECT_LT(backend_->estimate_bytes(harness.network(), options),
              backend_->estimate_bytes(harness.network(), {.batch = 2}));
}

TEST_P(NetworkConformance, NamesAnImplementationForEveryOperation) {
    Harness harness(*backend_, everything(), {.batch = 2});
    const std::vector<Implementation> all = harness.ops().implementations();
    ASSERT_EQ(all.size(), harness.network().ops().size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(all[i].op.index(), i);
        EXPECT_FALSE(all[i].algorithm.empty());
        EXPECT_GT(all[i].activation_bytes, 0U);
    }
}

TEST_P(NetworkConformance, RecordsEachOperationInsideItsLayer) {
    const Network network = everything();
    Recorder recorder(backend_->marks(), {network.layers().size(), network.ops().size(), 0}, 100);
    const auto ops = backend_->compile(network, {.batch = 2}, recorder);
    std::vector<std::size_t> offsets;
    std::size_t size = 0;
    for (const std::size_t floats : ops->parameter_storage()) {
        offsets.push_back(size);
        size += floats;
    }
    const auto parameters = backend_->allocate(size);
    const auto gradients = backend_->allocate(size);
    ops->bind(parameters->span(), gradients->span(), offsets);
    ops->load({std::vector<float>(2 * 3 * 12 * 12), {0, 1}, 2});
    (void)recorder.begin_iteration(0, Level::op);
    for (const Layer& layer : network.layers()) {
        const auto scope = recorder.layer(layer.id, Phase::forward);
        ops->forward(layer.id, Mode::training);
    }
    for (std::size_t i = network.layers().size(); i-- > 0;) {
        const auto scope = recorder.layer(LayerId{i}, Phase::backward);
        ops->backward(LayerId{i});
    }
    recorder.end_iteration();
    const auto closed = recorder.drain();
    ASSERT_TRUE(closed.has_value());
    EXPECT_EQ(recorder.dropped(), 0);
    for (const Layer& layer : network.layers()) {
        for (const Phase phase : {Phase::forward, Phase::backward}) {
            float sum = 0;
            for (const Op& op : network.ops_of(layer.id)) {
                const float time = closed->account.op_time[3 * op.id.index() + index(phase)];
                EXPECT_GE(time, 0.0F) << op.name << " " << name(phase);
                sum += time;
            }
            EXPECT_LE(sum,
                      1.001F * closed->account.layer_time[3 * layer.id.index() + index(phase)]);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Backends, NetworkConformance, on_every_backend(), backend_name);

}  // namespace
}  // namespace layerledger::conformance
