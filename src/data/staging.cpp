#include "layerledger/data/staging.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "child_process.hpp"
#include "class_choice.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "remote.hpp"
#include "rsync_output.hpp"
#include "staging_marker.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// Where the set may lie below the remote: as people have it, and as Kaggle ships it.
constexpr std::array<std::string_view, 2> prefixes{"", "ILSVRC/Data/CLS-LOC/"};

constexpr std::int64_t longest_connect_seconds = 30;
constexpr std::size_t most_error_lines = 200;

/// What a disk may take to write what it has been given; later it is taken for dead.
constexpr std::chrono::minutes longest_writing{15};

/// One staging of one request.
class Stage {
public:
    Stage(const StagingRequest& request, StagingProgress& progress, const std::stop_token& stop)
        : settings_(request.settings),
          remote_(parse_remote(settings_.remote)),
          progress_(progress),
          stop_(stop) {}

    [[nodiscard]] StagedSet run();
    [[nodiscard]] StagedSet look();

private:
    void require_apart() const;
    void own_root();
    [[nodiscard]] RootLock lock(RootLock::Kind kind);
    [[nodiscard]] bool was_staged_since(const std::optional<StagingMarker>& before,
                                        StagedSet& set) const;
    void find_classes();
    [[nodiscard]] bool is_up_to_date(const StagingMarker& marker, StagedSet& set);
    [[nodiscard]] StagedSet transfer(const std::string& target, bool only_look, bool may_delete);
    [[nodiscard]] std::vector<std::string> command(std::vector<std::string> options) const;
    [[nodiscard]] std::optional<Failure> rsync(ChildCommand command,
                                               const std::function<void(std::string_view)>& use);
    [[nodiscard]] std::chrono::seconds patience() const {
        // Twice what rsync itself waits: this one is for when rsync hangs.
        return std::chrono::seconds(2 * settings_.remote_timeout_seconds);
    }

    DataSettings settings_;
    Remote remote_;
    StagingProgress& progress_;
    std::stop_token stop_;
    std::string prefix_;
    std::vector<std::string> whole_;  // all classes of the remote
    std::vector<std::string> classes_;
    std::vector<int> kept_open_;
    Clock::time_point touched_ = Clock::now();
};

/// Whether `inner` lies in `outer`, or is it; both without links.
bool lies_in(const fs::path& inner, const fs::path& outer) {
    return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first ==
           outer.end();
}

/// A copy into itself would never end, and one that lies in what it is a copy of would be found
/// there by the next.
void Stage::require_apart() const {
    if (remote_.kind != Remote::Kind::local) {
        return;
    }
    std::error_code unknown;  // then the one of them is not there
    const fs::path from = fs::canonical(remote_.source(""), unknown);
    const fs::path to = fs::weakly_canonical(settings_.root, unknown);
    if (from.empty() || to.empty()) {
        return;
    }
    LL_VALIDATE(from != to, ExitCode::configuration,
                text("data.root and data.remote are the same folder, '", settings_.root,
                     "' (there is nothing to stage) unset data.remote"));
    LL_VALIDATE(!lies_in(to, from) && !lies_in(from, to), ExitCode::configuration,
                text("of data.root '", settings_.root, "' and data.remote '", settings_.remote,
                     "' one lies in the other (a copy would hold itself) choose a data.root "
                     "apart from data.remote"));
}

/// Only what staging made may be changed by it.
void Stage::own_root() {
    const fs::path root = settings_.root;
    std::error_code failure;
    fs::create_directories(root, failure);
    LL_VALIDATE(!failure && fs::is_directory(root), ExitCode::cannot_create,
                text("cannot create data.root '", settings_.root, "' (",
                     failure ? failure.message() : "it is no folder", ") choose another"));
    if (read_marker(settings_.root)) {
        return;
    }
    for (const std::string_view prefix : prefixes) {
        for (const char* part : {"train", "val"}) {
            const fs::path own = root / prefix / part;
            LL_VALIDATE(!fs::exists(own, failure), ExitCode::cannot_create,
                        text("'", own.native(),
                             "' is there already (staging did not make it and "
                             "would change it) choose an empty data.root, or unset data.remote to "
                             "train on what is there"));
        }
    }
}

