#include "provenance.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iomanip>
#include <random>
#include <sstream>
#include <string_view>

#include "build_facts.hpp"
#include "layerledger/backend/cuda.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/comm/mpi_session.hpp"
#include "layerledger/config/experiment.hpp"

namespace layerledger {
namespace {

constexpr std::array<std::string_view, 6> kept_prefixes{"SLURM_", "OMPI_MCA_", "OMP_",
                                                        "NCCL_",  "CUDA_",     "LAYERLEDGER_"};

constexpr std::array<std::string_view, 5> secret_words{"JWT", "TOKEN", "KEY", "SECRET", "PASS"};

bool is_secret(std::string_view name) {
    return std::any_of(secret_words.begin(), secret_words.end(), [&](std::string_view word) {
        return name.find(word) != std::string_view::npos;
    });
}

std::string kept_environment() {
    std::vector<std::string> kept;
    for (const std::string& line : process_environment()) {
        const bool known =
            std::any_of(kept_prefixes.begin(), kept_prefixes.end(),
                        [&](std::string_view prefix) { return line.starts_with(prefix); });
        // Open MPI hands its ranks addresses and keys of the job in such variables.
        const bool is_kept = known && !is_secret(std::string_view(line).substr(0, line.find('=')));
        if (is_kept && !line.starts_with("OMPI_MCA_orte_") && !line.starts_with("OMPI_MCA_pmix")) {
            kept.push_back(line);
        }
    }
    std::sort(kept.begin(), kept.end());
    std::string joined;
    for (const std::string& line : kept) {
        joined += line + "\n";
    }
    return joined;
}

std::string joined(const std::vector<std::string>& words) {
    std::string all;
    for (const std::string& word : words) {
        all += text(all.empty() ? "" : " ", word);
    }
    return all;
}

std::string executable_path() {
    std::error_code none;
    return std::filesystem::read_symlink("/proc/self/exe", none).string();
}

std::string user_name() {
    const char* user = std::getenv("USER");
    return user != nullptr ? user : text("uid ", getuid());
}

}  // namespace

std::vector<Fact> provenance(const std::string& command_line,
                             const std::vector<std::string>& hosts) {
    utsname system{};
    uname(&system);
    const char* cluster = std::getenv("SLURM_CLUSTER_NAME");
    std::vector<Fact> facts{
        {"user", user_name()},
        {"launchdate", utc_now()},
        {"executablepath", executable_path()},
        {"cmdline", command_line},
        {"clustername", cluster != nullptr ? cluster : ""},
        {"jobsize", text(hosts.size())},
        {"hostlist", joined(hosts)},
        {"kernel", text(system.sysname, " ", system.release, " ", system.machine)}};
    for (Fact& version : versions()) {
        facts.push_back(std::move(version));
    }
    facts.emplace_back("environment", kept_environment());
    return facts;
}

std::vector<Fact> versions() {
    return {{"layerledger", std::string(build_facts::version)},
            {"git", std::string(build_facts::git)},
            {"build_type", std::string(build_facts::build_type)},
            {"compiler", std::string(build_facts::compiler)},
            {"mpi", mpi_library_version()},
            {"onednn", std::string(build_facts::onednn)},
            {"hdf5", std::string(build_facts::hdf5)},
            {"boost", boost_version()},
            {"libjpeg_turbo", std::string(build_facts::libjpeg_turbo)}};
}

std::vector<Fact> gpu_library_versions() {
    std::vector<Fact> facts;
    for (auto [name, version] : cuda::library_versions()) {
        std::ranges::transform(name, name.begin(), [](unsigned char c) {
            return c == ' ' ? '_' : static_cast<char>(std::tolower(c));
        });
        facts.emplace_back(name, version);
    }
    return facts;
}

StartRecord describe_start(const std::string& command_line, const std::vector<std::string>& hosts) {
    StartRecord start;
    start.date = utc_now();
    start.ranks = static_cast<std::int64_t>(hosts.size());
    start.command_line = command_line;
    start.hosts = joined(hosts);
    for (const auto& [name, version] : versions()) {
        start.versions += text(name, "=", version, "\n");
    }
    return start;
}

std::string new_run_id() {
    std::random_device source;
    std::ostringstream id;
    id << std::hex << std::setfill('0');
    std::array<unsigned, 4> words{source(), source(), source(), source()};
    words[1] = (words[1] & 0xFFFF0FFFU) | 0x00004000U;  // version 4
    words[2] = (words[2] & 0x3FFFFFFFU) | 0x80000000U;  // variant 1
    id << std::setw(8) << words[0] << '-' << std::setw(4) << (words[1] >> 16U) << '-'
       << std::setw(4) << (words[1] & 0xFFFFU) << '-' << std::setw(4) << (words[2] >> 16U) << '-'
       << std::setw(4) << (words[2] & 0xFFFFU) << std::setw(8) << words[3];
    return id.str();
}

std::string utc_now() {
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    gmtime_r(&now, &utc);
    std::ostringstream out;
    out << std::put_time(&utc, "%Y-%m-%dT%H:%M:%SZ");
    return out.str();
}

}  // namespace layerledger
