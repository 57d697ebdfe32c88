// Writes and judges run files for tests that read them with other tools.
//
//   record_sample write FILE RANKS ITERATIONS BLOCK LEVEL    the sample run, complete
//   record_sample create FILE                                the sample run, killed before it began
//   record_sample append FILE BLOCK                          goes on appending until it is killed
//   record_sample check FILE                                 prints each fault; 65 where there is
//   one record_sample summary FILE                               prints the summary
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "layerledger/base/error.hpp"
#include "layerledger/record/run_reader.hpp"
#include "layerledger/record/run_writer.hpp"
#include "support/sample_run.hpp"

namespace layerledger {
namespace {

void append(RunWriter& writer, const RunDescription& run, std::int64_t iterations,
            std::int64_t block) {
    for (std::int64_t first = 0; first < iterations; first += block) {
        const std::int64_t count = std::min(block, iterations - first);
        writer.append(testing::sample_block(run, first, static_cast<std::size_t>(count)));
    }
}

/// One reading of every rank's clock after `iteration` iterations: all the same, within 50 ns.
std::vector<ClockRecord> clocks(const RunDescription& run, std::int64_t iteration, double drift) {
    std::vector<ClockRecord> readings;
    for (std::size_t rank = 0; rank < run.ranks.size(); ++rank) {
        readings.push_back({iteration, static_cast<std::int64_t>(rank),
                            1'000'000'000 + iteration * 1'000'000, 0, rank > 0 ? 50 : 0, drift});
    }
    return readings;
}

int run(const std::vector<std::string>& words) {
    const std::string& command = words.at(1);
    const std::string& file = words.at(2);
    if (command == "write") {
        const Level level = words.at(6) == "op" ? Level::op : Level::layer;
        const RunDescription description =
            testing::sample_description(std::stoul(words.at(3)), level);
        RunWriter writer(file, description, false);
        writer.set_block_iterations(std::stoul(words.at(5)));
        writer.set_overhead({0.25, 0.125, 0.375, 20, 0.0625});
        writer.add_validation({1.5, 0.5, 0.75, 100, 2.5, 10});
        writer.set_skipped_images(3);
        writer.add_clocks(clocks(description, 0, absent));
        append(writer, description, std::stoll(words.at(4)), std::stoll(words.at(5)));
        writer.add_clocks(clocks(description, std::stoll(words.at(4)), 0));
        return writer.finish(RunStatus::complete) ? 0 : 74;
    }
    if (command == "create") {
        const RunWriter writer(file, testing::sample_description(2), false);
        ::_exit(0);  // as a kill would, without the writer's last words
    }
    if (command == "append") {
        const RunDescription description = testing::sample_description(4);
        const std::int64_t block = std::stoll(words.at(3));
        RunWriter writer(file, description, true);
        writer.set_block_iterations(static_cast<std::size_t>(block));
        append(writer, description, std::numeric_limits<std::int64_t>::max(), block);
    }
    if (command == "check") {
        const std::vector<std::string> faults = check_run_file(file);
        for (const std::string& fault : faults) {
            std::cout << fault << '\n';
        }
        return faults.empty() ? 0 : 65;
    }
    if (command == "fail") {
        mark_failed(file);
        return 0;
    }
    std::cout << to_text(summarize(file));
    return 0;
}

}  // namespace
}  // namespace layerledger

int main(int argc, char** argv) {
    try {
        return layerledger::run({argv, argv + argc});
    } catch (const layerledger::Error& error) {
        std::cerr << error.what() << '\n';
        return static_cast<int>(error.code());
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 70;
    }
}
