#include "setting_table.hpp"

#include <algorithm>
#include <type_traits>

#include "formats.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::config {
namespace {

template <class Format>
std::string words_of(const Format&) {
    return {};
}
template <class Enum>
std::string words_of(const Choice<Enum>& choice) {
    return choice.takes();
}
std::string words_of(const OneOf& words) {
    return words.takes();
}

// Adds the settings of one section to the table.
template <class Settings>
class Section {
public:
    Section(std::vector<Setting>& table, std::string name, Settings Experiment::*section)
        : table_(table), name_(std::move(name)), section_(section) {}

    template <class Value, class Format>
    void add(const char* name, Value Settings::*member, Format format, const char* help) {
        static_assert(std::is_same_v<Value, typename Format::Value>);
        Setting setting;
        setting.key = text(name_, ".", name);
        setting.help = help;
        setting.takes = format.takes();
        setting.words = words_of(format);
        setting.is_flag = std::is_same_v<Value, bool>;
        setting.assign = [section = section_, member, format](Experiment& experiment,
                                                              const std::string& word) {
            auto value = format.read(word);
            if (value) {
                experiment.*section.*member = std::move(*value);
            }
            return value.has_value();
        };
        setting.show = [section = section_, member, format](const Experiment& experiment) {
            return format.show(experiment.*section.*member);
        };
        table_.push_back(std::move(setting));
    }

private:
    std::vector<Setting>& table_;
    std::string name_;
    Settings Experiment::*section_;
};

Whole<std::int64_t> at_least(std::int64_t least) {
    return {least};
}
Whole<std::int64_t> from_to(std::int64_t least, std::int64_t most) {
    return {least, most};
}
Real positive() {
    return {.low = 0, .low_included = false};
}
Real not_negative() {
    return {};
}
/// A positive number that products and durations made from it still hold.
Real positive_below(double high) {
    return {.low = 0, .low_included = false, .high = high};
}

constexpr double most_seconds = 1e7;  // a third of a year
constexpr std::int64_t most_epochs = 1'000'000;
constexpr std::int64_t most_iterations = 1'000'000'000'000;
Real positive_share() {
    return {.low = 0, .low_included = false, .high = 1, .high_included = true};
}
Real share() {
    return {.low = 0, .high = 1, .high_included = true};
}
Real fraction() {
    return {.low = 0, .low_included = true, .high = 1};
}

std::vector<Setting> make_table() {
    std::vector<Setting> table;

    using E = ExperimentSettings;
    Section experiment(table, "experiment", &Experiment::experiment);
    experiment.add("name", &E::name, FileName{}, "names the run and its file");
    experiment.add("seed", &E::seed, Whole<std::uint64_t>{},
                   "seed of parameters, order of images and dropout");
    experiment.add("repetitions", &E::repetitions, from_to(1, 10'000),
                   "train so many times, in folders of their own; seeds seed, seed + 1, ...");

    using N = NetworkSettings;
    Section network(table, "network", &Experiment::network);
    network.add("architecture", &N::architecture, Text{},
                "a name that 'layerledger networks' lists");
    network.add("classes", &N::classes, from_to(0, 1'000'000),
                "outputs; 0: as the data has (synthetic: the architecture's own)");
    network.add("image_size", &N::image_size, from_to(0, 65'536),
                "pixels a side; 0: the architecture's own");
    network.add("normalization", &N::normalization, OneOf{{"default", "none", "lrn", "batch"}},
                "where the architecture leaves a choice");

    using D = DataSettings;
    Section data(table, "data", &Experiment::data);
    data.add("source", &D::source,
             Choice<DataSource>{{{"synthetic", DataSource::synthetic},
                                 {"folder", DataSource::folder},
                                 {"packed", DataSource::packed}}},
             "random images, a folder of JPEG files, or a file that 'layerledger pack' made");
    data.add(
        "root", &D::root, Text{},
        "folder with train/ and val/, in them one folder a class; or Kaggle's ImageNet tree; may "
        "name $VARIABLES");
    data.add("remote", &D::remote, Text{},
             "where to copy root from before training: user@host:/path, rsync://host/module/path "
             "or a folder; empty: nowhere");
    data.add("remote_timeout_seconds", &D::remote_timeout_seconds, from_to(1, 86'400),
             "longest silence of the remote");
    data.add("ssh_options", &D::ssh_options, Text{},
             "for the remote's ssh, as on its command line: -p 2222 -i FILE");
    data.add("file", &D::file, Text{},
             "packed: the file; $NAME is the environment's, on each node its own");
    data.add("classes", &D::classes, List{},
             "names of the classes to use, a file of names, or how many of the first; empty: all");
    data.add(
        "val_labels", &D::val_labels, Text{},
        "list of labels where val/ has no class folders; may name $VARIABLES; empty: looked for "
        "in data.root");
    data.add(
        "class_names", &D::class_names, Text{},
        "list of readable names ('n01440764 tench'); may name $VARIABLES; empty: looked for in "
        "data.root");
    data.add("augment", &D::augment,
             Choice<Augment>{{{"none", Augment::none},
                              {"flip", Augment::flip},
                              {"crop", Augment::crop},
                              {"crop-flip", Augment::crop_flip}}},
             "what training does to images at random: crop and resize, flip left and right");
    data.add("crop_share", &D::crop_share, positive_share(),
             "least share of an image's area that a random crop shows");
    data.add("central_share", &D::central_share, share(),
             "share of the sides that validation shows; 0: 0.875 after training on crops, else 1");
    data.add("workers", &D::workers, from_to(0, 1'024),
             "decoding threads per rank; 0: as many as the rank has cores, 16 at most");
    data.add("prefetch", &D::prefetch, from_to(1, 1'000), "batches that wait ready, per rank");
    data.add("on_error", &D::on_error,
             Choice<OnError>{{{"abort", OnError::abort}, {"skip", OnError::skip}}},
             "end at an unreadable image, or replace and count it");

    using T = TrainSettings;
    Section train(table, "train", &Experiment::train);
    train.add("batch_size", &T::batch_size, from_to(1, 1'000'000), "images per rank and iteration");
    train.add("epochs", &T::epochs, from_to(1, most_epochs), "passes over the training images");
    train.add("iterations", &T::iterations, from_to(0, most_iterations),
              "0: as many as the epochs have");
    train.add("optimizer", &T::optimizer, OneOf{{"sgd", "momentum", "adagrad", "adadelta"}},
              "how gradients change parameters");
    train.add("learning_rate", &T::learning_rate, positive(), "before schedule and warm-up");
    train.add("momentum", &T::momentum, fraction(), "of the optimizer momentum");
    train.add("rho", &T::rho, fraction(), "decay of adadelta's averages");
    train.add("epsilon", &T::epsilon, positive(), "of adagrad and adadelta");
    train.add("weight_decay", &T::weight_decay, not_negative(), "L2 penalty on all parameters");
    train.add("schedule", &T::schedule,
              Choice<Schedule>{{{"constant", Schedule::constant},
                                {"step", Schedule::step},
                                {"cosine", Schedule::cosine}}},
              "how the learning rate changes");
    train.add("step_factor", &T::step_factor, positive(), "step: learning rate times this ...");
    train.add("step_epochs", &T::step_epochs, from_to(1, most_epochs),
              "step: ... every so many epochs");
    train.add("warmup_epochs", &T::warmup_epochs, Real{.high = most_epochs},
              "epochs in which the learning rate rises from 0");
    train.add("precision", &T::precision, OneOf{{"fp32", "tf32", "bf16"}}, "of the arithmetic");
    train.add("deterministic", &T::deterministic, Flag{},
              "GPUs: only algorithms that repeat their results bit for bit");
    train.add(
        "graph", &T::graph, Flag{},
        "GPUs: capture the iteration once and launch it as CUDA graphs; gradients are summed "
        "behind the backward pass then; captured in warm-up where profile.warmup is at least 4");
    train.add("topk", &T::topk, at_least(1), "count a label among the best so many as right");
    train.add("digest_every", &T::digest_every, at_least(1),
              "iterations between comparisons of the ranks' parameters");
    train.add("validate", &T::validate, Flag{}, "validate after training where there is a val/");
    train.add("validate_every", &T::validate_every, from_to(0, most_epochs),
              "and after every so many epochs; 0: only after training");
    train.add("checkpoint_every", &T::checkpoint_every, from_to(0, most_iterations),
              "iterations between checkpoints, and one at the end; 0: only when SIGUSR1 stops it");
    train.add("checkpoint_keep", &T::checkpoint_keep, from_to(1, 1'000'000),
              "how many of the newest checkpoints are kept");
    train.add("resume", &T::resume, Text{},
              "none, auto (the run's newest whole checkpoint, if there is one), a checkpoint or a "
              "folder of some");
    train.add(
        "resume_mismatch", &T::resume_mismatch, OneOf{{"refuse", "allow"}},
        "a checkpoint of another network, seed, batch, optimizer or number of ranks; allowed, "
        "what fits is carried over into a new run, and the earlier one kept as NAME.before-1");

    using S = SyncSettings;
    Section sync(table, "sync", &Experiment::sync);
    sync.add("collective", &S::collective,
             Choice<CollectiveChoice>{{{"auto", CollectiveChoice::automatic},
                                       {"nccl", CollectiveChoice::nccl},
                                       {"mpi", CollectiveChoice::mpi}}},
             "who sums the gradients over the ranks");
    sync.add("overlap", &S::overlap, Flag{}, "all-reduce while backward still runs");
    sync.add("bucket_mb", &S::bucket_mb, positive_below(1e6),
             "gradients that travel together, in MB");
    sync.add("timeout_seconds", &S::timeout_seconds, positive_below(most_seconds),
             "longest wait for another rank, and longest stay at one place of training");
    sync.add(
        "rendezvous_seconds", &S::rendezvous_seconds, positive_below(most_seconds),
        "until all ranks have met when the job begins: MPI's start and a first word between them");

    using P = ProfileSettings;
    Section profile(table, "profile", &Experiment::profile);
    profile.add("level", &P::level, OneOf{{"off", "iteration", "layer", "op", "kernel"}},
                "how finely to time");
    profile.add("warmup", &P::warmup, from_to(0, most_iterations),
                "first iterations, flagged and not averaged");
    profile.add("every", &P::every, at_least(1), "time one iteration in so many");
    profile.add("overhead_check", &P::overhead_check, Flag{},
                "alternate timed and untimed iterations to measure the cost of timing");
    profile.add("kernel_every", &P::kernel_every, from_to(2, most_iterations),
                "level kernel: see each GPU kernel of one iteration in so many");
    profile.add("clock_every", &P::clock_every, from_to(0, most_iterations),
                "iterations between readings of the ranks' clocks, 0: only at start and end");
    profile.add("marks", &P::marks, OneOf{{"auto", "events"}},
                "auto reads a GPU's clock on the GPU where it is fine enough, events are CUDA's");
    profile.add(
        "inject", &P::inject, Text{},
        "slow a layer on purpose, RANK:LAYER:PERCENT, or with :forward, :backward, :update");
    profile.add("twin", &P::twin, Flag{},
                "train once more with profile.level = off, and compare the two");

    using O = OutputSettings;
    Section output(table, "output", &Experiment::output);
    output.add("directory", &O::directory, Text{}, "folder of run files");
    output.add("file", &O::file, Text{}, "run file in it, NAME.h5; empty: experiment.name and .h5");
    output.add("commit_seconds", &O::commit_seconds, positive_below(most_seconds),
               "longest time data stays unsaved");
    output.add("overwrite", &O::overwrite, Flag{}, "replace a run file that is there");
    output.add(
        "csv", &O::csv, Flag{},
        "write the tables NAME.layers.csv, NAME.iterations.csv and NAME.experiment.csv beside the "
        "run file NAME.h5");
    output.add("progress", &O::progress, OneOf{{"auto", "bar", "log", "none"}},
               "auto is bar on a terminal, else log");
    output.add("progress_seconds", &O::progress_seconds, positive_below(most_seconds),
               "time between lines of a log");

    using V = DeviceSettings;
    Section device(table, "device", &Experiment::device);
    device.add("backend", &V::backend,
               Choice<BackendChoice>{{{"auto", BackendChoice::automatic},
                                      {"cuda", BackendChoice::cuda},
                                      {"cpu", BackendChoice::cpu}}},
               "what computes");
    device.add("threads", &V::threads, from_to(0, 4'096),
               "per rank; 0: as many as the rank has cores");
    device.add("allow_shared_gpu", &V::allow_shared_gpu, Flag{},
               "several ranks may take one GPU, which is for tests of correctness only");
    return table;
}

}  // namespace

std::string_view Setting::section() const {
    return std::string_view(key).substr(0, key.find('.'));
}
std::string_view Setting::name() const {
    return std::string_view(key).substr(key.find('.') + 1);
}

const std::vector<Setting>& setting_table() {
    static const std::vector<Setting> table = make_table();
    return table;
}

const Setting* find_setting(std::string_view key) {
    const auto& table = setting_table();
    const auto found = std::find_if(table.begin(), table.end(),
                                    [&](const Setting& setting) { return setting.key == key; });
    return found == table.end() ? nullptr : &*found;
}

std::string nearest_key(const std::string& word) {
    const std::string bare = word.substr(word.find('.') + 1);
    std::vector<std::string> keys;
    std::vector<std::string> names;
    for (const Setting& setting : setting_table()) {
        if (setting.name() == bare) {
            return setting.key;
        }
        keys.push_back(setting.key);
        names.emplace_back(setting.name());
    }
    const std::string key = nearest(word, keys);
    if (!key.empty()) {
        return key;
    }
    const std::string name = nearest(bare, names);
    const auto at = std::find(names.begin(), names.end(), name);
    return at == names.end() ? std::string{} : keys[static_cast<std::size_t>(at - names.begin())];
}

}  // namespace layerledger::config
