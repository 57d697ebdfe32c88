#include "layerledger/record/kernel_samples.hpp"

#include <cmath>
#include <cstring>
#include <span>

#include "layerledger/base/contract.hpp"
#include "layerledger/base/phase.hpp"

namespace layerledger {
namespace {

/// Every rank sends as many numbers, whether its records are whole or not.
constexpr std::size_t of_layer = 6;
constexpr std::size_t of_copies = 4;
constexpr std::size_t of_sample = 5;

std::vector<double> packed(const KernelAccount& account, std::size_t layers) {
    std::vector<double> row;
    const std::size_t cells = layers * phases.size();
    LL_EXPECT(account.layers.empty() || account.layers.size() == cells);
    for (std::size_t cell = 0; cell < cells; ++cell) {
        const LayerKernels layer = account.layers.empty() ? LayerKernels{} : account.layers[cell];
        row.insert(row.end(), {layer.marked, layer.seen, layer.busy, layer.idle, layer.beside,
                               static_cast<double>(layer.kernels)});
    }
    for (const CopyAccount& copies : account.copies) {
        row.insert(row.end(), {static_cast<double>(copies.count), static_cast<double>(copies.bytes),
                               copies.time_us, copies.hidden_us});
    }
    row.insert(row.end(),
               {static_cast<double>(account.kernels), static_cast<double>(account.dropped),
                account.iteration_time, account.busy, account.mismatch});
    return row;
}

void unpack(std::span<const double> row, std::int64_t iteration, std::int64_t rank,
            std::size_t layers, KernelSamples& samples) {
    const auto whole = [](double number) { return static_cast<std::int64_t>(number); };
    const std::span<const double> sample = row.last(of_sample);
    samples.samples.push_back(
        {iteration, rank, whole(sample[0]), whole(sample[1]), sample[2], sample[3], sample[4]});
    if (std::isnan(sample[3])) {
        return;  // records were lost: nothing is known of its layers
    }
    for (std::size_t cell = 0; cell < layers * phases.size(); ++cell) {
        const std::span<const double> layer = row.subspan(cell * of_layer, of_layer);
        if (std::isnan(layer[0])) {
            continue;
        }
        samples.kernels.push_back({iteration, rank, static_cast<std::int64_t>(cell / phases.size()),
                                   static_cast<std::int64_t>(cell % phases.size()), whole(layer[5]),
                                   layer[0], layer[1], layer[0] - layer[1], layer[2], layer[3],
                                   layer[4]});
    }
    for (std::size_t kind = 0; kind < copy_kind_names.size(); ++kind) {
        const std::span<const double> copies =
            row.subspan(layers * phases.size() * of_layer + kind * of_copies, of_copies);
        if (copies[0] > 0) {
            samples.copies.push_back({iteration, rank, static_cast<std::int64_t>(kind),
                                      whole(copies[0]), whole(copies[1]), copies[2], copies[3]});
        }
    }
}

}  // namespace

KernelSamples gather_kernels(const Communicator& world, std::size_t layers, std::int64_t iteration,
                             const KernelAccount& account) {
    const std::vector<double> row = packed(account, layers);
    const std::vector<std::byte> all = world.gather(std::as_bytes(std::span(row)));
    KernelSamples samples;
    std::vector<double> of_rank(row.size());
    for (std::size_t rank = 0; rank * row.size() * sizeof(double) < all.size(); ++rank) {
        std::memcpy(of_rank.data(), all.data() + rank * row.size() * sizeof(double),
                    row.size() * sizeof(double));
        unpack(of_rank, iteration, static_cast<std::int64_t>(rank), layers, samples);
    }
    return samples;
}

}  // namespace layerledger
