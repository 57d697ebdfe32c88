// Dropout with a counter-based generator: the mask is a function of seed, operation, pass and place
// in [N, C, H, W], whatever the layout in memory and the number of threads.
#include <cmath>
#include <cstdint>

#include "compiled_op.hpp"
#include "element.hpp"
#include "layerledger/base/counter_random.hpp"

namespace layerledger::cpu {
namespace {

template <class Element>
class DropoutOp final : public CompiledOp {
public:
    DropoutOp(Program& program, const Op& op, const Dropout& attributes)
        : op_(op),
          key_(random_bits(program.options().seed, op.id.index())),
          threshold_(static_cast<std::uint32_t>(
              std::lround(std::ldexp(static_cast<double>(attributes.probability), 31)))),
          scale_(1.0F / (1.0F - attributes.probability)) {
        const Memory x = program.tensor(op.inputs[0]).data;
        const Memory y = program.produce(op.id, x.get_desc());
        const Memory drawn = program.allocate(plain_layout(x.get_desc(), DataType::u8));
        forward_.add([this, drawn] {
            ++pass_;
            draw(drawn);
        });
        kept_ = program.converted(drawn, as_bytes(x.get_desc()), forward_);
        forward_.add([this, x, y] { multiply(x, y); });
        workspace_bytes_ = drawn.get_desc().get_size();
        if (kept_ != drawn) {
            workspace_bytes_ += kept_.get_desc().get_size();
        }
        inference_.emplace();
        inference_->add([x, y] {
            copy_parallel(y.get_data_handle(), x.get_data_handle(), x.get_desc().get_size());
        });
        algorithm_ = "counter";
    }

    void assemble_backward(Program& program) override {
        const Memory gradient = program.tensor(op_.id).gradient;
        const Memory result = program.allocate(gradient.get_desc());
        backward_.add([this, gradient, result] { multiply(gradient, result); });
        program.deliver_gradient(op_.inputs[0], result, backward_);
    }

    [[nodiscard]] std::uint64_t* draws() noexcept override { return &pass_; }

private:
    void draw(const Memory& drawn) const {
        const std::uint64_t key = mixed_bits(key_ + pass_);
        auto* const kept = static_cast<std::uint8_t*>(drawn.get_data_handle());
        const auto count = static_cast<std::int64_t>(drawn.get_desc().get_size());
#pragma omp parallel for simd schedule(static)
        for (std::int64_t i = 0; i < count; ++i) {
            kept[i] = dropout_keeps(key, static_cast<std::uint32_t>(i), threshold_) ? 1 : 0;
        }
    }

    void multiply(const Memory& from, const Memory& to) const {
        const auto* const kept = static_cast<const std::uint8_t*>(kept_.get_data_handle());
        transform_parallel(static_cast<std::int64_t>(kept_.get_desc().get_size()),
                           static_cast<const Element*>(from.get_data_handle()),
                           static_cast<Element*>(to.get_data_handle()),
                           [kept, scale = scale_](std::int64_t i, float x) {
                               return x * (static_cast<float>(kept[i]) * scale);
                           });
    }

    const Op& op_;
    std::uint64_t key_;
    std::uint32_t threshold_;  // of 2^31
    float scale_;
    std::uint64_t pass_ = 0;
    Memory kept_;  // a byte for each element, in the values' layout
};

}  // namespace

OpPointer compile(Program& program, const Op& op, const Dropout& attributes) {
    OpPointer result;
    with_element(program.compute_type(), [&](auto element) {
        result = std::make_unique<DropoutOp<decltype(element)>>(program, op, attributes);
    });
    return result;
}

}  // namespace layerledger::cpu