std::vector<std::string> Stage::command(std::vector<std::string> options) const {
    std::vector<std::string> words{"rsync", text("--timeout=", settings_.remote_timeout_seconds),
                                   "--protect-args"};
    const std::int64_t connect =
        std::min(settings_.remote_timeout_seconds, longest_connect_seconds);
    if (remote_.kind == Remote::Kind::ssh) {
        // Of an option given twice ssh takes the first. BatchMode: a question would hang the job.
        words.push_back(text("--rsh=ssh ", settings_.ssh_options,
                             " -o BatchMode=yes -o ConnectTimeout=", connect));
    } else if (remote_.kind == Remote::Kind::daemon) {
        words.push_back(text("--contimeout=", connect));
    }
    words.insert(words.end(), std::make_move_iterator(options.begin()),
                 std::make_move_iterator(options.end()));
    return words;
}

/// Runs rsync, each line of its output given to `use`. Nothing, or why it failed.
std::optional<Failure> Stage::rsync(ChildCommand command,
                                    const std::function<void(std::string_view)>& use) {
    // Numbers and times the same everywhere. A daemon that wants a password gets an empty one
    // rather than a question that nobody answers.
    command.environment = {"LC_ALL=C", "TZ=UTC"};
    if (std::getenv("RSYNC_PASSWORD") == nullptr) {
        command.environment.emplace_back("RSYNC_PASSWORD=");
    }
    command.kept_open = kept_open_;
    Failure failure;
    Lines output;
    Lines errors;
    ChildWatch watch;
    watch.output = [&](std::string_view piece) {
        output.add(piece, use);
        if (!kept_open_.empty() && Clock::now() - touched_ > std::chrono::seconds(1)) {
            touch_marker(settings_.root);
            touched_ = Clock::now();
        }
    };
    watch.errors = [&](std::string_view piece) {
        errors.add(piece, [&](std::string_view line) {
            if (failure.errors.size() < most_error_lines) {
                failure.errors.emplace_back(line);
            }
        });
    };
    watch.stop = [this] { return stop_.stop_requested(); };
    watch.silence = patience();
    ChildEnd end;
    try {
        end = run_child(command, watch);
    } catch (const std::system_error& error) {
        throw Error(ExitCode::unavailable,
                    text("cannot run rsync, which data.remote needs (", error.code().message(),
                         ") install rsync on every node, or unset data.remote"));
    }
    errors.add("\n", [&](std::string_view line) { failure.errors.emplace_back(line); });
    switch (end.cause) {
        case ChildEnd::Cause::exited: break;
        case ChildEnd::Cause::stopped:
            throw Error(ExitCode::interrupted,
                        text("staging into '", settings_.root,
                             "' was stopped (what has arrived is kept) start again to go on"));
        case ChildEnd::Cause::silent:
            throw Error(ExitCode::input_missing,
                        text("cannot stage ", remote_.base, " into '", settings_.root,
                             "': the remote has fallen silent (rsync said nothing for ",
                             duration_text(std::chrono::duration<double>(patience()).count()),
                             " and was ended) start again to go on where it stopped; "
                             "data.remote_timeout_seconds is the patience"));
        case ChildEnd::Cause::killed:
            throw Error(ExitCode::internal, text("rsync was ended from outside (signal ", end.code,
                                                 ") start again to go on where it stopped"));
    }
    if (end.code == 0) {
        return {};
    }
    failure.exit_code = end.code;
    return failure;
}

