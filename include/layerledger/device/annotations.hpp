// What the host is about to enqueue, in words for tools that look on from outside (Nsight Systems).
#pragma once

#include <cstddef>
#include <cstdint>

#include "layerledger/base/ids.hpp"
#include "layerledger/base/phase.hpp"
#include "layerledger/network/network.hpp"

namespace layerledger {

/// Ranges on the calling thread, one inside the other. This one tells nobody; a backend whose
/// devices have such tools derives from it. Costs next to nothing while no tool is there.
class Annotations {
public:
    Annotations() = default;
    Annotations(const Annotations&) = delete;
    Annotations& operator=(const Annotations&) = delete;
    virtual ~Annotations() = default;

    /// Gives the numbers below their names. Before the first range.
    virtual void name(const Network& /*network*/, std::size_t /*buckets*/) {}

    virtual void enter_iteration(std::int64_t /*iteration*/) noexcept {}
    virtual void enter(LayerId /*layer*/, Phase /*phase*/) noexcept {}
    /// The launch of its all-reduce.
    virtual void enter(BucketId /*bucket*/) noexcept {}
    /// Ends the innermost range.
    virtual void leave() noexcept {}
};

/// A range from here to the end of the block.
class [[nodiscard]] Annotation {
public:
    Annotation(Annotations& annotations, LayerId layer, Phase phase) noexcept
        : annotations_(annotations) {
        annotations_.enter(layer, phase);
    }
    Annotation(Annotations& annotations, BucketId bucket) noexcept : annotations_(annotations) {
        annotations_.enter(bucket);
    }
    Annotation(Annotations& annotations, std::int64_t iteration) noexcept
        : annotations_(annotations) {
        annotations_.enter_iteration(iteration);
    }
    Annotation(const Annotation&) = delete;
    Annotation& operator=(const Annotation&) = delete;
    ~Annotation() { annotations_.leave(); }

private:
    Annotations& annotations_;
};

}  // namespace layerledger
