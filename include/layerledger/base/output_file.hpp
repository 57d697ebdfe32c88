// A file that appears whole or not at all.
#pragma once

#include <string>
#include <string_view>

namespace layerledger {

/// Makes the folder and those above it where they are missing. Throws Error{cannot_create}.
void make_folder(const std::string& folder);

/// Throws Error{cannot_create} where `make_folder` would, as far as that shows without making it.
void require_room_for_folder(const std::string& folder);

/// How many processes or threads may replace the same file at once.
enum class Writers : unsigned char { one, several };

/// Written under another name beside its own until it is complete; what is there under its name
/// stays until then, and is replaced.
class OutputFile {
public:
    /// Throws Error{cannot_create} where no file can be made there. Of several writers the file is
    /// whole, by the one that came last.
    explicit OutputFile(std::string path, Writers writers = Writers::one);
    /// Takes away what was written unless `commit` was called.
    ~OutputFile();
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    /// Throws Error{data_lost} where the disk takes no more.
    void write(std::string_view bytes);
    /// What was written is on the disk when this returns, still under its other name. So of several
    /// files that belong together none appears unless there is room for all. Throws like `write`.
    void sync();
    /// The file is on the disk and has its name when this returns. Throws like `write`.
    void commit();

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    [[noreturn]] void fail(int reason) const;
    void flush();

    std::string path_;
    std::string part_;
    std::string buffer_;
    int fd_ = -1;
};

}  // namespace layerledger
