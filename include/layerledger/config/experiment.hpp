// Every setting of a run: its meaning, its default, its value and where that came from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace layerledger {

enum class DataSource : unsigned char { synthetic, folder, packed };
enum class Augment : unsigned char { none, flip, crop, crop_flip };
enum class OnError : unsigned char { abort, skip };
enum class Schedule : unsigned char { constant, step, cosine };
enum class CollectiveChoice : unsigned char { automatic, nccl, mpi };
enum class BackendChoice : unsigned char { automatic, cuda, cpu };

struct ExperimentSettings {
    std::string name = "experiment";
    std::uint64_t seed = 1;
    std::int64_t repetitions = 1;
};
struct NetworkSettings {
    std::string architecture = "alexnet";
    std::int64_t classes = 0;               ///< 0: as many as the data has (synthetic: 1000)
    std::int64_t image_size = 0;            ///< 0: the architecture's own
    std::string normalization = "default";  ///< default | none | lrn | batch
};
struct DataSettings {
    DataSource source = DataSource::synthetic;
    std::string root;    ///< folder with train/ and val/, or Kaggle's tree
    std::string file;    ///< packed images
    std::string remote;  ///< rsync's name of what root is a copy of; empty: nothing
    std::int64_t remote_timeout_seconds = 120;  ///< longest silence of the remote
    std::string ssh_options;                    ///< as on ssh's command line
    std::vector<std::string> classes;  ///< names, a file of names or the first so many; empty: all
    std::string val_labels;   ///< labels of a val/ without class folders; empty: found in root
    std::string class_names;  ///< readable names of the classes; empty: found in root
    Augment augment = Augment::crop_flip;
    double crop_share = 0.08;   ///< least share of an image that a random crop shows
    double central_share = 0;   ///< of its sides that validation shows; 0: 0.875 with crops, else 1
    std::int64_t workers = 0;   ///< decoding threads per rank; 0: as many as the rank has cores
    std::int64_t prefetch = 2;  ///< batches that wait ready
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
    bool deterministic = false;      ///< GPUs: only algorithms that repeat their results
    bool graph = false;              ///< GPUs: launch the iteration's work as CUDA graphs
    std::int64_t topk = 5;
    std::int64_t digest_every = 100;    ///< iterations between comparisons of the ranks' parameters
    bool validate = true;               ///< validate after training where there is a val/ folder
    std::int64_t validate_every = 0;    ///< and every so many epochs; 0: not
    std::int64_t checkpoint_every = 0;  ///< iterations; one at the end too; 0: only when stopped
    std::int64_t checkpoint_keep = 2;
    std::string resume = "none";             ///< none | auto | a checkpoint
    std::string resume_mismatch = "refuse";  ///< refuse | allow
};
struct SyncSettings {
    CollectiveChoice collective = CollectiveChoice::automatic;
    bool overlap = true;
    double bucket_mb = 25;
    double timeout_seconds = 120;
    double rendezvous_seconds = 120;  ///< until all ranks have met, from the start of each
};
struct ProfileSettings {
    std::string level = "layer";      ///< off | iteration | layer | op | kernel
    std::int64_t warmup = 5;          ///< iterations flagged as warm-up
    std::int64_t every = 1;           ///< profile one iteration in so many
    bool overhead_check = false;      ///< alternate profiled and unprofiled iterations
    std::int64_t kernel_every = 500;  ///< level kernel: look into one iteration in so many
    std::int64_t clock_every = 1000;  ///< iterations between readings of the ranks' clocks
    std::string marks = "auto";       ///< auto | events: what times a GPU's compute stream
    std::string inject;               ///< RANK:LAYER:PERCENT[:PHASE]; empty: nothing is slowed
    bool twin = false;                ///< train once more with profiling off, and compare
};
struct OutputSettings {
    std::string directory = "runs";
    std::string file;  ///< empty: NAME.h5
    double commit_seconds = 10;
    bool overwrite = false;
    bool csv = false;  ///< write the tables of `layerledger export` beside the run file
    std::string progress = "auto";  ///< auto | bar | log | none
    double progress_seconds = 10;   ///< time between lines of a log
};
struct DeviceSettings {
    BackendChoice backend = BackendChoice::automatic;
    std::int64_t threads = 0;  ///< per rank; 0: the cores that the rank has
    bool allow_shared_gpu = false;  ///< several ranks on one GPU, for tests
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

    /// Changes one setting by its key; `origin` says why. Throws Error{internal} where there is no
    /// such setting or it cannot be this.
    void set(const std::string& key, const std::string& value, const std::string& origin);

    /// The whole as an INI text that reads back to the same experiment.
    [[nodiscard]] std::string to_ini() const;
    /// As in `SettingText`.
    [[nodiscard]] std::string origin_of(const std::string& key) const;
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
/// wrong type or a value out of range; each names its source and, for keys, the nearest one. Whether
/// the settings go together is not looked at: more may be known than these sources say.
[[nodiscard]] ParsedCommandLine parse_command_line(const std::vector<std::string>& arguments,
                                                   const std::vector<std::string>& environment);

/// Throws Error{configuration} where settings contradict each other, or one wants another that is
/// not set.
void require_consistent(const Experiment& experiment);

/// Reads what `to_ini` wrote: how rank 0 hands its settings to the other ranks. Origins are lost.
[[nodiscard]] Experiment parse_ini(const std::string& text);

/// All settings by section with their defaults and one line of explanation each.
[[nodiscard]] std::string settings_help();

/// The environment of this process as NAME=VALUE lines.
[[nodiscard]] std::vector<std::string> process_environment();

/// "1.74.0", of the library that reads the command line.
[[nodiscard]] std::string boost_version();

}  // namespace layerledger
