#include "pack_command.hpp"

#include <unistd.h>

#include <charconv>
#include <chrono>
#include <filesystem>
#include <iostream>

#include "command_line.hpp"
#include "layerledger/base/contract.hpp"
#include "layerledger/base/text.hpp"
#include "layerledger/config/experiment.hpp"
#include "layerledger/data/packing.hpp"
#include "layerledger/data/staging.hpp"

namespace layerledger {
namespace {

constexpr std::int64_t largest_size = 4096;

struct Request {
    PackOptions options;
    DataSettings data;
};

std::int64_t size_from(const std::string& word) {
    std::int64_t size = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), size);
    LL_VALIDATE(error == std::errc{} && end == word.data() + word.size() && size >= 1 &&
                    size <= largest_size,
                ExitCode::configuration,
                text("--size is '", word, "' (command line); give a number of pixels from 1 to ",
                     largest_size));
    return size;
}

Request parse(const std::vector<std::string>& arguments) {
    const Subcommand& self = find_subcommand("pack");
    LL_VALIDATE(arguments.size() >= 2 && !arguments[0].starts_with('-') &&
                    !arguments[1].starts_with('-') && !arguments[1].empty(),
                ExitCode::usage,
                text("pack wants a folder and the file to make, first of all (command line); write "
                     "'layerledger pack ",
                     self.arguments, "'"));
    Request request;
    request.options.file = expand_environment(arguments[1], "the file to make");
    std::vector<std::string> settings{"--data.source", "folder", "--data.root", arguments[0]};
    for (std::size_t i = 2; i < arguments.size(); ++i) {
        if (arguments[i] == "--overwrite") {
            request.options.overwrite = true;
        } else if (arguments[i] == "--size") {
            LL_VALIDATE(i + 1 < arguments.size(), ExitCode::usage,
                        "--size has no value (command line); give a number of pixels");
            request.options.size = size_from(arguments[++i]);
        } else {
            settings.push_back(arguments[i]);
        }
    }
    const Experiment given = parse_command_line(settings, process_environment()).experiment;
    require_consistent(given);
    request.data = given.data;
    request.data.root = expand_environment(request.data.root, "the folder");
    return request;
}

/// One line that is rewritten on a terminal, and one every 10 s elsewhere.
class Lines {
public:
    void show(std::int64_t done, std::int64_t all) {
        using namespace std::chrono_literals;
        const auto now = std::chrono::steady_clock::now();
        if (now - shown_ < (is_terminal_ ? 100ms : 10s)) {
            return;
        }
        shown_ = now;
        const double seconds = std::chrono::duration<double>(now - begun_).count();
        const double rate = static_cast<double>(done) / seconds;
        std::cout << (is_terminal_ ? "\r" : "") << "packed " << done << " of " << all << " images, "
                  << fixed(rate, 0) << " images/s, "
                  << duration_text(static_cast<double>(all - done) / rate) << " to go"
                  << (is_terminal_ ? "\033[K" : "\n") << std::flush;
        is_open_ = is_terminal_;
    }
    void end() {
        if (is_open_) {
            std::cout << '\n';
        }
    }

private:
    bool is_terminal_ = isatty(STDOUT_FILENO) != 0;
    bool is_open_ = false;
    std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
    std::chrono::steady_clock::time_point shown_ = begun_;
};

}  // namespace

ExitCode run_pack_command(const std::vector<std::string>& arguments) {
    const Request request = parse(arguments);
    const PackOptions& options = request.options;
    // Before a scan that may take minutes, and once more by pack_images.
    LL_VALIDATE(options.overwrite || !std::filesystem::exists(options.file),
                ExitCode::cannot_create,
                text("'", options.file,
                     "' is there already; choose another name or say "
                     "--overwrite"));
    require_whole(request.data.root);
    const ImageIndex index = scan_image_folder(request.data);
    Lines lines;
    const PackResult packed =
        pack_images(index, request.data, options,
                    [&](std::int64_t done, std::int64_t all) { lines.show(done, all); });
    lines.end();
    std::cout << options.file << ": " << packed.train << " images for training, " << packed.val
              << " for validation, " << index.classes.size() << " classes, " << options.size
              << " x " << options.size << " pixels, "
              << bytes_text(static_cast<double>(std::filesystem::file_size(options.file)));
    if (packed.skipped > 0) {
        std::cout << "; " << packed.skipped << " could not be read and are left out";
    }
    std::cout << '\n';
    return ExitCode::ok;
}

}  // namespace layerledger
