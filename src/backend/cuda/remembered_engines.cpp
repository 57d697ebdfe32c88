#include "remembered_engines.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "layerledger/base/output_file.hpp"
#include "layerledger/base/text.hpp"

namespace layerledger::cuda {
const std::string* RememberedEngines::find(const std::string& problem) const {
    const auto known = known_.find(problem);
    return known == known_.end() ? nullptr : &known->second;
}

void RememberedEngines::read(std::istream& lines) {
    for (std::string line; std::getline(lines, line);) {
        if (const std::size_t tab = line.find('\t'); tab != std::string::npos) {
            known_[line.substr(0, tab)] = line.substr(tab + 1);
        }
    }
}

void RememberedEngines::write(std::ostream& lines) const {
    for (const auto& [problem, engine] : known_) {
        lines << problem << '\t' << engine << '\n';
    }
}

void RememberedEngines::load(const std::string& path) {
    std::ifstream file(path);
    read(file);
}

void RememberedEngines::save(const std::string& path) const {
    make_folder(std::filesystem::path(path).parent_path().string());
    RememberedEngines all;
    all.load(path);
    for (const auto& [problem, engine] : known_) {
        all.set(problem, engine);
    }
    std::ostringstream lines;
    all.write(lines);
    OutputFile file(path, Writers::several);
    file.write(lines.str());
    file.commit();
}

}  // namespace layerledger::cuda
