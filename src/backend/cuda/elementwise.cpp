// Input, ReLU, dropout, residual addition and concatenation.
#include <cmath>

#include "layerledger/base/counter_random.hpp"
#include "operation.hpp"

namespace layerledger::cuda {
namespace {

class InputOperation final : public Operation {
public:
    InputOperation() { algorithm_ = "copy"; }
    void prepare_backward(Plan&) override {}
    void forward(Mode) override {}
    void backward() override {}
};

class ReluOperation final : public Operation {
public:
    ReluOperation(Plan& plan, const Op& op)
        : plan_(plan), op_(op), x_(plan.tensor(op.inputs[0])), y_(plan.tensor(op.id)) {}

    void prepare_backward(Plan& plan) override { target_ = plan.target(op_.inputs[0]); }
    void forward(Mode) override {
        kernels::relu_forward(plan_.type(), x_.data, y_.data, y_.extent.elements(), plan_.stream());
    }
    void backward() override {
        if (target_.data != nullptr) {
            kernels::masked_copy(plan_.type(), y_.gradient, y_.data, target_.data,
                                 target_.accumulate, y_.extent.elements(), plan_.stream());
        }
    }

private:
    const Plan& plan_;
    const Op& op_;
    const Tensor& x_;
    const Tensor& y_;
    GradientTarget target_;
};

class DropoutOperation final : public Operation {
public:
    DropoutOperation(Plan& plan, const Op& op, const Dropout& attributes)
        : plan_(plan),
          op_(op),
          x_(plan.tensor(op.inputs[0])),
          y_(plan.tensor(op.id)),
          key_(random_bits(plan.options().seed, op.id.index())) {
        drawn_.threshold = static_cast<std::uint32_t>(
            std::lround(std::ldexp(static_cast<double>(attributes.probability), 31)));
        drawn_.scale = 1.0F / (1.0F - attributes.probability);
        algorithm_ = "counter";
    }

    void prepare_backward(Plan& plan) override { target_ = plan.target(op_.inputs[0]); }
    void forward(Mode mode) override {
        if (mode == Mode::inference) {
            kernels::masked_copy(plan_.type(), x_.data, nullptr, y_.data, false,
                                 y_.extent.elements(), plan_.stream());
            return;
        }
        const bool captured = plan_.gpu().is_capturing();
        drawn_.key = captured ? key_ : mixed_bits(key_ + plan_.draws());
        drawn_.draws = captured ? plan_.gpu().draws().get() : nullptr;
        apply(x_.data, y_.data, false);
    }
    void backward() override {
        if (target_.data != nullptr) {
            apply(y_.gradient, target_.data, target_.accumulate);
        }
    }
    [[nodiscard]] bool draws() const noexcept override { return true; }

private:
    void apply(const void* from, void* to, bool accumulate) const {
        kernels::dropout(plan_.type(), from, to, drawn_, accumulate, y_.channels, y_.extent,
                         plan_.stream());
    }

    const Plan& plan_;
    const Op& op_;
    const Tensor& x_;
    const Tensor& y_;
    std::uint64_t key_;
    kernels::Dropout drawn_;
    GradientTarget target_;
};

class AddOperation final : public Operation {
public:
    AddOperation(Plan& plan, const Op& op, const Add& attributes)
        : plan_(plan), op_(op), relu_(attributes.relu), y_(plan.tensor(op.id)) {}

    // The gradient of both inputs is the (masked) gradient of the sum.
    void prepare_backward(Plan& plan) override {
        shared_[0] = plan.hand_on(op_.inputs[0], op_.id, op_.inputs[1], targets_[0]);
        shared_[1] = plan.hand_on(op_.inputs[1], op_.id, op_.inputs[0], targets_[1]);
    }
    void forward(Mode) override {
        kernels::add_forward(plan_.type(), plan_.tensor(op_.inputs[0]).data,
                             plan_.tensor(op_.inputs[1]).data, y_.data, relu_,
                             y_.extent.elements(), plan_.stream());
    }
    void backward() override {
        if (relu_) {
            kernels::masked_copy(plan_.type(), y_.gradient, y_.data, y_.gradient, false,
                                 y_.extent.elements(), plan_.stream());
        }
        for (std::size_t i = 0; i < 2; ++i) {
            if (!shared_[i]) {
                kernels::masked_copy(plan_.type(), y_.gradient, nullptr, targets_[i].data,
                                     targets_[i].accumulate, y_.extent.elements(), plan_.stream());
            }
        }
    }

private:
    const Plan& plan_;
    const Op& op_;
    bool relu_;
    const Tensor& y_;
    GradientTarget targets_[2];
    bool shared_[2] = {};
};

class ConcatOperation final : public Operation {
public:
    ConcatOperation(Plan& plan, const Op& op)
        : plan_(plan), op_(op), y_(plan.tensor(op.id)), targets_(op.inputs.size()) {
        algorithm_ = "copy";
    }

    void prepare_backward(Plan& plan) override {
        for (std::size_t i = 0; i < targets_.size(); ++i) {
            targets_[i] = plan.target(op_.inputs[i]);
        }
    }
    void forward(Mode) override {
        for_each_input([&](std::size_t, const Tensor& x, std::int64_t first) {
            kernels::copy_channels(plan_.type(), x.data, x.extent.channels, 0, y_.data,
                                   y_.extent.channels, first, x.channels, y_.extent.pixels(), false,
                                   plan_.stream());
        });
    }
    void backward() override {
        for_each_input([&](std::size_t i, const Tensor& x, std::int64_t first) {
            if (targets_[i].data != nullptr) {
                kernels::copy_channels(plan_.type(), y_.gradient, y_.extent.channels, first,
                                       targets_[i].data, x.extent.channels, 0, x.channels,
                                       y_.extent.pixels(), targets_[i].accumulate, plan_.stream());
            }
        });
    }

private:
    template <class Work>
    void for_each_input(const Work& work) const {
        std::int64_t first = 0;
        for (std::size_t i = 0; i < op_.inputs.size(); ++i) {
            const Tensor& x = plan_.tensor(op_.inputs[i]);
            work(i, x, first);
            first += x.channels;
        }
    }

    const Plan& plan_;
    const Op& op_;
    const Tensor& y_;
    std::vector<GradientTarget> targets_;
};

}  // namespace

OperationPointer prepare(Plan&, const Op&, const Input&) {
    return std::make_unique<InputOperation>();
}
OperationPointer prepare(Plan& plan, const Op& op, const Relu&) {
    return std::make_unique<ReluOperation>(plan, op);
}
OperationPointer prepare(Plan& plan, const Op& op, const Dropout& attributes) {
    return std::make_unique<DropoutOperation>(plan, op, attributes);
}
OperationPointer prepare(Plan& plan, const Op& op, const Add& attributes) {
    return std::make_unique<AddOperation>(plan, op, attributes);
}
OperationPointer prepare(Plan& plan, const Op& op, const Concat&) {
    return std::make_unique<ConcatOperation>(plan, op);
}

}  // namespace layerledger::cuda
