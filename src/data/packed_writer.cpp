// Makes packed files.
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "batch_loader.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/error.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/part_file.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/data/packing.hpp"
#include "layerledger/hdf5/file.hpp"
#include "packed_file.hpp"

namespace layerledger {
namespace {

namespace fs = std::filesystem;

/// Images written at a time, and in one chunk: large enough for a short index, and each of them is
/// read alone all the same, because chunks that do not fit HDF5's cache are not read whole.
constexpr std::int64_t group_images = 16;

/// Finds out before hours of decoding, not after.
void require_space(const ImageIndex& index, const PackOptions& options) {
    const fs::path folder = fs::path(options.file).parent_path();
    const auto images = static_cast<double>(index.train.size() + index.val.size());
    const double needed =
        images * static_cast<double>(options.size * options.size) * packed::channels;
    const auto there =
        static_cast<double>(fs::space(folder.empty() ? fs::path(".") : folder).available);
    LL_VALIDATE(
        needed <= there, ExitCode::cannot_create,
        text("'", options.file, "' would take ", bytes_text(needed), " (", bytes_text(there),
             " are free there) choose another folder, fewer classes or a smaller --size"));
}

class Packer {
public:
    Packer(const ImageIndex& index, const DataSettings& settings, const PackOptions& options,
           const PackProgress& progress, const std::string& file)
        : index_(index),
          settings_(settings),
          side_(options.size),
          progress_(progress),
          file_(hdf5::File::create(file)) {}

    PackResult run() {
        file_.set_attribute("/", "format", packed::format);
        file_.set_attribute("/", "format_version", packed::version);
        file_.set_attribute("/", "source", index_.root);
        file_.set_attribute("/", "source_digest", index_.digest());
        write_texts("classes", index_.classes);
        if (!index_.class_names.empty()) {
            write_texts("class_names", index_.class_names);
        }
        PackResult result;
        result.train = pack(PackedPart::train, index_.train);
        if (!index_.val.empty()) {
            result.val = pack(PackedPart::val, index_.val);
        }
        result.skipped = skipped_;
        file_.close();
        return result;
    }

private:
    void write_texts(const std::string& dataset, const std::vector<std::string>& texts) {
        file_.create_dataset(dataset, hdf5::Element::text, {texts.size()});
        file_.write<std::string>(dataset, texts);
    }

    /// Every image once, in order.
    [[nodiscard]] BatchLoader::Plan plan(std::size_t images) const {
        const auto order = std::make_shared<ImageOrder>(images);
        std::iota(order->begin(), order->end(), 0U);
        BatchLoader::Plan plan;
        plan.batch_size = group_images;
        plan.batches = (static_cast<std::int64_t>(images) + group_images - 1) / group_images;
        plan.draw = [order](std::int64_t batch, std::int64_t place) {
            const auto image = static_cast<std::size_t>(batch * group_images + place);
            return Candidates{order, image, image < order->size() ? 1U : 0U, 0};
        };
        plan.threads = settings_.workers;
        plan.from = index_.root;
        return plan;
    }

