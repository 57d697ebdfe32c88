// One checkpoint as an HDF5 file.
#include "layerledger/record/checkpoint_file.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <system_error>

#include "disk.hpp"
#include "facts.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/part_file.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/hdf5/file.hpp"
#include "seal.hpp"

namespace layerledger {
namespace {

constexpr std::string_view conventions = "layerledger-checkpoint-1";

/// Room for HDF5's own bookkeeping per dataset, and for texts.
constexpr std::uint64_t bytes_per_dataset = 1024;
constexpr std::uint64_t bytes_of_texts = std::uint64_t{256} << 10;

std::uint64_t bytes_of(const Checkpoint& checkpoint) {
    std::uint64_t bytes = bytes_of_texts + checkpoint.config_text.size();
    for (const Checkpoint::Tensor& tensor : checkpoint.parameters) {
        bytes += (1 + tensor.optimizer.size()) *
                 (tensor.values.size() * sizeof(float) + bytes_per_dataset);
    }
    for (const std::vector<float>& rank : checkpoint.statistics) {
        bytes += rank.size() * sizeof(float);
    }
    for (const std::vector<std::uint64_t>& rank : checkpoint.random) {
        bytes += rank.size() * sizeof(std::uint64_t);
    }
    return bytes;
}

std::string parameter_path(const std::string& name) {
    return text("/parameters/", name);
}

std::string state_path(const std::string& state, const std::string& name) {
    return text("/optimizer/", state, "/", name);
}

/// Makes the groups that a dataset of this path lies in.
void create_groups(hdf5::File& file, const std::string& path) {
    for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        if (const std::string group = path.substr(0, slash); !file.contains(group)) {
            file.create_group(group);
        }
    }
}

void write_tensor(hdf5::File& file, const std::string& path, const std::vector<std::int64_t>& dims,
                  const std::vector<float>& values) {
    create_groups(file, path);
    file.create_dataset(path, hdf5::Element::float32, hdf5::Extent(dims.begin(), dims.end()));
    file.write<float>(path, values);
}

void write_list(hdf5::File& file, const std::string& path, const std::vector<std::string>& names) {
    if (!names.empty()) {
        file.create_dataset(path, hdf5::Element::text, {names.size()});
        file.write<std::string>(path, names);
    }
}

std::vector<std::string> read_list(const hdf5::File& file, const std::string& path) {
    return file.contains(path) ? file.read<std::string>(path) : std::vector<std::string>();
}

/// [rank, any]; nothing where the ranks have nothing. `File` stores T as Stored.
template <class Stored, class T>
void write_ranks(hdf5::File& file, const std::string& path,
                 const std::vector<std::vector<T>>& ranks) {
    if (ranks.empty() || ranks.front().empty()) {
        return;
    }
    create_groups(file, path);
    file.create_dataset(path, hdf5::element_of<Stored>(), {ranks.size(), ranks.front().size()});
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        std::vector<Stored> values(ranks[rank].size());
        std::ranges::transform(ranks[rank], values.begin(),
                               [](T value) { return std::bit_cast<Stored>(value); });
        file.write<Stored>(path, values, hdf5::Slab{{rank, 0}, {1, values.size()}});
    }
}

template <class Stored, class T>
std::vector<std::vector<T>> read_ranks(const hdf5::File& file, const std::string& path,
                                       std::size_t ranks) {
    std::vector<std::vector<T>> all(ranks);
    if (!file.contains("/ranks") || !file.contains(path)) {
        return all;
    }
    const hdf5::Extent extent = file.extent(path);
    all.resize(extent.at(0));
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
        const auto values = file.read<Stored>(path, hdf5::Slab{{rank, 0}, {1, extent.at(1)}});
        all[rank].resize(values.size());
        std::ranges::transform(values, all[rank].begin(),
                               [](Stored value) { return std::bit_cast<T>(value); });
    }
    return all;
}

void write_all(hdf5::File& file, const Checkpoint& checkpoint) {
    file.set_attribute("/", "Conventions", conventions);
    file.set_attribute("/", "creator", "layerledger " LAYERLEDGER_VERSION);
    file.set_attribute("/", "run_id", checkpoint.run_id);
    file.set_attribute("/", "date_created", checkpoint.date_created);
    file.set_attribute("/", "iteration", checkpoint.iteration);
    file.set_attribute("/", "next_batch", checkpoint.next_batch);
    file.set_attribute("/", "skipped_images", checkpoint.skipped_images);
    file.set_attribute("/", "ranks", static_cast<std::int64_t>(checkpoint.statistics.size()));
    for (const char* group : {"config", "identity", "versions"}) {
        file.create_group(group);
    }
    write_fact(file, "config", "text", checkpoint.config_text);
    for (const auto& [name, value] : checkpoint.identity) {
        write_fact(file, "identity", name, value);
    }
    for (const auto& [name, value] : checkpoint.versions) {
        write_fact(file, "versions", name, value);
    }
    std::vector<std::string> names;
    for (const Checkpoint::Tensor& tensor : checkpoint.parameters) {
        names.push_back(tensor.name);
        write_tensor(file, parameter_path(tensor.name), tensor.dims, tensor.values);
        for (std::size_t k = 0; k < checkpoint.state_names.size(); ++k) {
            write_tensor(file, state_path(checkpoint.state_names[k], tensor.name), tensor.dims,
                         tensor.optimizer.at(k));
        }
    }
    write_list(file, "parameter_names", names);
    write_list(file, "optimizer_state_names", checkpoint.state_names);
    write_ranks<float>(file, "/ranks/statistics", checkpoint.statistics);
    write_ranks<std::int64_t>(file, "/ranks/random", checkpoint.random);
}

