#include "onednn.hpp"

namespace layerledger::cpu {
namespace {

// dnnl::primitive::execute takes a hash map; this keeps the arguments as the C interface wants
// them.
class Execution {
public:
    Execution(dnnl::primitive primitive, dnnl::stream stream,
              const std::vector<Sequence::Argument>& arguments)
        : primitive_(std::move(primitive)), stream_(std::move(stream)) {
        for (const auto& [index, memory] : arguments) {
            memories_.push_back(memory);
            arguments_.push_back({index, memory.get()});
        }
    }

    void operator()() const {
        dnnl::error::wrap_c_api(
            dnnl_primitive_execute(primitive_.get(), stream_.get(),
                                   static_cast<int>(arguments_.size()), arguments_.data()),
            "could not execute a primitive");
    }

private:
    dnnl::primitive primitive_;
    dnnl::stream stream_;
    std::vector<Memory> memories_;  // keep what arguments_ point to
    std::vector<dnnl_exec_arg_t> arguments_;
};

}  // namespace

void Sequence::add(const dnnl::primitive& primitive, const dnnl::stream& stream,
                   const std::vector<Argument>& arguments) {
    steps_.emplace_back(Execution(primitive, stream, arguments));
}

}  // namespace layerledger::cpu
