#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#include "layerledger/hdf5/file.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

/// Threads inside the library, and whether there were ever two. Debian's HDF5 has a lock of its
/// own, with which two threads do no harm; others have none. So the test does not wait for harm:
/// the linker leads the calls below through here (--wrap), where a thread stays long enough to be
/// met.
std::atomic<int> inside = 0;
std::atomic<int> calls = 0;
std::atomic<bool> met = false;

class Visit {
public:
    Visit() {
        if (inside.fetch_add(1) != 0) {
            met = true;
        }
        ++calls;
        std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    ~Visit() { --inside; }
};

}  // namespace

// HDF5's types: hid_t, herr_t, hsize_t. The names are the linker's.
extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier)
int __real_H5Dread(std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, void*);
int __real_H5Dwrite(std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                    const void*);
int __real_H5Dset_extent(std::int64_t, const unsigned long long*);
int __real_H5Fclose(std::int64_t);

int __wrap_H5Dread(std::int64_t dataset, std::int64_t type, std::int64_t memory, std::int64_t file,
                   std::int64_t properties, void* values) {
    const Visit visit;
    return __real_H5Dread(dataset, type, memory, file, properties, values);
}

int __wrap_H5Dwrite(std::int64_t dataset, std::int64_t type, std::int64_t memory, std::int64_t file,
                    std::int64_t properties, const void* values) {
    const Visit visit;
    return __real_H5Dwrite(dataset, type, memory, file, properties, values);
}

int __wrap_H5Dset_extent(std::int64_t dataset, const unsigned long long* extent) {
    const Visit visit;
    return __real_H5Dset_extent(dataset, extent);
}

int __wrap_H5Fclose(std::int64_t file) {
    const Visit visit;
    return __real_H5Fclose(file);
}
// NOLINTEND(bugprone-reserved-identifier)
}

namespace {

using testing::TemporaryFolder;

// As in a run on packed images: some threads read one file while another one writes records.
TEST(Hdf5Threads, ManyMayReadOneFileWhileOthersWriteAndEnterTheLibraryInTurn) {
    constexpr int readers = 3;
    constexpr std::size_t rows = 64;
    const TemporaryFolder folder;
    std::vector<float> values(rows);
    std::iota(values.begin(), values.end(), 0.0F);
    {
        hdf5::File file = hdf5::File::create(folder.path("images.h5"));
        file.create_dataset("values", hdf5::Element::float32, {rows});
        file.write<float>("values", values);
    }
    const hdf5::File images =
        hdf5::File::open(folder.path("images.h5"), hdf5::Access::read, hdf5::Locking::unlocked);
    std::atomic<bool> is_writing = true;
    std::atomic<int> wrong = 0;
    std::atomic<int> read = 0;
    calls = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < readers; ++i) {
            threads.emplace_back([&] {
                for (unsigned long long row = 0; is_writing; row = (row + 1) % rows) {
                    const auto one = images.read<float>("values", hdf5::Slab{{row}, {1}});
                    wrong += one.front() == values[row] ? 0 : 1;
                    ++read;
                }
            });
        }
        for (int i = 0; i < 100 || read < 100; ++i) {
            hdf5::File file = hdf5::File::create(folder.path("run.h5"));
            file.create_dataset("values", hdf5::Element::float32, {0}, {16});
            file.set_rows("values", rows);
            file.write<float>("values", values, hdf5::Slab{{0}, {rows}});
            file.set_attribute("/", "committed", std::int64_t{rows});
            file.close();
        }
        is_writing = false;
    }
    EXPECT_EQ(wrong, 0);
    EXPECT_GE(calls, 400) << "the calls do not pass through here";
    EXPECT_FALSE(met) << "two threads were inside the library at a time";
}

}  // namespace
}  // namespace layerledger
