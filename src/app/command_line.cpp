#include "command_line.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {

std::span<const Subcommand> subcommands() {
    static const std::array table{
        Subcommand{"train", "[--config FILE] [--section.key VALUE ...]",
                   "train a network and write a run file; start it with mpirun or srun", ""},
        Subcommand{"validate", "--checkpoint FILE|FOLDER [--config FILE] [--section.key VALUE ...]",
                   "loss and accuracy of a checkpoint; start it with mpirun or srun", R"(
  --checkpoint FILE    a checkpoint of train.checkpoint_every
  --checkpoint FOLDER  the newest whole one in NAME.checkpoints; FOLDER/latest is the same

What is not set is as in its training. Sections data and train may differ, the network may not.
)"},
        Subcommand{"close", "[--config FILE] [--section.key VALUE ...]",
                   "say \"failed\" in what a job left whose ranks were all killed at once", R"(
Give it what the training was given, when nothing of it runs any more. What still says "running",
the run file and the index of repetitions, says "failed" then. What the training has said itself
stays as it is. The scripts in slurm/ do this when srun's code says that ranks were killed.
)"},
        Subcommand{"pack", "FOLDER FILE [--size 256] [--overwrite] [--section.key VALUE ...]",
                   "decode the images of a folder into one file, for data.source = packed", ""},
        Subcommand{"summary", "RUN.h5", "where the time of a run went", ""},
        Subcommand{"export",
                   "RUN.h5 [RUN.h5 ...] --csv DIR | RUN.h5 --trace FILE.json.gz [--iterations A:B]",
                   "a run as tables, or a window of it as a timeline", R"(
  --csv DIR             layers.csv, iterations.csv and experiment.csv, UTF-8 with commas between
                        columns and points in numbers; units are in the columns' names;
                        of several runs the column 'run' says which a row is of
  --trace FILE.json.gz  for https://ui.perfetto.dev: a process for each rank, in it a lane for its
                        iterations, its compute stream and its communication stream
  --iterations A:B      of the trace: first and last iteration; without it three after warm-up
  --overwrite           replace files that are there

A run may still be going on: what it has committed counts. experiment.csv has a column for each
setting (config.train.batch_size) and fact of the run file, and after 25, 50, 75 and 100 % of the
iterations the time so far, and how much of it is in layers, accounted for, and missing.
)"},
        Subcommand{"check", "RUN.h5", "compare a run file with the schema", ""},
        Subcommand{"networks",
                   "[NAME [--classes N] [--image-size N] [--normalization WORD] [--batch N]]",
                   "the architectures, or the layers of one", ""},
        Subcommand{"help", "[SUBCOMMAND]", "this text, or more about one subcommand", ""},
        Subcommand{"version", "", "versions of layerledger and of its libraries", ""},
    };
    return table;
}

const Subcommand& find_subcommand(const std::string& name) {
    std::vector<std::string> names;
    for (const Subcommand& subcommand : subcommands()) {
        if (subcommand.name == name) {
            return subcommand;
        }
        names.push_back(subcommand.name);
    }
    const std::string guess = nearest(name, names);
    throw Error(ExitCode::usage, text("unknown subcommand '", name, "' (command line); ",
                                      guess.empty() ? "see 'layerledger help'"
                                                    : text("did you mean '", guess, "'?")));
}

std::string overview() {
    std::string shown =
        "layerledger trains convolutional networks data-parallel and accounts for every "
        "microsecond.\n\nusage: layerledger SUBCOMMAND [ARGUMENTS]\n\n";
    for (const Subcommand& subcommand : subcommands()) {
        const std::string name = text("  ", subcommand.name);
        shown += text(name, std::string(12 - name.size(), ' '), subcommand.purpose, "\n");
    }
    return shown + "\n'layerledger help SUBCOMMAND' says more about one of them.\n";
}

std::string usage(const Subcommand& subcommand) {
    return text("usage: layerledger ", subcommand.name, subcommand.arguments.empty() ? "" : " ",
                subcommand.arguments, "\n\n", subcommand.purpose, "\n", subcommand.details);
}

bool wants_help(const std::vector<std::string>& arguments) {
    return std::any_of(arguments.begin(), arguments.end(), [](const std::string& argument) {
        return argument == "--help" || argument == "-h";
    });
}

std::string only_file(const Subcommand& subcommand, const std::vector<std::string>& arguments) {
    const std::string suggestion =
        text("; write 'layerledger ", subcommand.name, " ", subcommand.arguments, "'");
    for (const std::string& argument : arguments) {
        LL_VALIDATE(!argument.starts_with('-'), ExitCode::usage,
                    text("unknown option '", argument, "' (command line)", suggestion));
    }
    LL_VALIDATE(!arguments.empty() && !arguments.front().empty(), ExitCode::usage,
                text("no file is given (command line)", suggestion));
    LL_VALIDATE(arguments.size() == 1, ExitCode::usage,
                text("stray word '", arguments[1], "' (command line)", suggestion));
    return arguments.front();
}

std::string one_line(std::string message) {
    std::replace_if(
        message.begin(), message.end(), [](unsigned char c) { return std::iscntrl(c) != 0; }, ' ');
    return message;
}

}  // namespace layerledger
