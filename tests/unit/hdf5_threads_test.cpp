#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include "layerledger/hdf5/file.hpp"
#include "support/temporary_folder.hpp"

namespace layerledger {
namespace {

using testing::TemporaryFolder;

// Where HDF5 was built without a lock of its own (Debian's has one) this crashes without ours.
// As in a run on packed images: some threads read one file while another one writes records.
TEST(Hdf5Threads, ManyMayReadOneFileWhileOthersWrite) {
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
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < readers; ++i) {
            threads.emplace_back([&] {
                for (unsigned long long row = 0; is_writing; row = (row + 1) % rows) {
                    const auto read = images.read<float>("values", hdf5::Slab{{row}, {1}});
                    wrong += read.front() == values[row] ? 0 : 1;
                }
            });
        }
        for (int i = 0; i < 100; ++i) {
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
}

}  // namespace
}  // namespace layerledger
