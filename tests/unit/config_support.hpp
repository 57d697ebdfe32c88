// What the tests of settings share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "layerledger/base/error.hpp"
#include "layerledger/config/experiment.hpp"

namespace layerledger::test {

/// A file of this test alone, gone with it.
class ConfigFile {
public:
    explicit ConfigFile(const std::string& content, const std::string& name = "x.cfg")
        : path_(testing::TempDir() + test_name() + "_" + name) {
        std::ofstream(path_) << content;
    }
    ~ConfigFile() { std::filesystem::remove(path_); }
    ConfigFile(const ConfigFile&) = delete;
    ConfigFile& operator=(const ConfigFile&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }

private:
    // A parametrized test has a slash in its name.
    static std::string test_name() {
        std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
        std::replace(name.begin(), name.end(), '/', '_');
        return name;
    }

    std::string path_;
};

inline Experiment experiment(const std::vector<std::string>& arguments,
                             const std::vector<std::string>& environment = {}) {
    Experiment given = parse_command_line(arguments, environment).experiment;
    require_consistent(given);
    return given;
}

/// "78: message" of the Error that `action` throws, or "no error".
template <class Action>
std::string complaint(const Action& action) {
    try {
        action();
    } catch (const Error& error) {
        return std::to_string(static_cast<int>(error.code())) + ": " + error.what();
    }
    return "no error";
}

/// The same for a command line in an environment.
inline std::string complaint_about(const std::vector<std::string>& arguments,
                                   const std::vector<std::string>& environment = {}) {
    return complaint([&] { static_cast<void>(experiment(arguments, environment)); });
}

}  // namespace layerledger::test
