// How well injected clock offsets are found between processes, and what a reading costs.
//
//   mpirun -n 2 clock_offset
#include <algorithm>
#include <cmath>
#include <exception>
#include <iostream>
#include <vector>

#include "layerledger/base/text.hpp"
#include "layerledger/comm/communicator.hpp"
#include "layerledger/comm/mpi_session.hpp"

namespace layerledger {
namespace {

constexpr int readings = 200;
constexpr std::int64_t injected_ns = 10'000'000;
constexpr std::int64_t wanted_ns = 20'000;

void run(const Communicator& world) {
    std::vector<std::int64_t> errors_ns;
    int beyond_bound = 0;
    std::int64_t taken_ns = 0;
    const std::int64_t offset_ns = injected_ns * world.rank();
    for (int i = 0; i < readings; ++i) {
        world.barrier();
        const std::int64_t begun_ns = steady_clock_ns();
        const ClockReading reading =
            world.read_clock([&] { return steady_clock_ns() + offset_ns; });
        taken_ns += steady_clock_ns() - begun_ns;
        errors_ns.push_back(std::abs(reading.offset_ns - offset_ns));
        beyond_bound += static_cast<int>(errors_ns.back() > reading.bound_ns);
    }
    std::ranges::sort(errors_ns);
    const auto us = [](std::int64_t ns) { return fixed(static_cast<double>(ns) / 1e3, 2); };
    const auto good = std::ranges::upper_bound(errors_ns, wanted_ns) - errors_ns.begin();
    const std::vector<std::string> lines = world.gather(
        text("rank ", world.rank(), ", ", offset_ns / 1'000'000, " ms ahead: wrong by ",
             us(errors_ns[readings / 2]), " us in the median, ", us(errors_ns.back()),
             " us at most, within ", us(wanted_ns), " us in ", good, " of ", readings,
             ", beyond its bound in ", beyond_bound, "; a reading takes ", us(taken_ns / readings),
             " us\n"));
    for (const std::string& line : lines) {
        std::cout << line;
    }
}

}  // namespace
}  // namespace layerledger

int main(int argc, char** argv) {
    try {
        const layerledger::MpiSession session(argc, argv);
        layerledger::run(layerledger::Communicator::world());
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        layerledger::abort_job(layerledger::ExitCode::internal);
    }
}
