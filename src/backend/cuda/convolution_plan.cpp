#include "convolution_plan.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>
#include <utility>

#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
namespace {

// What the graph calls its tensors, and a variant pack the memory they lie in.
constexpr std::int64_t x_id = 1;
constexpr std::int64_t w_id = 2;
constexpr std::int64_t y_id = 3;

using Names = std::array<cudnnBackendAttributeName_t, 6>;  // alpha, beta, convolution, x, w, y

struct OperationKind {
    cudnnBackendDescriptorType_t type;
    Names names;
};

const OperationKind& kind_of(Direction direction) {
    static constexpr std::array<OperationKind, 3> kinds{
        {{CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
          {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
           CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y}},
         {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
          {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY}},
         {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
          {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY}}}};
    return kinds[static_cast<std::size_t>(direction)];
}

/// Channels lie side by side.
CudnnDescriptor tensor(std::int64_t id, kernels::Type type, const kernels::Extent& e) {
    CudnnDescriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    constexpr std::int64_t alignment = 16;  // that of the narrowest slice of the arena
    tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
    tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE,
               type == kernels::Type::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT);
    tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, alignment);
    tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, std::array{e.images, e.channels, e.height, e.width});
    tensor.set(CUDNN_ATTR_TENSOR_STRIDES,
               std::array{e.height * e.width * e.channels, std::int64_t{1}, e.width * e.channels,
                          e.channels});
    tensor.finalize();
    return tensor;
}

CudnnDescriptor geometry(const ConvolutionProblem& problem) {
    CudnnDescriptor convolution(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    const auto both = [](std::int64_t value) { return std::array{value, value}; };
    convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
    convolution.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
    convolution.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2});
    convolution.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, both(1));
    convolution.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, both(problem.stride));
    convolution.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, both(problem.padding));
    convolution.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, both(problem.padding));
    convolution.finalize();
    return convolution;
}

// cuDNN reads the groups off the channels of x and w.
CudnnDescriptor graph_of(const ConvolutionProblem& problem) {
    const OperationKind& kind = kind_of(problem.direction);
    CudnnDescriptor operation(kind.type);
    operation.set(kind.names[0], 1.0F);
    operation.set(kind.names[1], problem.accumulate ? 1.0F : 0.0F);
    operation.set(kind.names[2], geometry(problem));
    operation.set(kind.names[3], tensor(x_id, problem.type, problem.x));
    operation.set(kind.names[4], tensor(w_id, problem.type,
                                        {problem.y.channels, problem.kernel, problem.kernel,
                                         problem.x.channels / problem.groups}));
    operation.set(kind.names[5], tensor(y_id, problem.type, problem.y));
    operation.finalize();
    CudnnDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operation);
    graph.finalize();
    return graph;
}

std::vector<cudnnBackendNumericalNote_t> notes_of(const CudnnDescriptor& engine) {
    return engine.values<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                                      CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
}

bool is_allowed(cudnnBackendNumericalNote_t note, const ConvolutionProblem& problem) {
    switch (note) {
        // tf32 is what tensor cores make of floats.
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE: return problem.precision != Precision::fp32;
        case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
        case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION: return false;
        case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC: return !problem.deterministic;
        default: return true;
    }
}

CudnnDescriptor engine_of(const CudnnDescriptor& configuration) {
    return std::move(
        configuration.descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1)
            .at(0));
}

std::string to_text(const CudnnDescriptor& configuration) {
    std::string knobs;
    for (const CudnnDescriptor& knob :
         configuration.descriptors(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                   CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS)) {
        knobs += text(
            knobs.empty() ? " (" : " ", "k",
            static_cast<int>(knob.value<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE)),
            "=", knob.value<std::int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
    }
    return text("engine ",
                engine_of(configuration).value<std::int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX), knobs,
                knobs.empty() ? "" : ")");
}

/// What `to_text` makes of an engine, back again.
struct EngineNumbers {
    std::int64_t engine = -1;
    std::vector<std::pair<cudnnBackendKnobType_t, std::int64_t>> knobs;
};

EngineNumbers numbers_in(std::string engine) {
    std::replace_if(
        engine.begin(), engine.end(), [](char c) { return std::isdigit(c) == 0 && c != '-'; }, ' ');
    std::istringstream numbers(engine);
    EngineNumbers result;
    numbers >> result.engine;
    int type = 0;
    for (std::int64_t value = 0; numbers >> type >> value;) {
        result.knobs.emplace_back(static_cast<cudnnBackendKnobType_t>(type), value);
    }
    return result;
}

