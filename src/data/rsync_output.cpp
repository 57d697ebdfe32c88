#include "rsync_output.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "layerledger/base/counter_random.hpp"
#include "layerledger/base/fnv1a.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

// Before every line of --out-format: what it is, bytes, time and name; see rsyncd.conf(5).
constexpr std::string_view item_mark = "item ";

/// Takes the next word off the front of `line`.
std::string_view next_word(std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    return word;
}

/// The number that `word` begins with; -1 where it begins with none.
std::int64_t number(std::string_view word) {
    std::int64_t value = -1;
    std::from_chars(word.data(), word.data() + word.size(), value);
    return value;
}

std::uint64_t hash(std::string_view text) {
    Fnv1a digest;
    digest.add(text);
    return mixed_bits(digest.value());
}

bool contains(std::string_view line, std::string_view part) {
    return line.find(part) != std::string_view::npos;
}

bool is_last_word(std::string_view line) {
    return line.starts_with("rsync error:") || line.starts_with("rsync warning:");
}

/// The line that says most: what the disk or the other side refused, not what followed from it.
std::string cause_of(const Failure& failure) {
    std::string cause;
    std::string last;
    for (const std::string& line : failure.errors) {
        if (contains(line, "No space left") || contains(line, "Disk quota exceeded")) {
            return line;
        }
        const bool follows =
            is_last_word(line) || contains(line, "connection unexpectedly closed") ||
            contains(line, "Broken pipe") || contains(line, "read error: Connection reset");
        (follows ? last : cause) = line;
    }
    if (cause.empty()) {
        cause = last;
    }
    return cause.empty() ? text("exit code ", failure.exit_code) : cause;
}

/// What a failure looks like, and what it means.
struct Diagnosis {
    std::string_view sign;  ///< part of the line that says most
    ExitCode code;
    std::string_view what;
    std::string_view advice;
};

constexpr std::array<Diagnosis, 24> diagnoses{{
    {"No space left", ExitCode::cannot_create, "the disk of data.root is full",
     "make room, choose fewer data.classes, or another data.root"},
    {"Disk quota exceeded", ExitCode::cannot_create, "the quota at data.root is used up",
     "make room, choose fewer data.classes, or another data.root"},
    {"Read-only file system", ExitCode::cannot_create, "data.root cannot be written",
     "choose another data.root"},
    {"mkstemp", ExitCode::cannot_create, "data.root cannot be written",
     "give yourself the right, or choose another data.root"},
    {"mkdir", ExitCode::cannot_create, "data.root cannot be written",
     "give yourself the right, or choose another data.root"},
    {"rename failed", ExitCode::cannot_create, "data.root cannot be written",
     "give yourself the right, or choose another data.root"},
    {"write failed on", ExitCode::cannot_create, "data.root cannot be written",
     "look at its disk, or choose another data.root"},
    {"Host key verification failed", ExitCode::input_missing, "the remote host's key is not known",
     "log in once by ssh from every node, or add the key to known_hosts"},
    {"Permission denied (13)", ExitCode::input_missing, "the remote does not let its files be read",
     "give the account the right to read them"},
    {"Permission denied (", ExitCode::input_missing, "the remote host refuses the login",
     "set up a key that works without a password (data.ssh_options = -i FILE)"},
    {"Too many authentication failures", ExitCode::input_missing,
     "the remote host refuses the login", "name one key by data.ssh_options = -i FILE"},
    {"auth failed", ExitCode::input_missing, "the rsync daemon refuses the login",
     "set RSYNC_PASSWORD, or ask for access to the module"},
    {"Unknown module", ExitCode::input_missing, "the rsync daemon has no such module",
     "look at data.remote; 'rsync rsync://HOST' lists the modules"},
    {"No such file or directory", ExitCode::input_missing, "the remote has no such folder",
     "look at data.remote: it names the folder that holds train/"},
    {"chroot failed", ExitCode::input_missing, "the rsync daemon has no such folder",
     "look at data.remote"},
    {"symlink has no referent", ExitCode::input_missing, "the remote has a link to nowhere",
     "mend or remove the link"},
    {"command not found", ExitCode::input_missing, "the remote host has no rsync",
     "install rsync there"},
    {"Could not resolve hostname", ExitCode::input_missing, "the remote host is not known",
     "look at data.remote"},
    {"getaddrinfo", ExitCode::input_missing, "the remote host is not known", "look at data.remote"},
    {"Connection refused", ExitCode::input_missing, "the remote host takes no connection",
     "look at data.remote, its port, and whether the server runs"},
    {"timed out", ExitCode::input_missing, "the remote host cannot be reached",
     "look at data.remote and the network"},
    {"No route to host", ExitCode::input_missing, "the remote host cannot be reached",
     "look at data.remote and the network"},
    {"Network is unreachable", ExitCode::input_missing, "the remote host cannot be reached",
     "look at data.remote and the network"},
    {"failed to connect", ExitCode::input_missing, "the remote host cannot be reached",
     "look at data.remote and the network"},
}};

