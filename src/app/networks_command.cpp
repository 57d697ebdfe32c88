#include "networks_command.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iostream>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/config/experiment.hpp"
#include "layerledger/network/costs.hpp"
#include "layerledger/network/zoo.hpp"

namespace layerledger {
namespace {

struct Request {
    std::string network;  // empty: all of them
    ZooOptions options;
    std::int64_t batch = TrainSettings{}.batch_size;
};

std::int64_t whole_number(const std::string& option, const std::string& value) {
    constexpr std::int64_t most = 1'000'000;
    std::int64_t number = 0;
    const char* const end = value.data() + value.size();
    const auto [stop, failure] = std::from_chars(value.data(), end, number);
    LL_VALIDATE(
        failure == std::errc{} && stop == end && number >= 1 && number <= most,
        ExitCode::configuration,
        text(option, " is '", value, "' (command line); give a whole number from 1 to ", most));
    return number;
}

struct Option {
    std::string setting;
    std::string short_name;
    void (*apply)(Request& request, const std::string& option, const std::string& value);
};

const std::array<Option, 4>& known_options() {
    using Text = const std::string&;
    static const std::array<Option, 4> all{
        Option{"--network.classes", "--classes",
               [](Request& r, Text option, Text value) {
                   r.options.classes = whole_number(option, value);
               }},
        Option{"--network.image_size", "--image-size",
               [](Request& r, Text option, Text value) {
                   r.options.image_size = whole_number(option, value);
               }},
        Option{"--network.normalization", "--normalization",
               [](Request& r, Text, Text value) {
                   r.options.normalization = normalization_from(value);
               }},
        Option{"--train.batch_size", "--batch",
               [](Request& r, Text option, Text value) { r.batch = whole_number(option, value); }},
    };
    return all;
}

const Option& find_option(const std::string& name) {
    std::vector<std::string> names;
    for (const Option& option : known_options()) {
        if (name == option.setting || name == option.short_name) {
            return option;
        }
        names.insert(names.end(), {option.setting, option.short_name});
    }
    const std::string guess = did_you_mean(name, names);
    throw Error(ExitCode::usage, text("unknown option '", name, "' (command line)",
                                      guess.empty() ? "; see 'layerledger help networks'" : guess));
}

// Options come as "--name value" or "--name=value".
Request parse(const std::vector<std::string>& arguments) {
    Request request;
    std::string first_option;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (!argument.starts_with('-')) {
            LL_VALIDATE(request.network.empty() && !argument.empty(), ExitCode::usage,
                        text("stray word '", argument,
                             "' (command line); write 'layerledger networks [NAME]'"));
            request.network = argument;
            continue;
        }
        const std::size_t equals = argument.find('=');
        const std::string name = argument.substr(0, equals);
        const Option& option = find_option(name);
        first_option = first_option.empty() ? name : first_option;
        if (equals != std::string::npos) {
            option.apply(request, name, argument.substr(equals + 1));
            continue;
        }
        LL_VALIDATE(++i < arguments.size(), ExitCode::usage,
                    text("option '", name, "' has no value (command line); give it one"));
        option.apply(request, name, arguments[i]);
    }
    LL_VALIDATE(first_option.empty() || !request.network.empty(), ExitCode::usage,
                text("option '", first_option,
                     "' is about one network (command line); write "
                     "'layerledger networks NAME ",
                     first_option, " ...'"));
    return request;
}

/// Columns as wide as their widest cell, the first ones of words and the rest of figures.
class Table {
public:
    explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}

    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }

    void print(std::size_t left_columns) const {
        std::vector<std::size_t> widths(rows_.front().size());
        for (const auto& row : rows_) {
            for (std::size_t i = 0; i < row.size(); ++i) {
                widths[i] = std::max(widths[i], row[i].size());
            }
        }
        for (const auto& row : rows_) {
            std::string line;
            for (std::size_t i = 0; i < row.size(); ++i) {
                const std::string space(widths[i] - row[i].size(), ' ');
                line += (i == 0 ? "" : "  ") + (i < left_columns ? row[i] + space : space + row[i]);
            }
            std::cout << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
        }
    }

private:
    std::vector<std::vector<std::string>> rows_;
};

