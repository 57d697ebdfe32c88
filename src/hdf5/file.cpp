#include "layerledger/hdf5/file.hpp"

#include <hdf5_hl.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <limits>
#include <mutex>
#include <numeric>

#include "checked.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/log.hpp"
#include "layerledger/base/text.hpp"
#include "ordered_driver.hpp"

namespace layerledger::hdf5 {
namespace {

/// The library is not made for several threads, and a run has some that read images while another
/// one writes its records: everything in it happens while one of these lives. Methods call each
/// other.
class Turn {
public:
    Turn() : lock_(mutex()) {}

private:
    static std::recursive_mutex& mutex() {
        static std::recursive_mutex one;
        return one;
    }
    std::lock_guard<std::recursive_mutex> lock_;
};

/// Switches off HDF5's printing of error stacks, and its tidying up when the process ends, which
/// crashes over a file that a full disk kept from closing; once and before its first call.
void keep_quiet() {
    static const herr_t untidy = H5dont_atexit();
    static_cast<void>(untidy);
    static const herr_t quiet = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    static_cast<void>(quiet);
}

TypeId text_type() {
    TypeId type(H5Tcopy(H5T_C_S1), "H5Tcopy");
    check(H5Tset_size(type, H5T_VARIABLE), "H5Tset_size");
    check(H5Tset_cset(type, H5T_CSET_UTF8), "H5Tset_cset");
    return type;
}

/// In memory and, because numbers are stored little-endian, in the file.
TypeId type_of(Element element) {
    switch (element) {
        case Element::float32: return {H5Tcopy(H5T_IEEE_F32LE), "H5Tcopy"};
        case Element::float64: return {H5Tcopy(H5T_IEEE_F64LE), "H5Tcopy"};
        case Element::int32: return {H5Tcopy(H5T_STD_I32LE), "H5Tcopy"};
        case Element::int64: return {H5Tcopy(H5T_STD_I64LE), "H5Tcopy"};
        case Element::uint8: return {H5Tcopy(H5T_STD_U8LE), "H5Tcopy"};
        case Element::text: return text_type();
        case Element::other: break;
    }
    throw Error(ExitCode::internal, "a dataset of no known element type");
}

TypeId native_type_of(Element element) {
    if (element == Element::text) {
        return text_type();
    }
    const TypeId stored = type_of(element);
    return {H5Tget_native_type(stored, H5T_DIR_ASCEND), "H5Tget_native_type"};
}

SpaceId space_of(const Extent& extent, bool grows = false) {
    if (extent.empty()) {
        return {H5Screate(H5S_SCALAR), "H5Screate"};
    }
    Extent most = extent;
    if (grows) {
        most.front() = H5S_UNLIMITED;
    }
    return {H5Screate_simple(static_cast<int>(extent.size()), extent.data(), most.data()),
            "H5Screate_simple"};
}

Extent extent_of(hid_t space) {
    Extent extent(static_cast<std::size_t>(
        check(H5Sget_simple_extent_ndims(space), "H5Sget_simple_extent_ndims")));
    if (!extent.empty()) {
        check(H5Sget_simple_extent_dims(space, extent.data(), nullptr),
              "H5Sget_simple_extent_dims");
    }
    return extent;
}

std::size_t product(const Extent& extent) {
    return std::accumulate(extent.begin(), extent.end(), std::size_t{1}, std::multiplies<>());
}

DatasetId open_dataset(std::int64_t file, const std::string& path) {
    return {H5Dopen2(file, path.c_str(), H5P_DEFAULT), "H5Dopen2"};
}

/// The file side of a transfer with its selection.
SpaceId selected(const DatasetId& dataset, const std::optional<Slab>& slab) {
    SpaceId space(H5Dget_space(dataset), "H5Dget_space");
    if (slab) {
        LL_EXPECT(slab->start.size() == slab->count.size());
        check(H5Sselect_hyperslab(space, H5S_SELECT_SET, slab->start.data(), nullptr,
                                  slab->count.data(), nullptr),
              "H5Sselect_hyperslab");
    }
    return space;
}

/// The memory side. Of the same shape as the selection in the file: with a flat one HDF5 maps
/// chunks element by element, which costs more than all else together.
SpaceId memory_for(hid_t file_space, const std::optional<Slab>& slab) {
    return space_of(slab ? slab->count : extent_of(file_space));
}

/// An object together with one of its attributes: HDF5 1.10 cannot write through an attribute that
/// was opened by its object's name alone.
struct OpenAttribute {
    ObjectId object;
    AttributeId id;
};

ObjectId open_object(std::int64_t file, const std::string& path) {
    return {H5Oopen(file, path.c_str(), H5P_DEFAULT), "H5Oopen"};
}

OpenAttribute open_or_create(std::int64_t file, const std::string& path, const std::string& name,
                             hid_t type, hid_t space) {
    ObjectId object = open_object(file, path);
    if (check(H5Aexists(object, name.c_str()), "H5Aexists") > 0) {
        AttributeId id(H5Aopen(object, name.c_str(), H5P_DEFAULT), "H5Aopen");
        return {std::move(object), std::move(id)};
    }
    AttributeId id(H5Acreate2(object, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT),
                   "H5Acreate2");
    return {std::move(object), std::move(id)};
}

/// Nothing where there is no such attribute, or it holds more than one value.
std::optional<OpenAttribute> open_single(std::int64_t file, const std::string& path,
                                         const std::string& name) {
    ObjectId object = open_object(file, path);
    if (check(H5Aexists(object, name.c_str()), "H5Aexists") == 0) {
        return {};
    }
    AttributeId id(H5Aopen(object, name.c_str(), H5P_DEFAULT), "H5Aopen");
    const SpaceId space(H5Aget_space(id), "H5Aget_space");
    if (product(extent_of(space)) != 1) {
        return {};
    }
    return OpenAttribute{std::move(object), std::move(id)};
}

/// A kill can cut a write between two pages of memory. The nodes of indices, which are rewritten in
/// place, are all larger than half a page and smaller than one, and so never lie across two.
PropertiesId access_for_writing() {
    constexpr hsize_t page_bytes = 4096;
    PropertiesId properties(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate");
    check(H5Pset_alignment(properties, page_bytes / 2, page_bytes), "H5Pset_alignment");
    return properties;
}

}  // namespace

File File::create(const std::string& path, std::uint64_t reserved) {
    const Turn turn;
    keep_quiet();
    const PropertiesId access = access_for_writing();
    const PropertiesId creation(H5Pcreate(H5P_FILE_CREATE), "H5Pcreate");
    check(H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED),
          "H5Pset_link_creation_order");
    check(H5Pset_userblock(creation, reserved), "H5Pset_userblock");
    return File(check(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, access), "H5Fcreate"));
}

