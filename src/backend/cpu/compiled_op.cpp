#include "compiled_op.hpp"

#include <algorithm>

namespace layerledger::cpu {

std::string CompiledOp::algorithm() const {
    std::string backward;
    const auto& names = backward_algorithms_;
    for (auto name = names.begin(); name != names.end(); ++name) {
        if (std::find(names.begin(), name, *name) == name) {
            backward += (backward.empty() ? "" : ", ") + *name;
        }
    }
    return backward.empty() || backward == algorithm_ ? algorithm_
                                                      : algorithm_ + "; backward " + backward;
}

std::size_t CompiledOp::workspace_bytes() const noexcept {
    return workspace_bytes_ + std::max({forward_.scratch_bytes(), backward_.scratch_bytes(),
                                        inference_ ? inference_->scratch_bytes() : 0});
}

}  // namespace layerledger::cpu