/// 61100840 as "61,100,840".
std::string grouped(std::int64_t number) {
    std::string digits = std::to_string(number);
    for (std::size_t i = digits.size(); i > 3; i -= 3) {
        digits.insert(i - 3, ",");
    }
    return digits;
}

/// Four significant digits without an exponent: "0.0301", "28.70", "1222".
std::string figure(double value) {
    const int magnitude = value > 0 ? static_cast<int>(std::floor(std::log10(value))) : 0;
    return fixed(value, std::clamp(3 - magnitude, 0, 6));
}

std::string shape_text(const Shape& shape) {
    return text(shape.channels, "x", shape.height, "x", shape.width);
}

std::string normalizations(const Architecture& architecture) {
    std::string all;
    for (const Variant& variant : architecture.variants) {
        all += text(all.empty() ? "" : ", ", name(variant.normalization));
    }
    return all;
}

void print_zoo() {
    Table table({"network", "normalization", "input", "layers", "parameters", "GMAC"});
    for (const Architecture& architecture : zoo()) {
        const Network network = make_network(architecture.name);
        std::int64_t layers = 0;
        std::int64_t parameters = 0;
        for (const Layer& layer : network.layers()) {
            layers += layer.auxiliary ? 0 : 1;
            parameters += layer.auxiliary ? 0 : layer_parameters(network, layer.id);
        }
        table.add({architecture.name, normalizations(architecture), shape_text(network.input()),
                   std::to_string(layers), grouped(parameters),
                   figure(static_cast<double>(forward_macs(network)) / 1e9)});
    }
    table.print(3);
    std::cout << "\nThe first normalization is the default; figures are for it, one image forward,"
                 "\nwithout auxiliary classifiers.\n\n";
    for (const Architecture& architecture : zoo()) {
        std::cout << architecture.name << ": " << architecture.description << '\n';
    }
    std::cout << "\n'layerledger networks NAME' shows the layers of one.\n";
}

/// What a layer hands on; a loss is not handed on.
Shape output_of(const Network& network, const Layer& layer) {
    const std::span<const Op> ops = network.ops_of(layer.id);
    const Op& last = ops.back();
    return std::holds_alternative<SoftmaxLoss>(last.attributes)
               ? network.op(last.inputs.front()).output
               : last.output;
}

using PhaseCosts = std::array<Cost, phases.size()>;

std::vector<std::string> with_costs(std::vector<std::string> row, const PhaseCosts& costs) {
    for (const Cost& cost : costs) {
        row.push_back(figure(cost.flops / 1e9));
        row.push_back(figure(cost.bytes / 1e6));
    }
    return row;
}

void print_layers(const Request& request) {
    const Network network = make_network(request.network, request.options);
    const CostBasis basis{.batch = request.batch};
    Table table({"layer", "kind", "output", "parameters", "forward GFLOP", "MB", "backward GFLOP",
                 "MB", "update GFLOP", "MB"});
    PhaseCosts totals;
    bool auxiliary = false;
    for (const Layer& layer : network.layers()) {
        PhaseCosts costs;
        for (const Phase phase : phases) {
            costs[index(phase)] = layer_cost(network, layer.id, phase, basis);
            totals[index(phase)] += costs[index(phase)];
        }
        table.add(with_costs(
            {layer.name + (layer.auxiliary ? " *" : ""), layer.kind,
             shape_text(output_of(network, layer)), grouped(layer_parameters(network, layer.id))},
            costs));
        auxiliary = auxiliary || layer.auxiliary;
    }
    table.add(with_costs({"total", "", "", grouped(network.parameter_elements())}, totals));

    std::cout << network.name() << ": images " << shape_text(network.input()) << ", "
              << network.classes() << " classes, "
              << figure(static_cast<double>(forward_macs(network)) / 1e9)
              << " GMAC an image forward\nWork and lowest memory traffic of a batch of "
              << request.batch << ", fp32, updates with momentum:\n\n";
    table.print(3);
    std::cout << (auxiliary ? "\n* exists in training only\n" : "");
}

}  // namespace

ExitCode run_networks_command(const std::vector<std::string>& arguments) {
    const Request request = parse(arguments);
    if (request.network.empty()) {
        print_zoo();
    } else {
        print_layers(request);
    }
    return ExitCode::ok;
}

}  // namespace layerledger
