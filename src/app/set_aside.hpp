// An earlier run that is not gone on with keeps what it recorded, under another name.
#pragma once

#include <string>
#include <vector>

namespace layerledger {

/// Why a run is not gone on with, as its files' names say it.
enum class SetAside : unsigned char {
    unfinished,  ///< it ended without a checkpoint, or is to be repeated
    before,      ///< another training goes on from what it had learnt
    older,       ///< of another version of the schema: its checkpoints stay, to be gone on from
};

/// What is there of NAME.h5, its tables, lists and checkpoints becomes NAME.unfinished-1.h5 (or -2,
/// ...) and so on; returns the new NAME with its folder. Says so. Throws Error{cannot_create}.
std::string set_aside(const std::string& run_file, SetAside why);

/// The checkpoint folders of trainings that the run in this place went on from, newest first.
[[nodiscard]] std::vector<std::string> checkpoint_folders_before(const std::string& run_file);

}  // namespace layerledger
