#include "captured_graph.hpp"

#include <algorithm>
#include <exception>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

// One iteration is open, two are in flight, one more waits to be read.
constexpr std::size_t turns_with_marks = 4;

}  // namespace

// From the delegation on the destructor takes away what is there.
CapturedGraph::CapturedGraph(Gpu& gpu, const std::function<void()>& work) : CapturedGraph(gpu) {
    capture(work);
    instantiate();
}

CapturedGraph::~CapturedGraph() {
    check_quietly(cudaStreamSynchronize(gpu_.compute().get()), "cudaStreamSynchronize");
    for (const Turn& turn : turns_) {
        if (turn.executable != nullptr) {
            check_quietly(cudaGraphExecDestroy(turn.executable), "cudaGraphExecDestroy");
        }
    }
    if (graph_ != nullptr) {
        check_quietly(cudaGraphDestroy(graph_), "cudaGraphDestroy");
    }
}

// Only this thread is kept from what a capture forbids: the watchdog asks for events meanwhile.
void CapturedGraph::capture(const std::function<void()>& work) {
    const cudaStream_t stream = gpu_.compute().get();
    gpu_.marks().events().begin_capture();
    LL_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    gpu_.begin_capture();
    std::exception_ptr failure;
    try {
        work();
    } catch (const std::exception&) {
        failure = std::current_exception();
    }
    turns_.push_back({nullptr, {gpu_.end_capture(), 0}});
    const cudaError_t ended = cudaStreamEndCapture(stream, &graph_);
    if (ended == cudaSuccess && !failure) {
        return;
    }
    static_cast<void>(cudaGetLastError());  // a refused call's too: nothing of it is left
    if (ended == cudaSuccess) {
        std::rethrow_exception(failure);
    }
    std::string why = cudaGetErrorString(ended);
    try {
        if (failure) {
            std::rethrow_exception(failure);
        }
    } catch (const std::exception& error) {
        why = error.what();
    }
    throw Error(ExitCode::unavailable, text("the iteration cannot be captured as a graph (", why,
                                            ") use train.graph=off"));
}

void CapturedGraph::instantiate() {
    TimedEvents& events = gpu_.marks().events();
    const std::vector<cudaGraphNode_t>& nodes = events.captured_nodes();  // by mark
    LL_EXPECT(nodes.size() == turns_.front().marks.numbers.size());
    LL_EXPECT(std::ranges::find(nodes, nullptr) == nodes.end());

    const std::size_t turns = nodes.empty() ? 1 : turns_with_marks;
    while (turns_.size() < turns) {
        Turn& turn = turns_.emplace_back();
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            turn.marks.numbers.push_back(events.add());
        }
    }
    for (Turn& turn : turns_) {
        LL_CUDA(cudaGraphInstantiate(&turn.executable, graph_, 0));
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            events.redirect(turn.executable, nodes[i], turn.marks.numbers[i]);
        }
        LL_CUDA(cudaGraphUpload(turn.executable, gpu_.compute().get()));
    }
}

Mark CapturedGraph::launch() {
    Turn& turn = turns_[next_];
    next_ = (next_ + 1) % turns_.size();
    const Mark first = gpu_.marks().replay(turn.marks);
    LL_CUDA(cudaGraphLaunch(turn.executable, gpu_.compute().get()));
    return first;
}

}  // namespace layerledger::cuda
