// Fully connected layers: three matrix products of cuBLAS. Its matrices are column by column, so
// that ours, row by row, are its transposes.
#include "cublas_library.hpp"
#include "operation.hpp"

namespace layerledger::cuda {
namespace {

cublasComputeType_t arithmetic(Precision precision) {
    switch (precision) {
        case Precision::fp32: return CUBLAS_COMPUTE_32F_PEDANTIC;
        case Precision::tf32: return CUBLAS_COMPUTE_32F_FAST_TF32;
        case Precision::bf16: return CUBLAS_COMPUTE_32F;
    }
    return CUBLAS_COMPUTE_32F;
}

const char* arithmetic_name(Precision precision) {
    switch (precision) {
        case Precision::fp32: return "gemm";
        case Precision::tf32: return "gemm on tensor cores (tf32)";
        case Precision::bf16: return "gemm on tensor cores (bf16)";
    }
    return "gemm";
}

class FullyConnectedOperation final : public Operation {
public:
    FullyConnectedOperation(Plan& plan, const Op& op, const FullyConnected& attributes)
        : plan_(plan),
          op_(op),
          relu_(attributes.relu),
          x_(plan.tensor(op.inputs[0])),
          y_(plan.tensor(op.id)),
          images_(static_cast<int>(y_.extent.images)),
          inputs_(static_cast<int>(x_.extent.elements() / x_.extent.images)),
          outputs_(static_cast<int>(y_.extent.channels)) {
        algorithm_ = arithmetic_name(plan.options().precision);
        plan.want_sums(y_.extent.channels);
    }

    void prepare_backward(Plan& plan) override { target_ = plan.target(op_.inputs[0]); }

    void forward(Mode) override {
        // y[N, O] = x[N, I] w[O, I]^T
        multiply(CUBLAS_OP_T, CUBLAS_OP_N, outputs_, images_, inputs_, weights().typed, inputs_,
                 x_.data, inputs_, y_.data, type(), outputs_, false);
        kernels::add_bias(plan_.type(), y_.data, bias().values, relu_, y_.extent, plan_.stream());
    }

    void backward() override {
        kernels::bias_gradient(plan_.type(), y_.gradient, relu_ ? y_.data : nullptr,
                               bias().gradient, plan_.sums(), y_.extent, plan_.stream());
        // dw[O, I] = dy[N, O]^T x[N, I]
        multiply(CUBLAS_OP_N, CUBLAS_OP_T, inputs_, outputs_, images_, x_.data, inputs_,
                 y_.gradient, outputs_, weights().gradient, CUDA_R_32F, inputs_, false);
        if (target_.data != nullptr) {
            // dx[N, I] = dy[N, O] w[O, I]
            multiply(CUBLAS_OP_N, CUBLAS_OP_N, inputs_, images_, outputs_, weights().typed, inputs_,
                     y_.gradient, outputs_, target_.data, type(), inputs_, target_.accumulate);
        }
    }

private:
    [[nodiscard]] const ParameterPlace& weights() const {
        return plan_.parameter(op_.parameters[0]);
    }
    [[nodiscard]] const ParameterPlace& bias() const { return plan_.parameter(op_.parameters[1]); }
    [[nodiscard]] cudaDataType type() const {
        return plan_.type() == kernels::Type::bf16 ? CUDA_R_16BF : CUDA_R_32F;
    }
    void multiply(cublasOperation_t a_as, cublasOperation_t b_as, int m, int n, int k,
                  const void* a, int a_stride, const void* b, int b_stride, void* c,
                  cudaDataType c_type, int c_stride, bool accumulate) const {
        const float one = 1;
        const float beta = accumulate ? 1 : 0;
        LL_CUBLAS(cublas_.gemm(plan_.gpu().cublas(), a_as, b_as, m, n, k, &one, a, type(), a_stride,
                               b, type(), b_stride, &beta, c, c_type, c_stride,
                               arithmetic(plan_.options().precision), CUBLAS_GEMM_DEFAULT));
    }

    const CublasFunctions& cublas_ = cublas_library();
    const Plan& plan_;
    const Op& op_;
    bool relu_;
    const Tensor& x_;
    const Tensor& y_;
    int images_;
    int inputs_;
    int outputs_;
    GradientTarget target_;
};

}  // namespace

OperationPointer prepare(Plan& plan, const Op& op, const FullyConnected& attributes) {
    return std::make_unique<FullyConnectedOperation>(plan, op, attributes);
}

}  // namespace layerledger::cuda
