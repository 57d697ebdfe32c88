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
    if (summary.missing_iterations > 0) {
        std::cout << ", " << summary.missing_iterations << " more are not in the file";
    }
    if (summary.lost_checkpoints > 0) {
        std::cout << ", " << summary.lost_checkpoints
                  << (summary.lost_checkpoints == 1 ? " checkpoint" : " checkpoints")
                  << " could not be written";
    }
    if (const std::string running = running_text(summary); !running.empty()) {
        std::cout << ", running, " << running;
    }
    std::cout << '\n';
    return ExitCode::ok;
}

}  // namespace layerledger
