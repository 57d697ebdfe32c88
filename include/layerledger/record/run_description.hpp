// What a run file says about a run beside its times.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "layerledger/config/experiment.hpp"
#include "layerledger/timeline/ledger.hpp"

namespace layerledger {

struct LayerDescription {
    std::string name;
    std::string kind;
    std::int64_t parameters = 0;
    std::array<double, 3> flops{};  ///< per phase, for one per-rank batch
    std::array<double, 3> bytes{};
    std::string algorithm;  ///< of its operations, joined by "; "
    std::int64_t workspace_bytes = 0;
    std::int64_t activation_bytes = 0;
    std::int64_t parameter_bytes = 0;
    std::int64_t gradient_bytes = 0;  ///< of its parameters and its inputs
    std::int64_t optimizer_bytes = 0;
};

struct OpDescription {
    std::string name;
    std::string kind;
    std::int32_t layer = 0;
};

struct BucketDescription {
    std::int64_t bytes = 0;
    std::string layers;  ///< "fc2 fc1": whose gradients, in order of arrival
};

struct RankDescription {
    std::string host;
    std::int32_t local_rank = 0;
    std::string device_name;
    std::string device_uuid;
    std::int32_t threads = 1;
    std::int64_t clock_offset_ns = 0;  ///< this rank's clock minus rank 0's
    std::int64_t clock_bound_ns = 0;
    std::int64_t estimated_bytes = 0;  ///< memory that the rank should need
};

/// The group /labels: what the numbers of classes mean, and which images there were.
struct LabelDescription {
    std::vector<std::string> classes;  ///< in order of their numbers
    std::vector<std::string> names;    ///< for people, one a class, or empty
    std::int64_t train_images = 0;
    std::int64_t val_images = 0;
    std::string train_list;  ///< file beside the run file: path and label of each image
    std::string val_list;    ///< empty where there is no validation
};

/// How the images came onto the nodes, before training.
struct StagingRecord {
    double seconds = 0;          ///< on the node that took longest
    std::int64_t files = 0;      ///< transferred to the node that got most
    std::int64_t bytes = 0;      ///< the same in bytes
    std::int64_t set_files = 0;  ///< in the set on each node
    std::int64_t set_bytes = 0;
    std::int64_t nodes = 0;
    std::int64_t skipped_nodes = 0;  ///< nodes that were up to date
};

/// A start of a run: the first makes the run file, each later one goes on in it.
struct StartRecord {
    std::int64_t iteration = 0;  ///< training iterations before it
    std::string date;            ///< ISO 8601, UTC
    std::int64_t ranks = 0;
    std::string command_line;
    std::string hosts;       ///< each rank's, separated by blanks
    std::string versions;    ///< NAME=value lines of the program and its libraries
    std::string checkpoint;  ///< that it went on from; empty where training began
};

/// A name and a text, as in /provenance.
using Fact = std::pair<std::string, std::string>;

struct RunDescription {
    std::string title;
    std::string run_id;        ///< UUID
    std::string date_created;  ///< ISO 8601, UTC
    StartRecord start;         ///< the one that goes on now
    Level level = Level::layer;
    std::int64_t warmup_iterations = 0;
    std::int64_t batch_size = 0;  ///< images per rank
    std::string config_text;      ///< resolved INI
    std::vector<SettingText> settings;
    std::vector<Fact> provenance;
    std::vector<Fact> network;  ///< name, classes, image shape, parameters, precision, ...
    std::vector<LayerDescription> layers;
    std::vector<OpDescription> ops;
    std::vector<BucketDescription> buckets;
    std::vector<RankDescription> ranks;
    LabelDescription labels;               ///< without classes where images are synthetic
    std::optional<StagingRecord> staging;  ///< nothing where data.remote is not set

    [[nodiscard]] Extents extents() const noexcept {
        return {layers.size(), level == Level::op ? ops.size() : 0, buckets.size()};
    }
};

}  // namespace layerledger
