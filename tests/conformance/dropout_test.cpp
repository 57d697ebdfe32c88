#include <algorithm>
#include <cmath>

#include "conformance/harness.hpp"
#include "layerledger/base/counter_random.hpp"

namespace layerledger::conformance {
namespace {

constexpr OpId dropout_op{2};

Network dropping(float probability) {
    NetworkBuilder net("dropout", {3, 16, 16}, 4);
    net.layer("conv1");
    OpId x = net.convolution(net.input(), {.output_channels = 32, .window = {1}});
    x = net.dropout(x, probability);
    net.layer("output");
    net.softmax_loss(net.fully_connected(x, {.outputs = 4}));
    return std::move(net).build();
}

std::vector<bool> kept(Harness& harness) {
    const std::vector<float> y = harness.ops().output(dropout_op);
    std::vector<bool> result(y.size());
    std::transform(y.begin(), y.end(), result.begin(), [](float value) { return value != 0.0F; });
    return result;
}

double agreement(const std::vector<bool>& a, const std::vector<bool>& b) {
    std::size_t equal = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        equal += a[i] == b[i] ? 1U : 0U;
    }
    return static_cast<double>(equal) / static_cast<double>(a.size());
}

class DropoutConformance : public Conformance {};

TEST_P(DropoutConformance, ScalesWhatItKeepsAndUsesOneMaskInBothDirections) {
    expect_conforms(*backend_, dropping(0.5F), {.batch = 4, .seed = 3});
    expect_conforms(*backend_, dropping(0.2F), {.batch = 4, .seed = 3});
}

TEST_P(DropoutConformance, DropsTheAskedFraction) {
    for (const float probability : {0.1F, 0.5F, 0.7F}) {
        Harness harness(*backend_, dropping(probability), {.batch = 4, .seed = 11});
        harness.forward(Mode::training);
        const std::vector<bool> mask = kept(harness);
        const auto count = static_cast<double>(mask.size());
        const auto p = static_cast<double>(probability);
        const auto dropped = static_cast<double>(std::count(mask.begin(), mask.end(), false));
        // Five standard deviations of a binomial.
        EXPECT_NEAR(dropped / count, p, 5 * std::sqrt(p * (1 - p) / count));
    }
}

TEST_P(DropoutConformance, NeighboursAreIndependent) {
    Harness harness(*backend_, dropping(0.5F), {.batch = 4, .seed = 11});
    harness.forward(Mode::training);
    const std::vector<bool> mask = kept(harness);
    for (const std::size_t distance : {1U, 2U, 16U, 256U}) {
        const std::vector<bool> head(mask.begin(), mask.end() - static_cast<long>(distance));
        const std::vector<bool> tail(mask.begin() + static_cast<long>(distance), mask.end());
        EXPECT_NEAR(agreement(head, tail), 0.5, 0.02) << distance;
    }
}

TEST_P(DropoutConformance, MasksDependOnPassAndSeedAndNothingElse) {
    Harness one(*backend_, dropping(0.5F), {.batch = 4, .seed = 1});
    Harness same(*backend_, dropping(0.5F), {.batch = 4, .seed = 1});
    Harness other(*backend_, dropping(0.5F), {.batch = 4, .seed = 2});
    one.forward(Mode::training);
    same.forward(Mode::training);
    other.forward(Mode::training);
    const std::vector<bool> first = kept(one);
    EXPECT_EQ(first, kept(same));
    EXPECT_NEAR(agreement(first, kept(other)), 0.5, 0.02);
    one.forward(Mode::training);
    EXPECT_NEAR(agreement(first, kept(one)), 0.5, 0.02);
}

TEST_P(DropoutConformance, GoesOnFromASavedPosition) {
    Harness one(*backend_, dropping(0.5F), {.batch = 4, .seed = 1});
    one.forward(Mode::training);
    one.forward(Mode::training);
    const std::vector<std::uint64_t> position = one.ops().random_state();
    one.forward(Mode::training);
    Harness other(*backend_, dropping(0.5F), {.batch = 4, .seed = 1});
    other.ops().set_random_state(position);
    other.forward(Mode::training);
    EXPECT_EQ(kept(one), kept(other));
    EXPECT_THROW(other.ops().set_random_state(std::vector<std::uint64_t>(7)), Error);
}

// The mask by its definition: a function of seed, operation, pass and place in [N, C, H, W].
std::vector<bool> defined_mask(std::uint64_t seed, std::uint64_t pass, double probability,
                               std::size_t count) {
    const std::uint64_t key = mixed_bits(random_bits(seed, dropout_op.index()) + pass);
    const auto threshold = static_cast<std::uint32_t>(std::lround(std::ldexp(probability, 31)));
    std::vector<bool> mask(count);
    for (std::size_t i = 0; i < count; ++i) {
        mask[i] = dropout_keeps(key, static_cast<std::uint32_t>(i), threshold);
    }
    return mask;
}

/// Dropout of `channels` channels that a convolution with `window` has left in its own layout.
Network dropping_behind(std::int64_t channels, const Window& window) {
    NetworkBuilder net("dropout", {3, 16, 16}, 4);
    net.layer("conv1");
    const OpId x = net.convolution(net.input(), {.output_channels = channels, .window = window});
    const OpId y = net.dropout(x, 0.25F);
    net.layer("output");
    net.softmax_loss(net.fully_connected(y, {.outputs = 4}));
    return std::move(net).build();
}

// A backend pads channels and puts them where its operations like them (one behind the other,
// innermost, in blocks of 16): each is held against the definition, hence against each other.
TEST_P(DropoutConformance, EveryLayoutAndPrecisionDrawsTheSameMasks) {
    constexpr std::int64_t batch = 3;
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
        for (const std::int64_t channels : {3, 16, 32, 37}) {
            for (const Window& window : {Window{1}, Window{.kernel = 3, .stride = 2}}) {
                Network network = dropping_behind(channels, window);
                const Shape shape = network.op(dropout_op).output;
                std::unique_ptr<Harness> harness;
                try {
                    harness = std::make_unique<Harness>(
                        *backend_, std::move(network),
                        CompileOptions{.batch = batch, .precision = precision, .seed = 5});
                } catch (const Error& error) {
                    ASSERT_EQ(error.code(), ExitCode::unavailable) << error.what();
                    ASSERT_EQ(precision, Precision::bf16);  // an older processor
                    continue;
                }
                for (std::uint64_t pass = 1; pass <= 2; ++pass) {
                    harness->forward(Mode::training);
                    EXPECT_EQ(kept(*harness),
                              defined_mask(5, pass, 0.25,
                                           static_cast<std::size_t>(batch * shape.elements())))
                        << channels << " channels of " << shape.height << " x " << shape.width
                        << ", pass " << pass;
                }
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Backends, DropoutConformance, on_every_backend(), backend_name);

}  // namespace
}  // namespace layerledger::conformance
