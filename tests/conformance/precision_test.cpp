// Reduced precision: close to the reference, or refused with the reason.
#include "conformance/harness.hpp"

namespace layerledger::conformance {
namespace {

Network small() {
    NetworkBuilder net("small", {3, 12, 12}, 4);
    net.layer("conv1");
    OpId x =
        net.convolution(net.input(), {32, {.kernel = 5, .stride = 2, .padding = 2}, 1, true, true});
    x = net.max_pool(x, {.kernel = 3, .stride = 2});
    net.layer("output");
    net.softmax_loss(net.fully_connected(x, {.outputs = 4}));
    return std::move(net).build();
}

Network grouped() {
    NetworkBuilder net("grouped", {3, 8, 8}, 4);
    net.layer("conv1");
    const OpId x = net.convolution(net.input(), {32, {.kernel = 3, .padding = 1}});
    net.layer("conv2");
    const OpId y = net.convolution(x, {32, {.kernel = 3, .padding = 1}, 2, true, true});
    net.layer("output");
    net.softmax_loss(net.fully_connected(net.concat({net.lrn(y), x}), {.outputs = 4}));
    return std::move(net).build();
}

Network residual() {
    NetworkBuilder net("residual", {3, 8, 8}, 4);
    net.layer("conv1");
    OpId x = net.convolution(net.input(), {32, {.kernel = 3, .padding = 1}, 1, false});
    x = net.batch_norm(x, {});
    const OpId y = net.convolution(x, {32, {.kernel = 1}, 1, true, true}, "b");
    net.layer("output");
    x = net.global_average_pool(net.add(x, y));
    net.softmax_loss(net.dropout(net.fully_connected(x, {.outputs = 4}), 0.5F));
    return std::move(net).build();
}

class PrecisionConformance : public Conformance {
protected:
    // The reason why the backend refuses `precision`, or empty.
    std::string refusal(Precision precision) {
        try {
            Harness harness(*backend_, small(), {.batch = 1, .precision = precision});
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ExitCode::unavailable);
            EXPECT_NE(std::string(error.what()).find("use train.precision=fp32"),
                      std::string::npos);
            return error.what();
        }
        return {};
    }
};

TEST_P(PrecisionConformance, Bf16IsCloseToTheReference) {
    if (const std::string reason = refusal(Precision::bf16); !reason.empty()) {
        GTEST_SKIP() << reason;
    }
    const CompileOptions options{.batch = 4, .precision = Precision::bf16};
    expect_conforms(*backend_, small(), options);
    expect_conforms(*backend_, grouped(), options);
    expect_conforms(*backend_, residual(), options);
}

TEST_P(PrecisionConformance, Tf32ConformsOrIsRefused) {
    if (const std::string reason = refusal(Precision::tf32); !reason.empty()) {
        GTEST_SKIP() << reason;
    }
    expect_conforms(*backend_, small(), {.batch = 4, .precision = Precision::tf32});
}

INSTANTIATE_TEST_SUITE_P(Backends, PrecisionConformance, on_every_backend(), backend_name);

}  // namespace
}  // namespace layerledger::conformance
