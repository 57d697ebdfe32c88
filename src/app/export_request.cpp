#include <algorithm>
#include <array>
#include <charconv>

#include "command_line.hpp"
#include "export_command.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

std::optional<std::int64_t> whole_number(std::string_view word) {
    std::int64_t number = 0;
    const char* const end = word.data() + word.size();
    const auto [stop, failure] = std::from_chars(word.data(), end, number);
    const bool is_number = failure == std::errc{} && stop == end && number >= 0;
    return is_number ? std::optional(number) : std::nullopt;
}

/// "100:102", or "100" alone.
TraceWindow window_from(const std::string& word) {
    const std::size_t colon = word.find(':');
    const auto first = whole_number(std::string_view(word).substr(0, colon));
    const auto last =
        colon == std::string::npos ? first : whole_number(std::string_view(word).substr(colon + 1));
    LL_VALIDATE(first && last && *first <= *last, ExitCode::configuration,
                text("--iterations '", word,
                     "' is no window (command line); write A:B, the first and the last iteration"));
    return {*first, *last};
}

using Apply = void (*)(ExportRequest& request, const std::string& value);

struct Option {
    std::string name;
    bool takes_value;
    Apply apply;
};

const Option& find_option(const std::string& name) {
    using Text = const std::string&;
    static const std::array all{
        Option{"--csv", true, [](ExportRequest& r, Text value) { r.csv_folder = value; }},
        Option{"--trace", true, [](ExportRequest& r, Text value) { r.trace_file = value; }},
        Option{"--iterations", true,
               [](ExportRequest& r, Text value) { r.window = window_from(value); }},
        Option{"--overwrite", false, [](ExportRequest& r, Text) { r.overwrite = true; }}};
    std::vector<std::string> names;
    for (const Option& option : all) {
        if (option.name == name) {
            return option;
        }
        names.push_back(option.name);
    }
    const std::string guess = did_you_mean(name, names);
    throw Error(ExitCode::usage, text("unknown option '", name, "' (command line)",
                                      guess.empty() ? "; see 'layerledger help export'" : guess));
}

void require_sense(const ExportRequest& request) {
    const std::string suggestion =
        text("; write 'layerledger export ", find_subcommand("export").arguments, "'");
    LL_VALIDATE(!request.run_files.empty(), ExitCode::usage,
                text("no file is given (command line)", suggestion));
    const bool wants_trace = !request.trace_file.empty();
    LL_VALIDATE(request.csv_folder.empty() == wants_trace, ExitCode::usage,
                text(wants_trace ? "--csv and --trace cannot be given together"
                                 : "neither --csv nor --trace is given",
                     " (command line)", suggestion));
    LL_VALIDATE(wants_trace || !request.window, ExitCode::usage,
                "--iterations belongs to --trace (command line); tables hold all iterations");
    LL_VALIDATE(!wants_trace || request.run_files.size() == 1, ExitCode::usage,
                text("a trace is of one run, but ", request.run_files.size(),
                     " are given (command line); make one trace of each"));
    LL_VALIDATE(!wants_trace || request.trace_file.ends_with(".gz"), ExitCode::configuration,
                text("--trace '", request.trace_file,
                     "' does not end in .gz (command line); a trace is compressed: write "
                     "NAME.json.gz"));
}

}  // namespace

ExportRequest parse_export_request(const std::vector<std::string>& arguments) {
    ExportRequest request;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (!argument.starts_with('-')) {
            LL_VALIDATE(!argument.empty(), ExitCode::usage, "an empty file name (command line)");
            request.run_files.push_back(argument);
            continue;
        }
        const std::size_t equals = argument.find('=');
        const Option& option = find_option(argument.substr(0, equals));
        const bool has_value = equals != std::string::npos;
        LL_VALIDATE(option.takes_value || !has_value, ExitCode::usage,
                    text(option.name, " takes no value (command line)"));
        std::string value = has_value ? argument.substr(equals + 1) : std::string();
        if (option.takes_value && !has_value && i + 1 < arguments.size()) {
            value = arguments[++i];
        }
        LL_VALIDATE(!option.takes_value || !value.empty(), ExitCode::usage,
                    text(option.name, " wants a value (command line)"));
        option.apply(request, value);
    }
    require_sense(request);
    return request;
}

}  // namespace layerledger
