// Folders named by the environment.
#include <cctype>
#include <cstdlib>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/data/staging.hpp"

namespace layerledger {

std::string expand_environment(const std::string& path, const std::string& what) {
    const auto is_name = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
    };
    std::string out;
    for (std::size_t at = 0; at < path.size(); ++at) {
        const bool has_brace = path.compare(at, 2, "${") == 0;
        const std::size_t begin = at + (has_brace ? 2 : 1);
        std::size_t end = begin;
        while (end < path.size() && is_name(path[end])) {
            ++end;
        }
        if (path[at] != '$' || end == begin || (has_brace && path.compare(end, 1, "}") != 0)) {
            out += path[at];
            continue;
        }
        const std::string name = path.substr(begin, end - begin);
        const char* const value = std::getenv(name.c_str());
        LL_VALIDATE(value != nullptr && *value != '\0', ExitCode::configuration,
                    text(what, " = '", path, "' names the environment variable ", name,
                         " (it is not set on every node) set it, or name the folder itself"));
        out += value;
        at = end - (has_brace ? 0 : 1);
    }
    return out;
}

}  // namespace layerledger
