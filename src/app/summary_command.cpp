#include "summary_command.hpp"

#include <iostream>

#include "layerledger/record/run_reader.hpp"

namespace layerledger {

ExitCode run_summary_command(const std::string& path) {
    std::cout << to_text(summarize(path));
    return ExitCode::ok;
}

}  // namespace layerledger