constexpr int timeout_in_transfer = 30;  // see rsync(1), EXIT VALUES
constexpr int timeout_in_connecting = 35;
constexpr int files_vanished = 24;

Diagnosis diagnose(const Failure& failure, const std::string& cause) {
    if (failure.exit_code == timeout_in_transfer || failure.exit_code == timeout_in_connecting) {
        return {
            "", ExitCode::input_missing, "the remote has fallen silent",
            "start again to go on where it stopped; data.remote_timeout_seconds is the patience"};
    }
    if (failure.exit_code == files_vanished) {
        return {"", ExitCode::input_missing, "the remote changed meanwhile",
                "start again when nobody writes there"};
    }
    const auto* const found =
        std::find_if(diagnoses.begin(), diagnoses.end(),
                     [&](const Diagnosis& one) { return contains(cause, one.sign); });
    if (found != diagnoses.end()) {
        return *found;
    }
    return {"", ExitCode::input_missing, "the transfer failed",
            "mend that and start again: it goes on where it stopped"};
}

}  // namespace

std::vector<std::string> output_options() {
    // Twice -i lists unchanged files as well.
    return {"-ii", text("--out-format=", item_mark, "%i %l %M %n"), "--info=progress2",
            "--no-human-readable", "--8-bit-output"};
}

void TransferOutput::read(std::string_view line) {
    if (line.starts_with(item_mark)) {
        read_item(line.substr(item_mark.size()));
        return;
    }
    // "  32768  33%  1.20MB/s  0:00:05 (xfr#1, to-chk=5/12)"
    std::string_view rest = line;
    const std::int64_t done = number(next_word(rest));
    const std::string_view share = next_word(rest);
    if (done >= 0 && share.ends_with('%')) {
        arrived_bytes = done;
        percent = std::max<std::int64_t>(0, number(share));
    }
}

// "%i": YXcstpoguax, Y the kind of update ('.' none), X the kind of file; or "*deleting".
void TransferOutput::read_item(std::string_view item) {
    const std::string_view fact = item;
    const std::string_view what = next_word(item);
    if (what.starts_with('*')) {
        deleted += what == "*deleting" ? 1 : 0;
        return;
    }
    if (what.size() < 2 || what[1] != 'f') {
        return;
    }
    const std::string_view size_time_name =
        fact.substr(std::min(fact.find_first_not_of(' ', what.size()), fact.size()));
    const std::int64_t size = number(next_word(item));
    ++files;
    bytes += size;
    digest += hash(size_time_name);
    if (what[0] != '.') {
        ++transferred_files;
        transferred_bytes += size;
    }
}

// "drwxr-xr-x          4,096 2026/11/25 06:51:04 name with spaces"
std::vector<std::string> listed_folders(const std::vector<std::string>& lines) {
    std::vector<std::string> names;
    for (const std::string& line : lines) {
        if (!line.starts_with('d')) {
            continue;
        }
        std::string_view rest = line;
        for (int column = 0; column < 4; ++column) {
            next_word(rest);
        }
        if (rest.size() > 1 && rest[1] != '.') {
            names.emplace_back(rest.substr(1));
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

bool means_missing(const Failure& failure) {
    return contains(cause_of(failure), "No such file or directory");
}

Error explain(const Failure& failure, const Remote& remote, const std::string& root) {
    const std::string cause = cause_of(failure);
    const Diagnosis diagnosis = diagnose(failure, cause);
    return {diagnosis.code, text("cannot stage ", remote.base, " into '", root,
                                 "': ", diagnosis.what, " (", cause, ") ", diagnosis.advice)};
}

}  // namespace layerledger
