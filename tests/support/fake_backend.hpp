// A backend that computes nothing and writes down what it is asked for, in order.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "layerledger/base/text.hpp"
#include "layerledger/data/batch_source.hpp"
#include "layerledger/device/backend.hpp"
#include "layerledger/device/collective.hpp"
#include "support/manual_clock.hpp"

namespace layerledger::testing {

/// What happened, as one word each: "forward0", "ready", ...
using Journal = std::vector<std::string>;

class FakeBuffer final : public Buffer {
public:
    explicit FakeBuffer(std::size_t floats) : values_(floats, 0.0F) {}
    DeviceSpan span() noexcept override { return {values_.data(), values_.size()}; }
    void upload(std::size_t offset, std::span<const float> host) override {
        std::copy(host.begin(), host.end(), values_.data() + offset);
    }
    void download(std::size_t offset, std::span<float> host) const override {
        std::copy_n(values_.data() + offset, host.size(), host.begin());
    }

private:
    std::vector<float> values_;
};

class FakeOps final : public LayerOps {
public:
    FakeOps(const Network& network, Journal& journal, ManualClock& clock, DeviceRecords& seen)
        : journal_(journal), clock_(clock), seen_(seen) {
        for (const Parameter& parameter : network.parameters()) {
            storage_.push_back(static_cast<std::size_t>(parameter.elements()));
        }
    }
    std::span<const std::size_t> parameter_storage() const override { return storage_; }
    void bind(DeviceSpan, DeviceSpan, std::span<const std::size_t>) override {}
    void import_parameter(ParameterId, std::span<const float>) override {}
    void export_parameter(ParameterId, std::span<float>) const override {}
    void export_gradient(ParameterId, std::span<float>) const override {}
    void stage(const HostBatch&) override { clock_.advance(3'000); }
    void load(const HostBatch&) override { work("load", 1'000); }
    void begin_pass() override { journal_.emplace_back("pass"); }
    void forward(LayerId layer, Mode) override { work(text("forward", layer.value), 10'000); }
    void backward(LayerId layer) override { work(text("backward", layer.value), 20'000); }
    void send_metrics(std::size_t) override {}
    BatchMetrics metrics(std::size_t) const override {
        return {.loss = 6.0, .top1 = 1, .topk = 2, .images = 4};
    }
    std::vector<float> output(OpId) const override { return {}; }
    std::vector<float> output_gradient(OpId) const override { return {}; }
    std::vector<float> state() const override { return {}; }
    void set_state(std::span<const float>) override {}
    std::vector<std::uint64_t> random_state() const override { return {}; }
    void set_random_state(std::span<const std::uint64_t>) override {}
    std::vector<Implementation> implementations() const override { return {}; }

private:
    void work(const std::string& what, std::int64_t ns) {
        journal_.push_back(what);
        seen_.records.push_back({DeviceWork::kernel, clock_.now_ns(), clock_.now_ns() + ns / 2, 0});
        clock_.advance(ns);
    }
    Journal& journal_;
    ManualClock& clock_;
    DeviceRecords& seen_;
    std::vector<std::size_t> storage_;
};

/// What `work` did with the clock, to happen again.
class FakeGraph final : public WorkGraph {
public:
    FakeGraph(Journal& journal, ManualClock& clock, const std::function<void()>& work)
        : journal_(journal), clock_(clock) {
        journal_.emplace_back("capture");
        clock_.begin_capture(script_);
        try {
            work();
        } catch (...) {
            clock_.end_capture();
            throw;
        }
        clock_.end_capture();
        journal_.emplace_back("captured");
    }
    Mark launch() override {
        journal_.emplace_back("launch");
        return clock_.replay(script_);
    }

private:
    Journal& journal_;
    ManualClock& clock_;
    ManualClock::Script script_;
};

/// Sees what FakeOps does: a kernel each, which ends in the middle of its time.
class FakeWatch final : public KernelWatch {
public:
    FakeWatch(Journal& journal, ManualClock& clock, DeviceRecords& seen)
        : journal_(journal), clock_(clock), seen_(seen) {}
    void start() override {
        journal_.push_back("watch");
        seen_ = {};
    }
    Mark anchor() override {
        journal_.push_back("anchor");
        clock_.advance(100);
        seen_.records.push_back({DeviceWork::anchor, clock_.now_ns() - 100, clock_.now_ns(), 0});
        return clock_.mark();
    }
    DeviceRecords stop() override {
        journal_.push_back("unwatch");
        return seen_;
    }

private:
    Journal& journal_;
    ManualClock& clock_;
    DeviceRecords& seen_;
};

class FakeBackend final : public Backend {
public:
    explicit FakeBackend(int latency = 0) : clock(latency) {}
    const DeviceInfo& info() const noexcept override { return info_; }
    MarkSource& marks() noexcept override { return clock; }
    std::unique_ptr<Buffer> allocate(std::size_t floats) override {
        return std::make_unique<FakeBuffer>(floats);
    }
    void require(Precision) const override {}
    std::size_t estimate_bytes(const Network&, const CompileOptions&) const override { return 0; }
    std::unique_ptr<LayerOps> compile(const Network& network, const CompileOptions&,
                                      Recorder&) override {
        return std::make_unique<FakeOps>(network, journal, clock, seen);
    }
    std::unique_ptr<KernelWatch> watch_kernels() override {
        return sees_kernels ? std::make_unique<FakeWatch>(journal, clock, seen) : nullptr;
    }
    void update(const OptimizerStep& step, const OptimizerSlices& slices) override {
        journal.push_back(text("update", slices.parameters.size));
        steps.push_back(step);
        clock.advance(5'000);
    }
    std::unique_ptr<WorkGraph> capture(const std::function<void()>& work) override {
        return std::make_unique<FakeGraph>(journal, clock, work);
    }
    void set_learning_rate(float learning_rate) override {
        journal.push_back(text("rate", learning_rate));
    }
    std::uint64_t digest(DeviceSpan) override { return 42; }

    ManualClock clock;
    Journal journal;
    std::vector<OptimizerStep> steps;
    bool sees_kernels = true;
    DeviceRecords seen;

private:
    DeviceInfo info_;
};

/// Notes the start of each bucket; every sum takes 7 us, begun when started, waited for in join.
class FakeCollective final : public Collective {
public:
    FakeCollective(Journal& journal, ManualClock& clock) : journal_(journal), clock_(clock) {}
    const char* name() const noexcept override { return "fake"; }
    Votes votes() const noexcept override { return Votes::at_once; }
    void start(BucketId bucket, DeviceSpan values, BucketSpan& span) override {
        journal_.push_back(text("reduce", bucket.value, ":", values.size));
        span.start = clock_.mark();
        spans_.push_back(&span);
    }
    void count_from(std::int64_t iteration) override { iteration_ = iteration; }
    /// That the next sums belong to.
    [[nodiscard]] std::int64_t iteration() const noexcept { return iteration_; }
    void join() override {
        ++iteration_;
        journal_.push_back("join");
        for (BucketSpan* span : spans_) {
            span->transfer = span->start;
            clock_.advance(7'000);
            span->end = clock_.mark();
        }
        spans_.clear();
    }

private:
    Journal& journal_;
    ManualClock& clock_;
    std::vector<BucketSpan*> spans_;
    std::int64_t iteration_ = 0;
};

class FakeSource final : public BatchSource {
public:
    explicit FakeSource(std::int64_t per_epoch = 0) : per_epoch_(per_epoch) {}
    const HostBatch& next() override { return batch_; }
    void seek(std::int64_t) override {}  // all batches are the same
    std::int64_t iterations_per_epoch() const noexcept override { return per_epoch_; }
    std::int64_t skipped() const noexcept override { return 0; }

private:
    std::int64_t per_epoch_;
    HostBatch batch_;
};

}  // namespace layerledger::testing
