// Engines that earlier runs found, in a file that several jobs read and write.
#pragma once

#include <istream>
#include <map>
#include <ostream>
#include <string>

namespace layerledger::cuda {

/// Engines by problem, a line each: the problem, a tab and the engine. A problem names the GPU's
/// model and cuDNN's version too, so that nobody takes what was found with another one.
class RememberedEngines {
public:
    [[nodiscard]] const std::string* find(const std::string& problem) const;
    void set(const std::string& problem, const std::string& engine) { known_[problem] = engine; }
    void clear() { known_.clear(); }

    void read(std::istream& lines);
    void write(std::ostream& lines) const;

    /// Where there is no such file nothing is known.
    void load(const std::string& path);
    /// What other jobs have put there meanwhile stays. The file is whole at any time; of two jobs
    /// that save in the same moment one may be lost, and looks again. Throws Error.
    void save(const std::string& path) const;

private:
    std::map<std::string, std::string> known_;
};

}  // namespace layerledger::cuda
