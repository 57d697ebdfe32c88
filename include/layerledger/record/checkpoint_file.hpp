// Checkpoints as HDF5 files in a folder of their own, on rank 0. A name that looks like a
// checkpoint is a whole one, whenever the job or the machine stopped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "layerledger/record/run_description.hpp"

namespace layerledger {

/// What a checkpoint file holds.
struct Checkpoint {
    struct Tensor {
        std::string name;                ///< "conv1/conv/weight"
        std::vector<std::int64_t> dims;  ///< of values and of each state, row-major
        std::vector<float> values;
        std::vector<std::vector<float>> optimizer;  ///< one for each of `state_names`
    };
    std::string run_id;
    std::string date_created;         ///< ISO 8601, UTC
    std::int64_t iteration = 0;       ///< training iterations done
    std::int64_t next_batch = 0;      ///< of the training data, counted over all epochs
    std::int64_t skipped_images = 0;  ///< of all ranks, since the run began
    std::string config_text;          ///< resolved INI
    /// What further training has to share to be the same training: network, world_size, seed, ...
    std::vector<Fact> identity;
    std::vector<Fact> versions;
    std::vector<std::string> state_names;  ///< "velocity"
    std::vector<Tensor> parameters;
    std::vector<std::vector<float>> statistics;      ///< [rank][any]: of batch norms
    std::vector<std::vector<std::uint64_t>> random;  ///< [rank][any]: of dropout

    /// The text of a fact of `identity`; empty where there is none.
    [[nodiscard]] std::string identity_of(const std::string& name) const;
};

/// Writes the file as a whole or not at all: under another name first, on the disk before it gets
/// its own. Throws Error{data_lost}; an older file of this name is kept then.
void write_checkpoint(const std::string& path, const Checkpoint& checkpoint);

/// Throws Error: input_missing where there is no such file, bad_data where it is no checkpoint, cut
/// short or damaged.
[[nodiscard]] Checkpoint read_checkpoint(const std::string& path);

/// The checkpoints of one run: FOLDER/checkpoint-000000000040.h5 and so on, and a file `latest`
/// with the newest one's name.
class CheckpointFolder {
public:
    /// `keep` newest ones are kept.
    CheckpointFolder(std::string folder, std::int64_t keep);

    /// Makes the folder and proves that files can be made in it; takes away halves of files. Throws
    /// Error{cannot_create}.
    void prepare() const;

    /// Paths of all, newest first. Empty where there is no folder.
    [[nodiscard]] std::vector<std::string> files() const;

    struct Found {
        std::string path;
        Checkpoint checkpoint;
    };
    /// The newest whole one; warns of each newer one that is not.
    [[nodiscard]] std::optional<Found> newest_whole() const;

    /// Writes one, then removes those that are too many; returns its path. Throws Error{data_lost},
    /// and has removed nothing then.
    std::string save(const Checkpoint& checkpoint) const;

    /// Whether there are any of later iterations.
    [[nodiscard]] bool has_after(std::int64_t iteration) const;
    /// Removes those of later iterations: what comes now takes their place.
    void remove_after(std::int64_t iteration) const;

    /// Renames those of later iterations, which could not be read: another program or another day
    /// may read them. Throws Error{cannot_create} where one stays.
    void set_aside_after(std::int64_t iteration) const;

    /// Whether `path` lies in this folder.
    [[nodiscard]] bool holds(const std::string& path) const;
    [[nodiscard]] const std::string& path() const noexcept { return folder_; }

private:
    std::string folder_;
    std::int64_t keep_;
};

/// The checkpoint that a user names: a file, or the newest whole one in a folder that holds some,
/// of which FOLDER/latest is another name. Throws as `read_checkpoint` does.
[[nodiscard]] CheckpointFolder::Found find_checkpoint(const std::string& path);

}  // namespace layerledger
