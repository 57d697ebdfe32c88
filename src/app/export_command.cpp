#include "export_command.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <system_error>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/output_file.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

void require_absent(const std::filesystem::path& path) {
    std::error_code failure;
    LL_VALIDATE(!std::filesystem::exists(path, failure), ExitCode::cannot_create,
                text("'", path.string(),
                     "' already exists (earlier results are kept) use --overwrite or another "
                     "name"));
}

/// Each run once: its rows would stand twice in the tables, and count twice in whatever is made of
/// them.
std::vector<std::string> without_repeats(const std::vector<std::string>& run_files) {
    std::vector<std::string> once;
    for (const std::string& path : run_files) {
        const auto same = std::ranges::find_if(once, [&](const std::string& other) {
            std::error_code failure;
            return path == other || std::filesystem::equivalent(path, other, failure);
        });
        if (same == once.end()) {
            once.push_back(path);
        } else {
            log::warning(text("'", path, "' is given twice",
                              path == *same ? "" : text(", also as '", *same, "'"),
                              ": it stands once in the tables"));
        }
    }
    return once;
}

ExitCode export_tables(const ExportRequest& request) {
    const std::vector<std::string> run_files = without_repeats(request.run_files);
    if (!request.overwrite) {
        for (const std::string_view name : csv_names) {
            require_absent(std::filesystem::path(request.csv_folder) / name);
        }
    }
    constexpr std::uint64_t sheet_rows = 1'048'576;  // of Excel and of LibreOffice
    for (const ExportedFile& file : export_csv(run_files, request.csv_folder)) {
        std::cout << file.path << ": " << file.entries << (file.entries == 1 ? " row" : " rows")
                  << (file.entries >= sheet_rows ? " (more than a spreadsheet shows)" : "") << '\n';
    }
    return ExitCode::ok;
}

ExitCode export_timeline(const ExportRequest& request) {
    const std::filesystem::path path = request.trace_file;
    if (!request.overwrite) {
        require_absent(path);
    }
    make_folder(path.parent_path().string());
    const ExportedFile file =
        export_trace(request.run_files.front(), request.trace_file, request.window);
    std::cout << file.path << ": " << file.entries
              << " events; open it in https://ui.perfetto.dev\n";
    return ExitCode::ok;
}

}  // namespace

ExitCode run_export_command(const std::vector<std::string>& arguments) {
    const ExportRequest request = parse_export_request(arguments);
    return request.trace_file.empty() ? export_tables(request) : export_timeline(request);
}

}  // namespace layerledger
