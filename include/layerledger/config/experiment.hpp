// Every setting of a run: its meaning, its default, its value and where that came from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace layerledger {

enum class DataSource : unsigned char { synthetic, folder };
enum class OnError : unsigned char { abort, skip };
enum class Schedule : unsigned char { constant, step, cosine };
enum class CollectiveChoice : unsigned char { automatic, nccl, mpi };
enum class BackendChoice : unsigned char { automatic, cuda, cpu };

struct ExperimentSettings {
    std::string name = "experiment";
    std::uint64_t seed = 1;
};
struct NetworkSettings {
    std::string architecture = "alexnet";
    std::int64_t classes = 0;               ///< 0: as many as the data has (synthetic: 1000)
    std::int64_t image_size = 0;            ///< 0: the architecture's own
    std::string normalization = "default";  ///< default | none | lrn | batch
};
struct DataSettings {
    DataSource source = DataSource::synthetic;
    std::string root;    ///< folder with train/ and val/, one folder a class
    std::string remote;  ///< rsync's name of what root is a copy of; empty: nothing
    std::int64_t remote_timeout_seconds = 120;  ///< longest silence of the remote
    std::string ssh_options;                    ///< as on ssh's command line
    std::vector<std::string> classes;           ///< which classes; empty: all
    std::int64_t workers = 1;                   ///< decoding threads per rank
    OnError on_error = OnError::abort;
};
struct TrainSettings {
    std::int64_t batch_size = 64;  ///< images per rank
    std::int64_t epochs = 1;
    std::int64_t iterations = 0;         ///< 0: as many as the epochs have
    std::string optimizer = "momentum";  ///< sgd | momentum | adagrad | adadelta
    double learning_rate = 0.01;
    double momentum = 0.9;
    double rho = 0.9;       ///< adadelta
    double epsilon = 1e-6;  ///< adagrad, adadelta
    double weight_decay = 0.0005;
    Schedule schedule = Schedule::constant;
    double step_factor = 0.1;        ///< step: learning rate times this ...
    std::int64_t step_epochs = 30;   ///< ... every so many epochs
    double warmup_epochs = 0;        ///< learning rate rises linearly from 0
    std::string precision = "fp32";  ///< fp32 | tf32 | bf16
    std::int64_t topk = 5;
    std::int64_t digest_every = 100;  ///< iterations between comparisons of the ranks' parameters
    bool validate = true;             ///< validate after training where there is a val/ folder
};
struct SyncSettings {
    CollectiveChoice collective = CollectiveChoice::automatic;
    bool overlap = true;
    double bucket_mb = 25;
    double timeout_seconds = 120;
};
struct ProfileSettings {
    std::string level = "layer";  ///< off | iteration | layer | op | kernel
    std::int64_t warmup = 5;      ///< iterations flagged as warm-up
    std::int64_t every = 1;       ///< profile one iteration in so many
    bool overhead_check = false;  ///< alternate profiled and unprofiled iterations
};
struct OutputSettings {
    std::string directory = "runs";
    std::string file;  ///< empty: NAME.h5
    double commit_seconds = 10;
    bool overwrite = false;
    std::string progress = "auto";  ///< auto | bar | log | none
    double progress_seconds = 10;   ///< time between lines of a log
};
struct DeviceSettings {
    BackendChoice backend = BackendChoice::automatic;
    std::int64_t threads = 0;  ///< per rank; 0: the cores that the rank has
};

/// One resolved setting as text, with its origin: "default", "command line",
/// "environment LAYERLEDGER_TRAIN__EPOCHS" or "configs/x.cfg:12".
struct SettingText {
    std::string key;
    std::string value;
    std::string origin;
};

struct Experiment {
    ExperimentSettings experiment;
    NetworkSettings network;
    DataSettings data;
    TrainSettings train;
    SyncSettings sync;
    ProfileSettings profile;
    OutputSettings output;
    DeviceSettings device;

    std::vector<SettingText> settings;  ///< all of the above, in order of declaration

    /// The whole as an INI text that reads back to the same experiment.
    [[nodiscard]] std::string to_ini() const;
    /// Where a setting came from, for messages: "train.batch_size (command line)".
    [[nodiscard]] std::string blame(const std::string& key) const;
};

/// What the command line gave beside settings.
struct ParsedCommandLine {
    Experiment experiment;
    bool help = false;
    bool print_config = false;
    bool dry_run = false;
};

/// Resolves command line > environment > config files (of several the last that sets a key) >
/// defaults. `arguments` is what follows the subcommand; `environment` holds NAME=VALUE lines. With
/// --help nothing else is resolved. Throws Error: usage for a stray word or an
/// unknown option, input_missing for a missing config file, configuration for an unknown key, a
/// wrong type or a value out of range; each names its source and, for keys, the nearest one.
[[nodiscard]] ParsedCommandLine parse_command_line(const std::vector<std::string>& arguments,
                                                   const std::vector<std::string>& environment);

/// Reads what `to_ini` wrote: how rank 0 hands its settings to the other ranks. Origins are lost.
[[nodiscard]] Experiment parse_ini(const std::string& text);

/// All settings by section with their defaults and one line of explanation each.
[[nodiscard]] std::string settings_help();

/// The environment of this process as NAME=VALUE lines.
[[nodiscard]] std::vector<std::string> process_environment();

/// "1.74.0", of the library that reads the command line.
[[nodiscard]] std::string boost_version();

}  // namespace layerledger