File File::open(const std::string& path, Access access, Locking locking) {
    const Turn turn;
    keep_quiet();
    const PropertiesId properties = access == Access::write
                                        ? access_for_writing()
                                        : PropertiesId(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate");
    check(H5Pset_file_locking(properties, locking == Locking::locked ? 1 : 0, 1),
          "H5Pset_file_locking");
    if (access == Access::read) {
        return File(check(H5Fopen(path.c_str(), H5F_ACC_RDONLY, properties), "H5Fopen"));
    }
    write_in_order(properties);
    File file(check(H5Fopen(path.c_str(), H5F_ACC_RDWR, properties), "H5Fopen"));
    defer_changes_of_old_bytes(file.id_);
    return file;
}

bool File::is_hdf5(const std::string& path) {
    const Turn turn;
    keep_quiet();
    return H5Fis_hdf5(path.c_str()) > 0;
}

/// From the superblock at the beginning: HDF5 File Format Specification, version 3.0, II.A.
std::uint64_t File::whole_bytes(const std::string& path) {
    constexpr std::size_t version_at = 8;  // after the signature
    std::array<char, 48> head{};
    std::ifstream(path, std::ios::binary).read(head.data(), head.size());
    const bool is_signed =
        std::string_view(head.data(), version_at) == std::string_view("\x89HDF\r\n\x1a\n", 8);
    // Versions 0 and 2 and later put it elsewhere; 1, with more between, nobody writes.
    const std::size_t at = head[version_at] == 0 ? 40 : head[version_at] > 1 ? 28 : 0;
    if (!is_signed || at == 0) {
        return 0;
    }
    std::uint64_t bytes = 0;
    for (std::size_t i = sizeof bytes; i-- > 0;) {
        bytes = bytes << 8U | static_cast<unsigned char>(head.at(at + i));
    }
    return bytes;
}

File::~File() {
    const Turn turn;
    if (id_ >= 0 && H5Fclose(id_) < 0) {
        log::warning(text("an HDF5 file could not be closed (", innermost_reason(), ")"));
    }
}

void File::flush() {
    const Turn turn;
    check(H5Fflush(id_, H5F_SCOPE_LOCAL), "H5Fflush");
}

void File::close() {
    const Turn turn;
    check(H5Fclose(std::exchange(id_, -1)), "H5Fclose");
}

void File::create_group(const std::string& path) {
    const Turn turn;
    const PropertiesId creation(H5Pcreate(H5P_GROUP_CREATE), "H5Pcreate");
    check(H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED),
          "H5Pset_link_creation_order");
    const GroupId group(H5Gcreate2(id_, path.c_str(), H5P_DEFAULT, creation, H5P_DEFAULT),
                        "H5Gcreate2");
}

