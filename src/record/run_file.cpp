#include "run_file.hpp"

#include "event_table.hpp"
#include "facts.hpp"
#include "iteration_arrays.hpp"
#include "layerledger/base/part_file.hpp"
#include "layerledger/base/text.hpp"
#include "schema.hpp"

namespace layerledger {
namespace {

void write_attributes(hdf5::File& file, const RunDescription& description, const Past& past) {
    std::string history;
    for (const StartRecord& start : past.starts) {
        history += text(history.empty() ? "" : "\n", history_line(start));
    }

    file.set_attribute("/", "Conventions", schema::conventions);
    file.set_attribute("/", "schema_version", schema::version);
    file.set_attribute("/", "title", description.title);
    file.set_attribute("/", "creator", "layerledger " LAYERLEDGER_VERSION);
    file.set_attribute("/", "run_id", description.run_id);
    file.set_attribute("/", "date_created", description.date_created);
    file.set_attribute("/", "history", history);
    file.set_attribute("/", "status", schema::name(RunStatus::running));
    file.set_attribute("/", "level", schema::name(description.level));
    file.set_attribute("/", "warmup_iterations", description.warmup_iterations);
    file.set_attribute("/", "per_rank_batch", description.batch_size);
    file.set_attribute("/", "committed_iterations", std::int64_t{0});
    file.set_attribute("/", "dropped_iterations", std::int64_t{0});
    file.set_attribute("/", "missing_iterations", past.missing);
    file.set_attribute("/", "lost_checkpoints", std::int64_t{0});
    file.set_attribute("/", "dropped_spans", std::int64_t{0});
    file.set_attribute("/", "skipped_images", std::int64_t{0});
}

void write_description(hdf5::File& file, const RunDescription& description) {
    const schema::DimExtents extents = schema::extents_of(description);
    for (const schema::DescriptionVariable& variable : schema::description_variables()) {
        if (!variable.exists(extents)) {
            continue;
        }
        schema::create(file, variable, variable.extent(extents));
        std::visit(
            [&]<class T>(const std::vector<T>& values) {
                file.write<T>(std::string(variable.name), values);
            },
            variable.values(description));
    }
}

void write_groups(hdf5::File& file, const RunDescription& description, const Past& past) {
    for (const std::string_view group : schema::fact_groups) {
        file.create_group(std::string(group));
    }
    for (const auto& [name, value] : description.provenance) {
        write_fact(file, "provenance", name, value);
    }
    for (const auto& [name, value] : description.network) {
        write_fact(file, "network", name, value);
    }
    create_event_tables(file);
    write_events(file, past.starts, 0);
    if (description.staging) {
        write_facts(file, *description.staging);
    }
    write_fact(file, "config", "text", description.config_text);
    for (const SettingText& setting : description.settings) {
        write_fact(file, "config", setting.key, setting.value);
        file.set_attribute("/config/" + setting.key, "origin", setting.origin);
    }
}

/// A group of its own, with its own dimension: readers open the root group without it.
void write_labels(hdf5::File& file, const LabelDescription& labels) {
    if (labels.classes.empty()) {
        return;
    }
    file.create_group("labels");
    file.set_attribute("labels", "train_images", labels.train_images);
    file.set_attribute("labels", "val_images", labels.val_images);
    file.set_attribute("labels", "train_list", labels.train_list);
    file.set_attribute("labels", "val_list", labels.val_list);
    file.create_dataset("labels/class", hdf5::Element::text, {labels.classes.size()});
    file.set_attribute("labels/class", "long_name", "class, in order of its number");
    file.write<std::string>("labels/class", labels.classes);
    file.make_scale("labels/class");
    if (labels.names.size() == labels.classes.size()) {
        file.create_dataset("labels/class_name", hdf5::Element::text, {labels.names.size()});
        file.set_attribute("labels/class_name", "long_name", "what the class is called");
        file.write<std::string>("labels/class_name", labels.names);
        file.attach_scale("labels/class_name", 0, "labels/class");
    }
}

}  // namespace

std::string history_line(const StartRecord& start) {
    return start.checkpoint.empty() ? text(start.date, " begun")
                                    : text(start.date, " resumed after iteration ", start.iteration,
                                           " from ", start.checkpoint);
}

void build_run_file(const std::string& path, const RunDescription& description, const Past& past,
                    std::size_t block_iterations) {
    try {
        PartFile part(path);
        hdf5::File file = hdf5::File::create(part.path());
        write_attributes(file, description, past);
        if (block_iterations > 0) {
            const IterationArrays arrays(description, block_iterations);
            arrays.create_scale(file);
            write_description(file, description);
            arrays.create(file);
        } else {
            write_description(file, description);
        }
        write_groups(file, description, past);
        write_labels(file, description.labels);
        file.close();
        part.give_name();  // in the middle of training: nobody waits for the disk
    } catch (const std::exception& error) {
        throw Error(ExitCode::cannot_create, text("cannot write '", path, "' (", error.what(),
                                                  ") choose another output.directory"));
    }
}

void drop_uncommitted_rows(hdf5::File& file) {
    const std::string iteration(schema::name(schema::Dim::iteration));
    const auto committed =
        static_cast<std::uint64_t>(file.integer_attribute("/", "committed_iterations").value_or(0));
    for (const std::string& dataset : file.datasets("/")) {
        const hdf5::Extent extent = file.extent(dataset);
        const bool is_over_iterations =
            dataset == iteration || (!extent.empty() && file.scale_of(dataset, 0) == iteration);
        if (is_over_iterations && extent.front() > committed) {
            file.set_rows(dataset, committed);
        }
    }
}

}  // namespace layerledger