CudnnDescriptor configuration_of(const CudnnDescriptor& device, const CudnnDescriptor& graph,
                                 const std::string& text) {
    const EngineNumbers numbers = numbers_in(text);
    CudnnDescriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
    engine.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, numbers.engine);
    engine.set(CUDNN_ATTR_ENGINE_DEVICEPROP, device);
    engine.finalize();
    CudnnDescriptor configuration(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    configuration.set(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
    std::vector<CudnnDescriptor> knobs;
    for (const auto& [type, value] : numbers.knobs) {
        CudnnDescriptor& knob = knobs.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
        knob.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, type);
        knob.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, value);
        knob.finalize();
    }
    if (!knobs.empty()) {
        configuration.set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, knobs);
    }
    configuration.finalize();
    return configuration;
}

}  // namespace

std::string to_text(const ConvolutionProblem& problem) {
    constexpr std::array directions{"forward", "backward with respect to the input",
                                    "backward with respect to the weights"};
    constexpr std::array precisions{"fp32", "tf32", "bf16"};
    const auto extent_text = [](const kernels::Extent& e) {
        return text(e.images, "x", e.channels, "x", e.height, "x", e.width);
    };
    return text("a convolution ", extent_text(problem.x), " to ", extent_text(problem.y),
                ", kernel ", problem.kernel, "x", problem.kernel, ", stride ", problem.stride,
                ", padding ", problem.padding, ", ", problem.groups,
                problem.groups == 1 ? " group" : " groups", ", ",
                directions.at(static_cast<std::size_t>(problem.direction)),
                problem.accumulate ? ", added to another gradient" : "", ", in ",
                precisions.at(static_cast<std::size_t>(problem.precision)),
                problem.deterministic ? ", deterministic" : "");
}

std::vector<std::string> proposed_engines(const CudnnDescriptor& device,
                                          const ConvolutionProblem& problem,
                                          cudnnBackendHeurMode_t mode) {
    constexpr std::size_t most_proposals = 200;
    CudnnDescriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph_of(problem));
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device);
    heuristics.finalize();
    std::vector<std::string> proposals;
    for (const CudnnDescriptor& configuration : heuristics.descriptors(
             CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, most_proposals)) {
        const std::string proposal = to_text(configuration);
        const auto notes = notes_of(engine_of(configuration));
        const bool allowed = std::all_of(notes.begin(), notes.end(),
                                         [&](auto note) { return is_allowed(note, problem); });
        if (allowed && std::find(proposals.begin(), proposals.end(), proposal) == proposals.end()) {
            proposals.push_back(proposal);
        }
    }
    return proposals;
}

ConvolutionPlan::ConvolutionPlan(const CudnnDescriptor& device, const ConvolutionProblem& problem,
                                 const std::string& engine)
    : plan_(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR),
      pack_(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR),
      name_(engine) {
    const CudnnDescriptor configuration = configuration_of(device, graph_of(problem), engine);
    plan_.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    plan_.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device);
    plan_.finalize();
    workspace_bytes_ = static_cast<std::size_t>(
        plan_.value<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
    const auto notes = notes_of(engine_of(configuration));
    if (std::find(notes.begin(), notes.end(), CUDNN_NUMERICAL_NOTE_TENSOR_CORE) != notes.end()) {
        name_ += " on tensor cores";
    }
}

void ConvolutionPlan::execute(cudnnHandle_t cudnn, const ConvolutionMemory& memory) {
    if (memory != bound_) {
        bind(memory);
    }
    LL_CUDNN(cudnnBackendExecute(cudnn, plan_.get(), pack_.get()));
}

void ConvolutionPlan::bind(const ConvolutionMemory& memory) {
    // cuDNN makes no difference between what it reads and what it writes.
    const auto untyped = [](const void* data) { return const_cast<void*>(data); };
    CudnnDescriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::array{x_id, w_id, y_id});
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS,
             std::array{untyped(memory.x), untyped(memory.w), untyped(memory.y)});
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, memory.workspace);
    pack.finalize();
    pack_ = std::move(pack);
    bound_ = memory;
}

}  // namespace layerledger::cuda
