// The HDF5 library behind one class: files with named datasets, dimension scales and attributes.
// Every failure is an Error that carries HDF5's own innermost reason. Several threads may use files
// at the same time, also one file: the library, which cannot, is entered by one of them at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "layerledger/base/error.hpp"

namespace layerledger::hdf5 {

/// Sizes along each dimension; empty for a scalar.
using Extent = std::vector<unsigned long long>;

/// What a dataset or attribute is made of. Texts are variable-length UTF-8.
enum class Element : unsigned char { float32, float64, int32, int64, uint8, text, other };

template <class T>
[[nodiscard]] constexpr Element element_of() noexcept {
    if constexpr (std::is_same_v<T, float>) {
        return Element::float32;
    } else if constexpr (std::is_same_v<T, double>) {
        return Element::float64;
    } else if constexpr (std::is_same_v<T, std::int32_t>) {
        return Element::int32;
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
        return Element::int64;
    } else if constexpr (std::is_same_v<T, std::uint8_t>) {
        return Element::uint8;
    } else {
        static_assert(std::is_same_v<T, std::string>);
        return Element::text;
    }
}

/// Where a block of a dataset begins and how far it reaches, in each dimension.
struct Slab {
    Extent start;
    Extent count;
};

enum class Access : unsigned char { read, write };
enum class Locking : unsigned char { locked, unlocked };

/// An open file. Groups and datasets are named by their path.
class File {
public:
    /// Makes an empty file, replacing what is there. Links keep the order in which they are made.
    /// The first `reserved` bytes (0, or a power of two from 512 on) are the caller's.
    [[nodiscard]] static File create(const std::string& path, std::uint64_t reserved = 0);
    [[nodiscard]] static File open(const std::string& path, Access access, Locking locking);
    /// Whether the file has HDF5's signature; false too where it cannot be read.
    [[nodiscard]] static bool is_hdf5(const std::string& path);
    /// How long the file says that it is: a copy that was cut off is shorter. 0 where it does not say.
    [[nodiscard]] static std::uint64_t whole_bytes(const std::string& path);

    File(File&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
    File& operator=(File&&) = delete;
    ~File();

    /// Everything written so far reaches the operating system.
    void flush();
    /// Closes and throws where the last bytes cannot be written, which a destructor would hide.
    void close();

    void create_group(const std::string& path);
    [[nodiscard]] bool contains(const std::string& path) const;
    /// Names of the datasets directly in a group, oldest first.
    [[nodiscard]] std::vector<std::string> datasets(const std::string& group) const;

    /// With `chunk`, the first dimension may grow. float32 is filled with NaN.
    void create_dataset(const std::string& path, Element element, const Extent& extent,
                        const Extent& chunk = {});
    [[nodiscard]] Extent extent(const std::string& dataset) const;
    /// Empty where the dataset is not chunked.
    [[nodiscard]] Extent chunk(const std::string& dataset) const;
    [[nodiscard]] Element element(const std::string& dataset) const;
    /// Changes the extent along the first dimension.
    void set_rows(const std::string& dataset, unsigned long long rows);

    template <class T>
    void write(const std::string& dataset, std::span<const T> values,
               const std::optional<Slab>& slab = {}) {
        if constexpr (std::is_same_v<T, std::string>) {
            write_texts(dataset, values, slab);
        } else {
            write_raw(dataset, element_of<T>(), values.data(), values.size(), slab);
        }
    }

    template <class T>
    [[nodiscard]] std::vector<T> read(const std::string& dataset,
                                      const std::optional<Slab>& slab = {}) const {
        if constexpr (std::is_same_v<T, std::string>) {
            return read_texts(dataset, slab);
        } else {
            std::vector<T> values(elements(dataset, slab));
            read_raw(dataset, element_of<T>(), values.data(), slab);
            return values;
        }
    }
    /// The same into memory that is there; `values` has exactly the slab's size.
    template <class T>
    void read_into(const std::string& dataset, const Slab& slab, std::span<T> values) const {
        read_raw(dataset, element_of<T>(), values.data(), slab);
    }

    /// Declares a one-dimensional dataset the scale of the dimension of its own name.
    void make_scale(const std::string& dataset);
    void attach_scale(const std::string& dataset, unsigned axis, const std::string& scale);
    /// Name of the scale on an axis; empty where there is none.
    [[nodiscard]] std::string scale_of(const std::string& dataset, unsigned axis) const;

    void set_attribute(const std::string& object, const std::string& name, std::string_view value);
    void set_attribute(const std::string& object, const std::string& name, std::int64_t value);
    /// One-dimensional.
    template <class T>
    void set_attribute(const std::string& object, const std::string& name,
                       std::span<const T> values) {
        set_attribute_raw(object, name, element_of<T>(), values.data(), values.size());
    }
    [[nodiscard]] std::optional<std::string> text_attribute(const std::string& object,
                                                            const std::string& name) const;
    [[nodiscard]] std::optional<std::int64_t> integer_attribute(const std::string& object,
                                                                const std::string& name) const;

private:
    explicit File(std::int64_t id) noexcept : id_(id) {}

    [[nodiscard]] std::size_t elements(const std::string& dataset,
                                       const std::optional<Slab>& slab) const;
    void write_raw(const std::string& dataset, Element element, const void* values,
                   std::size_t count, const std::optional<Slab>& slab);
    void read_raw(const std::string& dataset, Element element, void* values,
                  const std::optional<Slab>& slab) const;
    void write_texts(const std::string& dataset, std::span<const std::string> values,
                     const std::optional<Slab>& slab);
    [[nodiscard]] std::vector<std::string> read_texts(const std::string& dataset,
                                                      const std::optional<Slab>& slab) const;
    void set_attribute_raw(const std::string& object, const std::string& name, Element element,
                           const void* values, std::size_t count);

    std::int64_t id_;
};

}  // namespace layerledger::hdf5
