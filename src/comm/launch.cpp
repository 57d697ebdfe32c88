#include "launch.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string_view>
#include <system_error>

#include "layerledger/base/text.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

/// "10.0.0.1" of Open MPI's "1621884928.0;tcp://10.0.0.1,10.1.0.1:57921".
std::string address_in(const std::string& uri) {
    constexpr std::string_view scheme = "tcp://";
    const std::size_t begin = uri.find(scheme);
    return begin == std::string::npos
               ? ""
               : uri.substr(begin + scheme.size(), uri.rfind(':') - begin - scheme.size());
}

std::string first_line(const fs::path& path) {
    std::string line;
    std::getline(std::ifstream(path) >> std::ws, line);
    return line;
}

/// The variables of a process' environment by name; of other users' there are none.
std::map<std::string, std::string> environment_of(const fs::path& process) {
    std::map<std::string, std::string> variables;
    std::ifstream file(process / "environ", std::ios::binary);
    for (std::string line; std::getline(file, line, '\0');) {
        const std::size_t equals = line.find('=');
        if (equals != std::string::npos) {
            variables.emplace(line.substr(0, equals), line.substr(equals + 1));
        }
    }
    return variables;
}

bool has_thread(const fs::path& process, const std::string& name) {
    std::error_code failure;
    for (fs::directory_iterator thread(process / "task", failure), end; !failure && thread != end;
         thread.increment(failure)) {
        if (first_line(thread->path() / "comm") == name) {
            return true;
        }
    }
    return false;
}

std::string described(const fs::path& process) {
    std::string state;
    std::ifstream lines(process / "status");
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("State:")) {
            const std::size_t letter = line.find_first_not_of(" \t", 6);
            const char is = letter == std::string::npos ? ' ' : line[letter];
            state = is == 'T' ? ", stopped" : is == 'D' ? ", waiting for a disk" : "";
        }
    }
    return text("process ", process.filename().string(), " '", first_line(process / "comm"), "'",
                state);
}

}  // namespace

int launched_rank() {
    for (const char* name : {"PMIX_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"}) {
        const std::string value = variable(name);
        int rank = -1;
        const auto [end, failure] =
            std::from_chars(value.data(), value.data() + value.size(), rank);
        if (failure == std::errc{}) {
            return rank;
        }
    }
    return -1;
}

bool is_first_of_node() {
    const std::string mpirun = variable("OMPI_COMM_WORLD_LOCAL_RANK");
    const std::string slurm = variable("SLURM_LOCALID");
    return (mpirun.empty() || mpirun == "0") && (slurm.empty() || slurm == "0");
}

std::string launcher_text() {
    const std::string head = address_in(variable("OMPI_MCA_orte_hnp_uri"));
    const std::string daemon = address_in(variable("OMPI_MCA_orte_local_daemon_uri"));
    if (!head.empty()) {
        return text("mpirun is at ", head,
                    daemon.empty() || daemon == head ? "" : text(", its daemon here at ", daemon));
    }
    const std::string submitter = variable("SLURM_LAUNCH_NODE_IPADDR");
    return submitter.empty() ? ""
                             : text("srun is at ", submitter, ", the nodes are ",
                                    variable("SLURM_STEP_NODELIST"));
}

std::string mpi_parameter_text(const std::string& name) {
    const std::string value = variable(("OMPI_MCA_" + name).c_str());
    return value.empty() ? text(name, " is not set") : text(name, " is '", value, "'");
}

std::vector<std::string> siblings_without_thread(const std::string& name) {
    const std::string job = variable("PMIX_NAMESPACE");
    if (job.empty()) {
        return {};
    }
    constexpr std::array shared{"PMIX_NAMESPACE", "PMIX_HOSTNAME", "SLURMD_NODENAME"};
    struct Sibling {
        bool is_at_it = false;
        std::string description;
    };
    std::map<int, Sibling> siblings;
    std::error_code failure;
    for (fs::directory_iterator process("/proc", failure), end; !failure && process != end;
         process.increment(failure)) {
        std::map<std::string, std::string> variables = environment_of(process->path());
        const bool is_sibling = std::ranges::all_of(
            shared, [&](const char* word) { return variables[word] == variable(word); });
        int rank = -1;
        const std::string& value = variables["PMIX_RANK"];
        std::from_chars(value.data(), value.data() + value.size(), rank);
        if (is_sibling && rank >= 0) {
            Sibling& sibling = siblings[rank];
            sibling.is_at_it = sibling.is_at_it || has_thread(process->path(), name);
            sibling.description = described(process->path());
        }
    }
    std::vector<std::string> missing;
    for (const auto& [rank, sibling] : siblings) {
        if (!sibling.is_at_it) {
            missing.push_back(text("rank ", rank, " (", sibling.description, ")"));
        }
    }
    return missing;
}

}  // namespace layerledger
