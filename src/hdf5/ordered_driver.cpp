#include "ordered_driver.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "checked.hpp"
#include "deferred_changes.hpp"

namespace layerledger::hdf5 {
namespace {

struct OrderedFile : H5FD_t {
    H5FD_t* file;  ///< HDF5's own driver, which does the work
    DeferredChanges changes;
};

OrderedFile& ordered(H5FD_t* file) {
    return *static_cast<OrderedFile*>(file);
}
const OrderedFile& ordered(const H5FD_t* file) {
    return *static_cast<const OrderedFile*>(file);
}

H5FD_t* ordered_open(const char* name, unsigned flags, hid_t, haddr_t largest) {
    const PropertiesId properties(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate");
    if (H5Pset_file_locking(properties, 1, 1) < 0) {
        return nullptr;
    }
    H5FD_t* const file = H5FDopen(name, flags, properties, largest);
    return file != nullptr ? new OrderedFile{{}, file, {}} : nullptr;
}

herr_t ordered_read(H5FD_t* self, H5FD_mem_t type, hid_t transfer, haddr_t address,
                    std::size_t size, void* bytes) {
    const OrderedFile& of = ordered(self);
    const herr_t status = H5FDread(of.file, type, transfer, address, size, bytes);
    of.changes.overlay(address, {static_cast<std::byte*>(bytes), size});
    return status;
}

herr_t ordered_write(H5FD_t* self, H5FD_mem_t type, hid_t transfer, haddr_t address,
                     std::size_t size, const void* bytes) {
    OrderedFile& of = ordered(self);
    const std::span all(static_cast<const std::byte*>(bytes), size);
    const std::size_t deferred = of.changes.defer(address, all);
    if (deferred < size && H5FDwrite(of.file, type, transfer, address + deferred, size - deferred,
                                     all.data() + deferred) < 0) {
        of.changes.withhold();
        return -1;
    }
    return 0;
}

bool apply_changes(OrderedFile& of, hid_t transfer) {
    return of.changes.apply([&](std::uint64_t address, std::span<const std::byte> bytes) {
        return H5FDwrite(of.file, H5FD_MEM_DEFAULT, transfer, address, bytes.size(),
                         bytes.data()) >= 0;
    });
}

herr_t ordered_flush(H5FD_t* self, hid_t transfer, hbool_t closing) {
    OrderedFile& of = ordered(self);
    return apply_changes(of, transfer) ? H5FDflush(of.file, transfer, closing) : -1;
}

herr_t ordered_close(H5FD_t* self) {
    OrderedFile* const of = &ordered(self);
    const bool is_applied = apply_changes(*of, H5P_DATASET_XFER_DEFAULT);
    const herr_t status = H5FDclose(of->file);
    delete of;
    return is_applied ? status : -1;
}

herr_t ordered_query(const H5FD_t* self, unsigned long* features) {
    if (self == nullptr) {
        *features = 0;
        return 0;
    }
    // Without accumulation each write is one object of HDF5's, which stays whole.
    constexpr unsigned long without = H5FD_FEAT_POSIX_COMPAT_HANDLE | H5FD_FEAT_ACCUMULATE_METADATA;
    const int status = H5FDquery(ordered(self).file, features);
    *features &= ~without;
    return status < 0 ? -1 : 0;
}

hid_t ordered_driver() {
    static H5FD_class_t driver{};
    driver.name = "layerledger_ordered";
    driver.maxaddr = std::numeric_limits<std::int64_t>::max();
    driver.fc_degree = H5F_CLOSE_STRONG;
    driver.open = ordered_open;
    driver.close = ordered_close;
    driver.read = ordered_read;
    driver.write = ordered_write;
    driver.flush = ordered_flush;
    driver.query = ordered_query;
    driver.cmp = [](const H5FD_t* a, const H5FD_t* b) {
        return H5FDcmp(ordered(a).file, ordered(b).file);
    };
    driver.get_eoa = [](const H5FD_t* self, H5FD_mem_t type) {
        return H5FDget_eoa(ordered(self).file, type);
    };
    driver.set_eoa = [](H5FD_t* self, H5FD_mem_t type, haddr_t end) {
        return H5FDset_eoa(ordered(self).file, type, end);
    };
    driver.get_eof = [](const H5FD_t* self, H5FD_mem_t type) {
        return H5FDget_eof(ordered(self).file, type);
    };
    driver.get_handle = [](H5FD_t* self, hid_t, void** handle) {
        *handle = &ordered(self);
        return 0;
    };
    driver.truncate = [](H5FD_t* self, hid_t transfer, hbool_t closing) {
        return H5FDtruncate(ordered(self).file, transfer, closing);
    };
    driver.lock = [](H5FD_t* self, hbool_t exclusive) {
        return H5FDlock(ordered(self).file, exclusive);
    };
    driver.unlock = [](H5FD_t* self) { return H5FDunlock(ordered(self).file); };
    constexpr std::array<H5FD_mem_t, H5FD_MEM_NTYPES> kinds H5FD_FLMAP_DICHOTOMY;
    std::ranges::copy(kinds, driver.fl_map);
    static const hid_t id = check(H5FDregister(&driver), "H5FDregister");
    return id;
}

}  // namespace

void write_in_order(hid_t access) {
    check(H5Pset_driver(access, ordered_driver(), nullptr), "H5Pset_driver");
}

void defer_changes_of_old_bytes(hid_t file) {
    void* driver = nullptr;
    check(H5Fget_vfd_handle(file, H5P_DEFAULT, &driver), "H5Fget_vfd_handle");
    haddr_t end = 0;
    check(H5Fget_eoa(file, &end), "H5Fget_eoa");
    static_cast<OrderedFile*>(driver)->changes.defer_below(end);
}

}  // namespace layerledger::hdf5
