// Work of the compute stream, captured once as a CUDA graph and launched as a whole.
#pragma once

#include <functional>
#include <vector>

#include "gpu.hpp"
#include "layerledger/device/backend.hpp"

namespace layerledger::cuda {

/// Its marks are nodes that record events or write stamps. A mark's time is read some iterations
/// late, and its node makes the same one at every launch: so there are several executables of one
/// graph, each with marks of its own, which take turns.
class CapturedGraph final : public WorkGraph {
public:
    /// Throws Error{unavailable} where `work` does what cannot be captured.
    CapturedGraph(Gpu& gpu, const std::function<void()>& work);
    CapturedGraph(const CapturedGraph&) = delete;
    CapturedGraph& operator=(const CapturedGraph&) = delete;
    ~CapturedGraph() override;

    [[nodiscard]] Mark launch() override;

private:
    explicit CapturedGraph(Gpu& gpu) : gpu_(gpu) {}

    struct Turn {
        cudaGraphExec_t executable = nullptr;
        EventMarks::Captured marks;
    };

    void capture(const std::function<void()>& work);
    void instantiate();

    Gpu& gpu_;
    cudaGraph_t graph_ = nullptr;
    std::vector<Turn> turns_;
    std::size_t next_ = 0;
};

}  // namespace layerledger::cuda
