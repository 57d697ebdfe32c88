// How many images a second the input pipeline makes ready on a number of threads. A server of
// single measurements (see input.py): for each line on standard input it takes some batches and
// prints the seconds, and the seconds of processors that all its threads took, as a JSON list.
#include <chrono>
#include <ctime>
#include <iostream>
#include <string>

#include "layerledger/data/batch_source.hpp"

int main(int argc, char** argv) {
    using namespace layerledger;
    if (argc != 6) {
        std::cerr << "usage: input_speed folder|packed PATH BATCH THREADS BATCHES\n";
        return 64;
    }
    const std::string source(argv[1]);
    DataSettings settings;
    settings.source = source == "packed" ? DataSource::packed : DataSource::folder;
    settings.root = argv[2];
    settings.file = argv[2];
    settings.workers = std::stoi(argv[4]);
    const std::int64_t batch = std::stoi(argv[3]);
    const int batches = std::stoi(argv[5]);
    try {
        const ImageIndex index = settings.source == DataSource::packed
                                     ? read_packed_index(settings)
                                     : scan_image_folder(settings);
        const auto images = make_image_source(index, settings, {3, 224, 224}, batch, {}, 1);
        const auto take = [&](int count) {
            for (int i = 0; i < count; ++i) {
                static_cast<void>(images->next());
            }
        };
        std::cout << "{}" << std::endl;
        for (std::string line; std::getline(std::cin, line);) {
            take(3);  // what waits ready from the pause before does not count
            const auto begun = std::chrono::steady_clock::now();
            const std::clock_t clock = std::clock();
            take(batches);
            const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun;
            std::cout << '[' << taken.count() << ", "
                      << static_cast<double>(std::clock() - clock) / CLOCKS_PER_SEC << ']'
                      << std::endl;
        }
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 70;
    }
}
