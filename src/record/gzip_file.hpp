// A compressed file that appears whole or not at all.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "layerledger/base/output_file.hpp"

namespace layerledger {

class GzipFile {
public:
    /// Throws as OutputFile does, as do `write` and `commit`.
    explicit GzipFile(std::string path);
    ~GzipFile();
    GzipFile(const GzipFile&) = delete;
    GzipFile& operator=(const GzipFile&) = delete;

    void write(std::string_view bytes);
    void commit();

    [[nodiscard]] const std::string& path() const noexcept { return file_.path(); }

private:
    struct Stream;

    void deflate_all(int flush);

    OutputFile file_;
    std::unique_ptr<Stream> stream_;
};

}  // namespace layerledger