void Stage::find_classes() {
    std::optional<Failure> first;
    for (const std::string_view prefix : prefixes) {
        std::vector<std::string> lines;
        const std::string folder = text(prefix, "train");
        const auto failure =
            rsync({.words = command({"--list-only", "--copy-links", "--8-bit-output", "--",
                                     remote_.source(folder)}),
                   .environment = {},
                   .input = {},
                   .kept_open = {}},
                  [&](std::string_view line) { lines.emplace_back(line); });
        if (!failure) {
            prefix_ = prefix;
            whole_ = listed_folders(lines);
            classes_ =
                choose_classes(whole_, settings_.classes, text("'", remote_.source(folder), "'"));
            LL_VALIDATE(!classes_.empty(), ExitCode::bad_data,
                        text("'", remote_.source(folder),
                             "' has no classes (no folders in it) "
                             "look at data.remote: train/ in it has one folder a class"));
            return;
        }
        if (!first) {
            first = failure;
        }
        if (!means_missing(*failure)) {
            throw explain(*failure, remote_, settings_.root);
        }
    }
    throw explain(*first, remote_, settings_.root);
}

StagedSet Stage::transfer(const std::string& target, bool only_look, bool may_delete) {
    std::vector<std::string> options = output_options();
    // Links become what they point to: here they would point to nothing.
    options.insert(options.end(), {"-rtO", "--copy-links", "--chmod=u+rwX",
                                   "--partial-dir=.layerledger-partial", "--filter=merge -"});
    if (only_look) {
        options.emplace_back("--dry-run");
    }
    if (may_delete) {
        options.emplace_back("--delete");
    }
    options.insert(options.end(), {"--", remote_.source(""), target + "/"});
    TransferOutput found;
    const auto failure = rsync({.words = command(std::move(options)),
                                .environment = {},
                                .input = filter_rules(prefix_, classes_),
                                .kept_open = {}},
                               [&](std::string_view line) {
                                   found.read(line);
                                   progress_.bytes = only_look ? 0 : found.arrived_bytes;
                                   progress_.percent = only_look ? 0 : found.percent;
                               });
    if (failure) {
        throw explain(*failure, remote_, settings_.root);
    }
    StagedSet set;
    set.classes = classes_;
    set.files = found.files;
    set.bytes = found.bytes;
    set.digest = found.digest;
    set.transferred_files = found.transferred_files;
    set.transferred_bytes = found.transferred_bytes;
    set.is_whole = !only_look || (found.transferred_files == 0 && found.deleted == 0);
    return set;
}

/// A whole set is asked about first, so that its marker stays while there is nothing to do.
bool Stage::is_up_to_date(const StagingMarker& marker, StagedSet& set) {
    if (!marker.is_whole || marker.remote != settings_.remote || marker.classes != classes_ ||
        marker.whole != whole_) {
        return false;
    }
    set = transfer(settings_.root, /*only_look=*/true, /*may_delete=*/true);
    return set.is_whole && set.digest == marker.digest;
}

RootLock Stage::lock(RootLock::Kind kind) {
    const auto patience_for_others = patience() + std::chrono::seconds(60);
    progress_.step = StagingStep::waiting;
    const auto tell = [&](std::chrono::seconds so_far) {
        log::info(text("waiting for another process that stages into '", settings_.root, "'",
                       so_far.count() > 0
                           ? text(", for ", duration_text(static_cast<double>(so_far.count())))
                           : std::string(),
                       "; given up where it shows no sign of life for ",
                       duration_text(static_cast<double>(patience_for_others.count()))));
    };
    return RootLock(settings_.root, kind,
                    {patience_for_others, tell, [this] { return stop_.stop_requested(); }});
}

