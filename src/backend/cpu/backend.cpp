// The Backend port on the CPU: device description, memory, updates and digests.
#include <omp.h>
#include <xmmintrin.h>
#include <xxhash.h>

#include <chrono>
#include <fstream>

#include "compiled_network.hpp"
#include "estimate.hpp"
#include "layerledger/backend/cpu.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "onednn.hpp"
#include "processor_watch.hpp"
#include "storage.hpp"
#include "update.hpp"

namespace layerledger::cpu {
namespace {

class HostBuffer final : public Buffer {
public:
    explicit HostBuffer(std::size_t floats)
        : storage_(allocate_storage(floats * sizeof(float))),
          span_{reinterpret_cast<float*>(storage_.get()), floats} {}

    [[nodiscard]] DeviceSpan span() noexcept override { return span_; }
    void upload(std::size_t offset, std::span<const float> host) override {
        LL_EXPECT(offset + host.size() <= span_.size);
        copy_parallel(span_.data + offset, host.data(), host.size_bytes());
    }
    void download(std::size_t offset, std::span<float> host) const override {
        LL_EXPECT(offset + host.size() <= span_.size);
        copy_parallel(host.data(), span_.data + offset, host.size_bytes());
    }

private:
    Storage storage_;
    DeviceSpan span_;
};

/// Work on a CPU is done when the call returns, so a mark is the clock. One thread marks: the one
/// that made this.
class ClockMarks final : public MarkSource {
public:
    [[nodiscard]] Mark mark() noexcept override {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(
                   std::chrono::steady_clock::now().time_since_epoch())
            .count();
    }
    [[nodiscard]] std::int64_t nanoseconds(Mark mark) const noexcept override { return mark; }
    [[nodiscard]] int latency() const noexcept override { return 0; }

    bool lost_processor() noexcept override { return watch_.lost(); }

private:
    ProcessorWatch watch_;
};

std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (line.rfind("model name", 0) == 0) {
            return line.substr(line.find(':') + 2);
        }
    }
    return "CPU";
}

std::string_view isa_name(dnnl::cpu_isa isa) {
    switch (isa) {
        case dnnl::cpu_isa::sse41: return "sse41";
        case dnnl::cpu_isa::avx: return "avx";
        case dnnl::cpu_isa::avx2: return "avx2";
        case dnnl::cpu_isa::avx2_vnni: return "avx2_vnni";
        case dnnl::cpu_isa::avx512_core: return "avx512_core";
        case dnnl::cpu_isa::avx512_core_vnni: return "avx512_core_vnni";
        case dnnl::cpu_isa::avx512_core_bf16: return "avx512_core_bf16";
        case dnnl::cpu_isa::avx512_core_amx: return "avx512_core_amx";
        default: return "other";
    }
}

bool multiplies_bf16(dnnl::cpu_isa isa) {
    return isa == dnnl::cpu_isa::avx512_core_bf16 || isa == dnnl::cpu_isa::avx512_core_amx;
}

// Denormals cost a hundred times a normal number. Threads made later inherit the mode.
void flush_denormals_in_every_thread() {
    constexpr unsigned flush_to_zero = 0x8000;
    constexpr unsigned denormals_are_zero = 0x0040;
#pragma omp parallel
    _mm_setcsr(_mm_getcsr() | flush_to_zero | denormals_are_zero);
}

class CpuBackend final : public Backend {
public:
    CpuBackend(const BackendOptions& options, const RankMap& rank) {
        LL_VALIDATE(options.threads >= 0, ExitCode::configuration,
                    text("device.threads is ", options.threads,
                         " (threads cannot be negative) use 0 for the cores of the rank"));
        info_.backend = "cpu";
        info_.marks = "steady clock";
        info_.threads = options.threads > 0 ? options.threads : rank.cores;
        info_.memory_bytes = rank.memory_bytes;
        info_.name = text(processor_name(), ", ", info_.threads,
                          info_.threads == 1 ? " thread, " : " threads, ", isa_name(isa_));
        omp_set_dynamic(0);
        omp_set_num_threads(info_.threads);
        flush_denormals_in_every_thread();
    }

    [[nodiscard]] const DeviceInfo& info() const noexcept override { return info_; }
    [[nodiscard]] MarkSource& marks() noexcept override { return marks_; }

    [[nodiscard]] std::unique_ptr<Buffer> allocate(std::size_t floats) override {
        return std::make_unique<HostBuffer>(floats);
    }

    void require(Precision precision) const override {
        if (precision == Precision::tf32) {
            throw Error(ExitCode::unavailable,
                        "precision tf32 is not supported by the cpu backend (it is a format of "
                        "GPUs) use train.precision=fp32");
        }
        LL_VALIDATE(precision != Precision::bf16 || multiplies_bf16(isa_), ExitCode::unavailable,
                    text("precision bf16 is not supported by this processor (it has ",
                         isa_name(isa_), ", not avx512_bf16 or amx) use train.precision=fp32"));
    }

    [[nodiscard]] std::size_t estimate_bytes(const Network& network,
                                             const CompileOptions& options) const override {
        return cpu::estimate_bytes(network, options);
    }

    [[nodiscard]] std::unique_ptr<LayerOps> compile(const Network& network,
                                                    const CompileOptions& options,
                                                    Recorder& recorder) override {
        require(options.precision);
        return std::make_unique<CompiledNetwork>(network, options, recorder);
    }

    void update(const OptimizerStep& step, const OptimizerSlices& slices) override {
        cpu::update(step, slices);
    }

    [[nodiscard]] std::uint64_t digest(DeviceSpan values) override {
        return XXH3_64bits(values.data, values.size * sizeof(float));
    }

private:
    dnnl::cpu_isa isa_ = dnnl::get_effective_cpu_isa();
    DeviceInfo info_;
    ClockMarks marks_;
};

}  // namespace

std::unique_ptr<Backend> make_backend(const BackendOptions& options, const RankMap& rank) {
    return std::make_unique<CpuBackend>(options, rank);
}

}  // namespace layerledger::cpu
