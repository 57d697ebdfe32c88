// layerledger export RUN.h5 [RUN.h5 ...] --csv DIR | --trace FILE.json.gz
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "layerledger/base/error.hpp"
#include "layerledger/record/export.hpp"

namespace layerledger {

/// What the command line asks for: either tables or a trace.
struct ExportRequest {
    std::vector<std::string> run_files;
    std::string csv_folder;
    std::string trace_file;
    std::optional<TraceWindow> window;
    bool overwrite = false;
};

/// Options come as "--name value" or "--name=value". Throws Error{usage}.
[[nodiscard]] ExportRequest parse_export_request(const std::vector<std::string>& arguments);

/// Makes the files and names them. Throws Error{cannot_create} where one is there already, unless
/// the request is to overwrite, and as the exports do.
ExitCode run_export_command(const std::vector<std::string>& arguments);

}  // namespace layerledger