/// Of a file that has no seal.
std::string what_it_is(const std::string& path) {
    std::error_code failure;
    if (std::filesystem::file_size(path, failure) == 0 && !failure) {
        return "it is empty";
    }
    if (!hdf5::File::is_hdf5(path)) {
        return "it is not HDF5";
    }
    try {
        const auto file = hdf5::File::open(path, hdf5::Access::read, hdf5::Locking::unlocked);
        return file.text_attribute("/", "schema_version") ? "it is a run file"
                                                          : "it is another kind of file";
    } catch (const Error& error) {
        return error.reason();
    }
}

std::vector<Fact> read_group(const hdf5::File& file, const std::string& group) {
    std::vector<Fact> facts;
    for (const std::string& name : file.datasets(group)) {
        facts.emplace_back(name, read_fact(file, group, name));
    }
    return facts;
}

Checkpoint read_all(const hdf5::File& file) {
    const auto number = [&](const char* name) {
        const auto value = file.integer_attribute("/", name);
        LL_VALIDATE(value.has_value(), ExitCode::bad_data, text("it has no ", name));
        return *value;
    };
    LL_VALIDATE(file.text_attribute("/", "Conventions") == conventions, ExitCode::bad_data,
                "it is another kind of file");
    Checkpoint checkpoint;
    checkpoint.run_id = file.text_attribute("/", "run_id").value_or("");
    checkpoint.date_created = file.text_attribute("/", "date_created").value_or("");
    checkpoint.iteration = number("iteration");
    checkpoint.next_batch = number("next_batch");
    checkpoint.skipped_images = number("skipped_images");
    checkpoint.config_text = read_fact(file, "config", "text");
    checkpoint.identity = read_group(file, "identity");
    checkpoint.versions = read_group(file, "versions");
    checkpoint.state_names = read_list(file, "optimizer_state_names");
    for (const std::string& name : read_list(file, "parameter_names")) {
        Checkpoint::Tensor tensor;
        tensor.name = name;
        const hdf5::Extent extent = file.extent(parameter_path(name));
        tensor.dims.assign(extent.begin(), extent.end());
        tensor.values = file.read<float>(parameter_path(name));
        for (const std::string& state : checkpoint.state_names) {
            tensor.optimizer.push_back(file.read<float>(state_path(state, name)));
        }
        checkpoint.parameters.push_back(std::move(tensor));
    }
    const auto ranks = static_cast<std::size_t>(number("ranks"));
    checkpoint.statistics = read_ranks<float, float>(file, "/ranks/statistics", ranks);
    checkpoint.random = read_ranks<std::int64_t, std::uint64_t>(file, "/ranks/random", ranks);
    return checkpoint;
}

}  // namespace

std::string Checkpoint::identity_of(const std::string& name) const {
    const auto found = std::ranges::find(identity, name, &Fact::first);
    return found == identity.end() ? std::string() : found->second;
}

void write_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
    try {
        PartFile part(path);
        hdf5::File file = hdf5::File::create(part.path(), seal_bytes);
        // A full disk shows before HDF5 has anything that it cannot get rid of.
        const std::string no_room = disk::reserve(part.path(), bytes_of(checkpoint));
        LL_VALIDATE(no_room.empty(), ExitCode::data_lost, no_room);
        write_all(file, checkpoint);
        file.close();
        // Cuts off the room that was not needed.
        hdf5::File::open(part.path(), hdf5::Access::write, hdf5::Locking::locked).close();
        seal(part.path());
        part.publish();
    } catch (const std::exception& error) {
        throw Error(ExitCode::data_lost,
                    text("cannot write the checkpoint '", path, "' (", error.what(), ")"));
    }
}

Checkpoint read_checkpoint(const std::string& path) {
    std::error_code failure;
    LL_VALIDATE(std::filesystem::exists(path, failure), ExitCode::input_missing,
                text("there is no checkpoint '", path, "'"));
    LL_VALIDATE(is_sealed(path), ExitCode::bad_data,
                text("'", path, "' is no checkpoint (", what_it_is(path),
                     ") use a file that training with train.checkpoint_every has written, in "
                     "NAME.checkpoints beside its NAME.h5"));
    try {
        const std::string broken = broken_seal(path);
        LL_VALIDATE(broken.empty(), ExitCode::bad_data, broken);
        return read_all(hdf5::File::open(path, hdf5::Access::read, hdf5::Locking::unlocked));
    } catch (const Error& error) {
        throw Error(ExitCode::bad_data, text("'", path, "' is no whole checkpoint (",
                                             error.reason(), ") copy it again or use another one"));
    }
}

}  // namespace layerledger
