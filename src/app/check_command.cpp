#include "check_command.hpp"

#include <iostream>

#include "layerledger/record/run_reader.hpp"

namespace layerledger {

ExitCode run_check_command(const std::string& path) {
    const std::vector<std::string> problems = check_run_file(path);
    if (!problems.empty()) {
        for (const std::string& problem : problems) {
            std::cout << path << ": " << problem << '\n';
        }
        return ExitCode::bad_data;
    }
    const RunSummary summary = summarize(path);
    std::cout << path << ": ok, " << summary.committed_iterations << " iterations of "
              << summary.ranks << " ranks";
    if (const std::int64_t lost = summary.missing_iterations + summary.dropped_iterations;
        lost > 0) {
        std::cout << ", " << lost << " more are not in the file";
    }
    if (const std::string running = running_text(summary); !running.empty()) {
        std::cout << ", running, " << running;
    }
    std::cout << '\n';
    return ExitCode::ok;
}

}  // namespace layerledger
