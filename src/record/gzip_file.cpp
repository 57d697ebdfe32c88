#include "gzip_file.hpp"

#include <zlib.h>

#include <array>
#include <utility>

#include "layerledger/base/contract.hpp"

namespace layerledger {
namespace {

constexpr std::size_t block_bytes = std::size_t{64} << 10;

}  // namespace

struct GzipFile::Stream {
    z_stream z{};
    std::array<char, block_bytes> block{};

    Stream() {
        constexpr int gzip_header = 16;  // added to the window bits, says zlib's manual
        constexpr int memory_level = 8;
        const int status = deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + gzip_header,
                                        memory_level, Z_DEFAULT_STRATEGY);
        if (status != Z_OK) {
            throw Error(ExitCode::internal, LibraryCall{"zlib", status, "deflateInit2"},
                        z.msg != nullptr ? z.msg : "");
        }
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { deflateEnd(&z); }
};

GzipFile::GzipFile(std::string path)
    : file_(std::move(path)), stream_(std::make_unique<Stream>()) {}

GzipFile::~GzipFile() = default;

void GzipFile::deflate_all(int flush) {
    z_stream& z = stream_->z;
    int status = Z_OK;
    do {
        z.next_out = reinterpret_cast<Bytef*>(stream_->block.data());
        z.avail_out = block_bytes;
        status = deflate(&z, flush);
        LL_EXPECT(status != Z_STREAM_ERROR);
        file_.write({stream_->block.data(), block_bytes - z.avail_out});
    } while (z.avail_out == 0);
}

void GzipFile::write(std::string_view bytes) {
    z_stream& z = stream_->z;
    while (!bytes.empty()) {
        const std::string_view part = bytes.substr(0, block_bytes);
        // zlib takes a pointer to mutable memory for what it only reads.
        z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(part.data()));
        z.avail_in = static_cast<uInt>(part.size());
        deflate_all(Z_NO_FLUSH);
        bytes.remove_prefix(part.size());
    }
}

void GzipFile::commit() {
    stream_->z.avail_in = 0;
    deflate_all(Z_FINISH);
    file_.commit();
}

}  // namespace layerledger
