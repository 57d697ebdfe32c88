#include "remote.hpp"

#include <algorithm>
#include <span>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "list_names.hpp"

namespace layerledger {
namespace {

constexpr std::string_view forms =
    "give user@host:/path, rsync://host/module/path or a folder of this machine";

Error refusal(const std::string& remote, std::string_view why) {
    return {ExitCode::configuration,
            text("data.remote = '", remote, "' names no place (", why, ") ", forms)};
}

std::string without_slashes_at_end(std::string path) {
    path.erase(path.find_last_not_of('/') + 1);
    return path;
}

// The host's end in "[::1]:/path" and "user@host:/path"; npos where there is no host.
std::size_t end_of_host(const std::string& remote) {
    const std::size_t slash = remote.find('/');
    const std::size_t bracket = remote.find('[');
    std::size_t from = 0;
    if (bracket != std::string::npos && (bracket == 0 || remote[bracket - 1] == '@')) {
        from = std::min(remote.find(']'), remote.size());
    }
    const std::size_t colon = remote.find(':', from);
    return colon != std::string::npos && colon < slash ? colon : std::string::npos;
}

Remote parse_url(const std::string& remote) {
    constexpr std::string_view scheme = "rsync://";
    if (!remote.starts_with(scheme)) {
        throw refusal(remote, "of URLs rsync:// alone is known");
    }
    const std::string rest = without_slashes_at_end(remote.substr(scheme.size()));
    const std::size_t slash = rest.find('/');
    if (slash == std::string::npos || slash == 0) {
        throw refusal(remote, "the URL names no host or no module");
    }
    return {Remote::Kind::daemon, rest.substr(0, slash), std::string(scheme) + rest};
}

// rsync compares a rule with wildcards by pattern, where a backslash guards the next character, and
// one without letter by letter.
std::string escaped(const std::string& name, bool is_pattern) {
    constexpr std::string_view wildcards = "*?[";
    if (!is_pattern && name.find_first_of(wildcards) == std::string::npos) {
        return name;
    }
    std::string out;
    for (const char c : name) {
        if (wildcards.find(c) != std::string_view::npos || c == '\\') {
            out += '\\';
        }
        out += c;
    }
    return out;
}

}  // namespace

std::string Remote::source(std::string_view folder) const {
    return text(base, "/", folder, folder.empty() || folder.ends_with('/') ? "" : "/");
}

Remote parse_remote(const std::string& remote) {
    if (remote.empty() || remote.front() == '-') {
        throw refusal(remote, remote.empty() ? "it is empty" : "it looks like an option");
    }
    if (remote.find_first_of("\n\r") != std::string::npos) {
        throw refusal(remote, "it has several lines");
    }
    const std::size_t scheme = remote.find("://");
    if (scheme != std::string::npos && scheme < remote.find('/')) {
        return parse_url(remote);
    }
    const std::size_t colon = end_of_host(remote);
    if (colon == std::string::npos) {
        return {Remote::Kind::local, "", without_slashes_at_end(remote)};
    }
    const std::string host = remote.substr(0, colon);
    const std::string name = host.substr(host.find('@') + 1);  // npos + 1 is 0
    if (name.empty() || name.front() == '-') {
        throw refusal(remote, "it names no host");
    }
    const bool is_daemon = remote.compare(colon, 2, "::") == 0;
    if (remote.size() == colon + (is_daemon ? 2 : 1)) {
        throw refusal(remote, is_daemon ? "it names no module" : "it names no path");
    }
    return {is_daemon ? Remote::Kind::daemon : Remote::Kind::ssh, host,
            without_slashes_at_end(remote)};
}

std::string filter_rules(const std::string& prefix, const std::vector<std::string>& classes) {
    // What else lies at the top of the root is its owner's: only the lists by the names that
    // training knows go where the remote has them no more.
    std::string rules;
    for (const std::span<const char* const> lists :
         {std::span<const char* const>(label_lists), std::span<const char* const>(name_lists)}) {
        for (const char* list : lists) {
            rules += text("R /", list, "\n");
        }
    }
    rules += "P /*.txt\nP /*.csv\n";
    const auto take = [&rules](const auto&... parts) { rules += text("+ /", parts..., "\n"); };
    for (std::size_t slash = prefix.find('/'); slash != std::string::npos;
         slash = prefix.find('/', slash + 1)) {
        take(prefix.substr(0, slash + 1));
    }
    for (const char* part : {"train/", "val/"}) {
        take(prefix, part);
        for (const std::string& name : classes) {
            take(prefix, part, escaped(name, /*is_pattern=*/false), "/");
            take(prefix, part, escaped(name, /*is_pattern=*/true), "/*");
        }
    }
    rules += text("- /", prefix, "val/*/\n");
    take(prefix, "val/*");
    take("*.txt");
    take("*.csv");
    return rules + "- *\n";
}

}  // namespace layerledger