bool File::contains(const std::string& path) const {
    const Turn turn;
    return check(H5Lexists(id_, path.c_str(), H5P_DEFAULT), "H5Lexists") > 0;
}

std::vector<std::string> File::datasets(const std::string& group) const {
    const Turn turn;
    std::vector<std::string> names;
    const H5L_iterate_t take = [](hid_t where, const char* name, const H5L_info_t*,
                                  void* out) -> herr_t {
        H5O_info_t info;
        if (H5Oget_info_by_name(where, name, &info, H5P_DEFAULT) < 0) {
            return -1;
        }
        if (info.type == H5O_TYPE_DATASET) {
            static_cast<std::vector<std::string>*>(out)->emplace_back(name);
        }
        return 0;
    };
    const GroupId open(H5Gopen2(id_, group.c_str(), H5P_DEFAULT), "H5Gopen2");
    const PropertiesId creation(H5Gget_create_plist(open), "H5Gget_create_plist");
    unsigned order = 0;
    check(H5Pget_link_creation_order(creation, &order), "H5Pget_link_creation_order");
    const H5_index_t by = (order & H5P_CRT_ORDER_INDEXED) != 0 ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME;
    check(H5Literate(open, by, H5_ITER_INC, nullptr, take, &names), "H5Literate");
    return names;
}

void File::create_dataset(const std::string& path, Element element, const Extent& extent,
                          const Extent& chunk) {
    const Turn turn;
    const TypeId type = type_of(element);
    const SpaceId space = space_of(extent, !chunk.empty());
    const PropertiesId creation(H5Pcreate(H5P_DATASET_CREATE), "H5Pcreate");
    if (!chunk.empty()) {
        check(H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data()), "H5Pset_chunk");
    }
    if (element == Element::float32) {
        const float nothing = std::numeric_limits<float>::quiet_NaN();
        check(H5Pset_fill_value(creation, H5T_NATIVE_FLOAT, &nothing), "H5Pset_fill_value");
    }
    const DatasetId dataset(
        H5Dcreate2(id_, path.c_str(), type, space, H5P_DEFAULT, creation, H5P_DEFAULT),
        "H5Dcreate2");
}

Extent File::extent(const std::string& dataset) const {
    const Turn turn;
    const DatasetId open = open_dataset(id_, dataset);
    const SpaceId space(H5Dget_space(open), "H5Dget_space");
    return extent_of(space);
}

Extent File::chunk(const std::string& dataset) const {
    const Turn turn;
    const DatasetId open = open_dataset(id_, dataset);
    const PropertiesId creation(H5Dget_create_plist(open), "H5Dget_create_plist");
    if (H5Pget_layout(creation) != H5D_CHUNKED) {
        return {};
    }
    Extent chunk(extent(dataset).size());
    check(H5Pget_chunk(creation, static_cast<int>(chunk.size()), chunk.data()), "H5Pget_chunk");
    return chunk;
}

Element File::element(const std::string& dataset) const {
    const Turn turn;
    const DatasetId open = open_dataset(id_, dataset);
    const TypeId type(H5Dget_type(open), "H5Dget_type");
    if (H5Tis_variable_str(type) > 0) {
        return Element::text;
    }
    for (const Element element :
         {Element::float32, Element::float64, Element::int32, Element::int64, Element::uint8}) {
        if (H5Tequal(type, type_of(element)) > 0) {
            return element;
        }
    }
    return Element::other;
}

void File::set_rows(const std::string& dataset, unsigned long long rows) {
    const Turn turn;
    const DatasetId open = open_dataset(id_, dataset);
    const SpaceId space(H5Dget_space(open), "H5Dget_space");
    Extent extent = extent_of(space);
    extent.front() = rows;
    check(H5Dset_extent(open, extent.data()), "H5Dset_extent");
}

std::size_t File::elements(const std::string& dataset, const std::optional<Slab>& slab) const {
    const Turn turn;
    return product(slab ? slab->count : extent(dataset));
}

void File::write_raw(const std::string& dataset, Element element, const void* values,
                     [[maybe_unused]] std::size_t count, const std::optional<Slab>& slab) {
    const Turn turn;
    const DatasetId open = open_dataset(id_, dataset);
    const SpaceId file_space = selected(open, slab);
    const SpaceId memory_space = memory_for(file_space, slab);
    LL_EXPECT(product(extent_of(memory_space)) == count);
    check(H5Dwrite(open, native_type_of(element), memory_space, file_space, H5P_DEFAULT, values),
          "H5Dwrite");
}