    /// One part; how many images it has got.
    std::int64_t pack(PackedPart part, const std::vector<ImageIndex::Image>& images) {
        const std::string group = packed::group(part);
        const auto side = static_cast<unsigned long long>(side_);
        const auto count = static_cast<std::int64_t>(images.size());
        file_.create_group(group);
        file_.create_dataset(group + "/images", hdf5::Element::uint8,
                             {images.size(), side, side, packed::channels},
                             {group_images, side, side, packed::channels});

        const Shape extent{packed::channels, side_, side_};
        DataSettings whole = settings_;
        whole.central_share = 1;
        const Presentation presentation{extent, ViewChooser(whole, pixels_of(extent)), {}};
        const BatchLoader::Plan loading = plan(images.size());
        BatchLoader loader(
            images,
            [root = index_.root, presentation] { return make_jpeg_loader(root, presentation); },
            extent.elements(), loading);
        std::vector<std::int32_t> labels;
        std::vector<std::string> paths;
        for (std::int64_t batch = 0; batch < loading.batches; ++batch) {
            const LoadedBatch& loaded = loader.next();
            const std::int64_t begin = batch * group_images;
            const std::int64_t end = std::min(begin + group_images, count);
            const unsigned long long first = labels.size();
            pixels_.clear();
            for (std::int64_t i = begin; i < end; ++i) {
                if (take(loaded, static_cast<std::size_t>(i - begin))) {
                    const ImageIndex::Image& image = images[static_cast<std::size_t>(i)];
                    labels.push_back(image.label);
                    paths.push_back(image.path);
                }
            }
            if (const unsigned long long taken = labels.size() - first; taken > 0) {
                file_.write<std::uint8_t>(
                    group + "/images", pixels_,
                    hdf5::Slab{{first, 0, 0, 0}, {taken, side, side, packed::channels}});
            }
            done_ += end - begin;
            progress_(done_, static_cast<std::int64_t>(index_.train.size() + index_.val.size()));
        }
        LL_VALIDATE(!labels.empty(), ExitCode::bad_data,
                    text("none of the ", count, " images for ", group, " in '", index_.root,
                         "' can be read (the log says why of each) repair them, or leave the ",
                         "folder out"));
        file_.set_rows(group + "/images", labels.size());
        file_.create_dataset(group + "/labels", hdf5::Element::int32, {labels.size()});
        file_.write<std::int32_t>(group + "/labels", labels);
        write_texts(group + "/paths", paths);
        return static_cast<std::int64_t>(labels.size());
    }

    /// Appends a loaded image, planes of floats, to pixels_, interleaved bytes; false where it
    /// could not be read.
    bool take(const LoadedBatch& loaded, std::size_t place) {
        const LoadedBatch::Place& outcome = loaded.places[place];
        if (!outcome.filled) {
            LL_VALIDATE(settings_.on_error == OnError::skip, ExitCode::bad_data,
                        text(outcome.failure, ", or set data.on_error = skip"));
            ++skipped_;
            log::warning(text("skipped: ", outcome.failure));
            return false;
        }
        const auto area = static_cast<std::size_t>(side_ * side_);
        const float* planes = &loaded.batch.images[place * area * packed::channels];
        const std::size_t begin = pixels_.size();
        pixels_.resize(begin + area * packed::channels);
        for (std::size_t i = 0; i < area; ++i) {
            for (std::size_t c = 0; c < packed::channels; ++c) {
                pixels_[begin + i * packed::channels + c] =
                    static_cast<std::uint8_t>(planes[c * area + i] + 0.5F);
            }
        }
        return true;
    }

    const ImageIndex& index_;
    const DataSettings& settings_;
    std::int64_t side_;
    const PackProgress& progress_;
    hdf5::File file_;
    std::vector<std::uint8_t> pixels_;
    std::int64_t done_ = 0;
    std::int64_t skipped_ = 0;
};

}  // namespace

PackResult pack_images(const ImageIndex& index, const DataSettings& settings,
                       const PackOptions& options, const PackProgress& progress) {
    LL_VALIDATE(options.overwrite || !fs::exists(options.file), ExitCode::cannot_create,
                text("'", options.file,
                     "' is there already; choose another name or say "
                     "--overwrite"));
    try {
        require_space(index, options);
        PartFile file(options.file);
        const PackResult result = Packer(index, settings, options, progress, file.path()).run();
        file.publish();
        return result;
    } catch (const Error& error) {
        if (error.code() != ExitCode::internal && error.code() != ExitCode::data_lost) {
            throw;
        }
        throw Error(ExitCode::cannot_create,
                    text("cannot write '", options.file, "' (", error.what(),
                         ") check the folder and the space in it"));
    } catch (const fs::filesystem_error& error) {
        throw Error(ExitCode::cannot_create,
                    text("cannot write '", options.file, "' (", error.code().message(),
                         ") choose a folder that is there and can be written"));
    }
}

}  // namespace layerledger