/// Where another process has staged the same since `before` was read, its word counts: so the nodes
/// that share a root ask the remote once and not each of them.
bool Stage::was_staged_since(const std::optional<StagingMarker>& before, StagedSet& set) const {
    const std::optional<StagingMarker> now = read_marker(settings_.root);
    if (!now || !now->is_whole || (before && before->id == now->id) ||
        now->remote != settings_.remote ||
        now->classes !=
            choose_classes(now->whole, settings_.classes, text("'", settings_.remote, "'"))) {
        return false;
    }
    set = {};
    set.classes = now->classes;
    set.files = now->files;
    set.bytes = now->bytes;
    set.digest = now->digest;
    return true;
}

/// Goes on showing signs of life while a call into the file system does not return.
class Pulse {
public:
    explicit Pulse(const std::string& root)
        : thread_([root](const std::stop_token& stop) {
              std::mutex mutex;
              std::unique_lock lock(mutex);
              std::condition_variable_any woken;
              const auto end = Clock::now() + longest_writing;
              while (!stop.stop_requested() && Clock::now() < end) {
                  touch_marker(root);
                  woken.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; });
              }
          }) {}

private:
    std::jthread thread_;
};

StagedSet Stage::run() {
    require_apart();
    own_root();
    const std::optional<StagingMarker> before = read_marker(settings_.root);
    StagedSet set;
    {
        const RootLock to_look = lock(RootLock::Kind::look);
        if (was_staged_since(before, set)) {
            return set;
        }
        progress_.step = StagingStep::asking;
        kept_open_ = {to_look.descriptor()};
        find_classes();
        const std::optional<StagingMarker> marker = read_marker(settings_.root);
        if (marker && is_up_to_date(*marker, set)) {
            return set;
        }
    }
    const RootLock to_stage = lock(RootLock::Kind::stage);
    if (was_staged_since(before, set)) {
        return set;
    }
    kept_open_ = {to_stage.descriptor()};
    if (before && before->remote != settings_.remote) {
        log::warning(text("'", settings_.root, "' held images of ", before->remote,
                          "; its classes become those of ", settings_.remote));
    }
    progress_.step = StagingStep::receiving;
    StagingMarker next{0, false, settings_.remote, classes_, whole_, 0, 0, 0};
    write_marker(settings_.root, next);
    set = transfer(settings_.root, /*only_look=*/false, /*may_delete=*/true);
    next = {0, true, settings_.remote, classes_, whole_, set.files, set.bytes, set.digest};
    progress_.step = StagingStep::writing;
    const Pulse pulse(settings_.root);
    write_marker(settings_.root, next);
    return set;
}

StagedSet Stage::look() {
    require_apart();
    find_classes();
    std::error_code failure;
    const bool is_there = fs::is_directory(settings_.root, failure);
    const fs::path nowhere = fs::temp_directory_path(failure) / "layerledger-no-such-folder";
    const std::optional<StagingMarker> marker = read_marker(settings_.root);
    StagedSet set;
    if (marker && is_up_to_date(*marker, set)) {
        return set;
    }
    set = transfer(is_there ? settings_.root : nowhere.native(), /*only_look=*/true,
                   marker.has_value());
    set.is_whole = false;
    return set;
}

}  // namespace

StagedSet stage(const StagingRequest& request, StagingProgress& progress,
                const std::stop_token& stop) {
    const auto begun = Clock::now();
    Stage work(request, progress, stop);
    StagedSet set;
    try {
        set = request.only_look ? work.look() : work.run();
    } catch (const fs::filesystem_error& error) {
        throw Error(ExitCode::cannot_create,
                    text("cannot stage into '", request.settings.root, "' (",
                         error.code().message(), ") choose a data.root that can be written"));
    }
    set.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    return set;
}

void require_whole(const std::string& root) {
    const std::optional<StagingMarker> marker = read_marker(root);
    LL_VALIDATE(
        !marker || marker->is_whole, ExitCode::bad_data,
        text("'", root, "' holds part of a set (staging from '", marker ? marker->remote : "",
             "' has begun and not ended) set data.remote to "
             "go on with it, or choose another data.root"));
}

}  // namespace layerledger