void File::read_raw(const std::string& dataset, Element element, void* values,
                    const std::optional<Slab>& slab) const {
    const Turn turn;
    const DatasetId open = open_dataset(id_, dataset);
    const SpaceId file_space = selected(open, slab);
    const SpaceId memory_space = memory_for(file_space, slab);
    check(H5Dread(open, native_type_of(element), memory_space, file_space, H5P_DEFAULT, values),
          "H5Dread");
}

void File::write_texts(const std::string& dataset, std::span<const std::string> values,
                       const std::optional<Slab>& slab) {
    const Turn turn;
    std::vector<const char*> pointers;
    for (const std::string& value : values) {
        pointers.push_back(value.c_str());
    }
    write_raw(dataset, Element::text, pointers.data(), pointers.size(), slab);
}

std::vector<std::string> File::read_texts(const std::string& dataset,
                                          const std::optional<Slab>& slab) const {
    const Turn turn;
    std::vector<char*> pointers(elements(dataset, slab));
    read_raw(dataset, Element::text, pointers.data(), slab);
    std::vector<std::string> values;
    for (char* pointer : pointers) {
        values.emplace_back(pointer != nullptr ? pointer : "");
        H5free_memory(pointer);
    }
    return values;
}

void File::make_scale(const std::string& dataset) {
    const Turn turn;
    const DatasetId open = open_dataset(id_, dataset);
    const std::string name = dataset.substr(dataset.rfind('/') + 1);
    check(H5DSset_scale(open, name.c_str()), "H5DSset_scale");
}

void File::attach_scale(const std::string& dataset, unsigned axis, const std::string& scale) {
    const Turn turn;
    const DatasetId open = open_dataset(id_, dataset);
    const DatasetId scale_open = open_dataset(id_, scale);
    check(H5DSattach_scale(open, scale_open, axis), "H5DSattach_scale");
}

std::string File::scale_of(const std::string& dataset, unsigned axis) const {
    const Turn turn;
    const H5DS_iterate_t take_name = [](hid_t, unsigned, hid_t scale, void* out) -> herr_t {
        std::array<char, 256> name{};
        if (H5Iget_name(scale, name.data(), name.size()) < 0) {
            return -1;
        }
        *static_cast<std::string*>(out) = name.data();
        return 1;  // the first is enough
    };
    const DatasetId open = open_dataset(id_, dataset);
    std::string path;
    check(H5DSiterate_scales(open, axis, nullptr, take_name, &path), "H5DSiterate_scales");
    return path.substr(path.rfind('/') + 1);
}

void File::set_attribute(const std::string& object, const std::string& name,
                         std::string_view value) {
    const Turn turn;
    const TypeId type = text_type();
    const SpaceId space = space_of({});
    const OpenAttribute attribute = open_or_create(id_, object, name, type, space);
    const std::string terminated(value);
    const char* pointer = terminated.c_str();
    check(H5Awrite(attribute.id, type, static_cast<const void*>(&pointer)), "H5Awrite");
}

void File::set_attribute(const std::string& object, const std::string& name, std::int64_t value) {
    const Turn turn;
    const SpaceId space = space_of({});
    const OpenAttribute attribute =
        open_or_create(id_, object, name, type_of(Element::int64), space);
    check(H5Awrite(attribute.id, H5T_NATIVE_INT64, &value), "H5Awrite");
}

void File::set_attribute_raw(const std::string& object, const std::string& name, Element element,
                             const void* values, std::size_t count) {
    const Turn turn;
    const SpaceId space = space_of({count});
    const OpenAttribute attribute = open_or_create(id_, object, name, type_of(element), space);
    check(H5Awrite(attribute.id, native_type_of(element), values), "H5Awrite");
}

std::optional<std::string> File::text_attribute(const std::string& object,
                                                const std::string& name) const {
    const Turn turn;
    const std::optional<OpenAttribute> attribute = open_single(id_, object, name);
    if (!attribute) {
        return {};
    }
    const TypeId stored(H5Aget_type(attribute->id), "H5Aget_type");
    if (H5Tis_variable_str(stored) <= 0) {
        return {};
    }
    char* pointer = nullptr;
    check(H5Aread(attribute->id, stored, static_cast<void*>(&pointer)), "H5Aread");
    std::string value = pointer != nullptr ? pointer : "";
    H5free_memory(pointer);
    return value;
}

std::optional<std::int64_t> File::integer_attribute(const std::string& object,
                                                    const std::string& name) const {
    const Turn turn;
    const std::optional<OpenAttribute> attribute = open_single(id_, object, name);
    if (!attribute) {
        return {};
    }
    const TypeId stored(H5Aget_type(attribute->id), "H5Aget_type");
    if (H5Tget_class(stored) != H5T_INTEGER) {
        return {};
    }
    std::int64_t value = 0;
    check(H5Aread(attribute->id, H5T_NATIVE_INT64, &value), "H5Aread");
    return value;
}

}  // namespace layerledger::hdf5
