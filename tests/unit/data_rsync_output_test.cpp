// Lines as rsync 3.2.7 and 3.5.0 print them.
#include <gmock/gmock.h>

#include "data/rsync_output.hpp"

namespace layerledger {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Lines, EndAtNewlinesAndCarriageReturns) {
    Lines lines;
    std::vector<std::string> seen;
    const auto use = [&](std::string_view line) { seen.emplace_back(line); };
    lines.add("one\nt", use);
    lines.add("wo\rthree", use);
    EXPECT_THAT(seen, ElementsAre("one", "two"));
    lines.add("\r\n\n", use);
    EXPECT_THAT(seen, ElementsAre("one", "two", "three"));
}

TEST(TransferOutput, CountsFilesTransfersAndDeletions) {
    TransferOutput found;
    for (const char* line :
         {"item .d          4096 2026/11/25-06:51:04 ./",
          "item cd+++++++++ 4096 2026/11/25-06:51:04 train/cat/",
          "item >f+++++++++ 20000 2026/11/25-06:51:04 train/cat/1.JPEG",
          "item .f          300 2026/11/25-06:51:04 train/cat/a name  with blanks.JPEG",
          "item >f.st...... 40 2026/11/25-06:51:04 train/cat/3.JPEG",
          "item *deleting   0 1970/01/01-00:00:00 train/cat/extra", "no such line"}) {
        found.read(line);
    }
    EXPECT_EQ(found.files, 3);
    EXPECT_EQ(found.bytes, 20340);
    EXPECT_EQ(found.transferred_files, 2);
    EXPECT_EQ(found.transferred_bytes, 20040);
    EXPECT_EQ(found.deleted, 1);
}

std::uint64_t digest(const std::vector<std::string>& lines) {
    TransferOutput found;
    for (const std::string& line : lines) {
        found.read(line);
    }
    return found.digest;
}

TEST(TransferOutput, DigestTellsSetsApartWhateverTheOrderAndTheTransfer) {
    const std::string a = "20000 2026/11/25-06:51:04 a.JPEG";
    const std::string b = "300 2026/11/25-06:51:04 b.JPEG";
    const std::uint64_t set = digest({"item >f+++++++++ " + a, "item >f+++++++++ " + b});
    EXPECT_EQ(digest({"item .f          " + b, "item .f          " + a}), set);
    EXPECT_NE(digest({"item .f          " + a}), set);
    EXPECT_NE(digest({"item .f          " + a, "item .f          301 2026/11/25-06:51:04 b.JPEG"}),
              set);
    EXPECT_NE(digest({"item .f          " + a, "item .f          300 2026/11/25-06:51:05 b.JPEG"}),
              set);
    EXPECT_NE(digest({"item .f          " + a, "item .f          300 2026/11/25-06:51:04 c.JPEG"}),
              set);
}

TEST(TransferOutput, ReadsProgress) {
    TransferOutput found;
    found.read("        300004 100%  143.05MB/s    0:00:00 (xfr#17, to-chk=0/25)");
    EXPECT_EQ(found.arrived_bytes, 300004);
    EXPECT_EQ(found.percent, 100);
    found.read("     987654321   7%    1.20MB/s    0:00:05 ");
    EXPECT_EQ(found.arrived_bytes, 987654321);
    EXPECT_EQ(found.percent, 7);
    found.read("sending incremental file list");
    EXPECT_EQ(found.arrived_bytes, 987654321);
}

TEST(ListedFolders, AreTheVisibleOnesSorted) {
    EXPECT_THAT(listed_folders({"drwxr-xr-x          4,096 2026/11/25 06:51:04 .",
                                "drwxr-xr-x          4,096 2026/11/25 06:51:04 do g",
                                "-rw-r--r--      1,204,096 2026/11/25 06:51:04 file",
                                "drwxr-xr-x              3 2026/11/25 06:51:04 cat",
                                "drwxr-xr-x              3 2026/11/25 06:51:04 .hidden"}),
                ElementsAre("cat", "do g"));
}

Error explained(int code, std::vector<std::string> errors) {
    return explain({code, std::move(errors)}, parse_remote("ann@node:/data"), "/scratch/set");
}

void expect_explained(int code, std::vector<std::string> errors, ExitCode wanted,
                      const std::string& cause, const std::string& what) {
    const Error error = explained(code, std::move(errors));
    EXPECT_EQ(error.code(), wanted) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("ann@node:/data"));
    EXPECT_THAT(error.what(), HasSubstr("/scratch/set"));
    EXPECT_THAT(error.what(), HasSubstr("(" + cause + ")"));
    EXPECT_THAT(error.what(), HasSubstr(what));
}

TEST(Explain, TellsCausesApart) {
    const std::string end =
        "rsync error: some files/attrs were not transferred (see previous "
        "errors) (code 23) at main.c(1865) [Receiver=3.5.0]";
    const std::string closed =
        "rsync: connection unexpectedly closed (0 bytes received so far) "
        "[Receiver]";
    const auto expect_remote_fault = [&](int code, const std::string& line,
                                         const std::string& what) {
        expect_explained(code, {line, closed, end}, ExitCode::input_missing, line, what);
    };
    expect_remote_fault(255, "ssh: connect to host node port 22: Connection refused",
                        "no connection");
    expect_remote_fault(255, "ssh: Could not resolve hostname node: Name or service not known",
                        "not known");
    expect_remote_fault(255, "Connection to 10.0.0.1 port 22 timed out", "cannot be reached");
    expect_remote_fault(255, "Host key verification failed.", "key is not known");
    expect_remote_fault(255, "ann@node: Permission denied (publickey).", "refuses the login");
    expect_remote_fault(23,
                        "rsync: [sender] send_files failed to open \"/data/train/a/1.JPEG\": "
                        "Permission denied (13)",
                        "be read");
    expect_remote_fault(23,
                        "rsync: [sender] change_dir \"/data/train\" failed: No such file or "
                        "directory (2)",
                        "no such folder");
    const std::string gone =
        "rsync: [sender] change_dir \"x\" (in set) failed: No such file or "
        "directory (2)";
    expect_explained(23,
                     {gone, end, "rsync: [Receiver] read error: Connection reset by peer (104)"},
                     ExitCode::input_missing, gone, "no such folder");
    expect_remote_fault(5, "@ERROR: Unknown module 'data'", "no such module");
    expect_remote_fault(127, "bash: line 1: rsync: command not found", "has no rsync");

    const auto expect_local_fault = [&](int code, const std::string& line,
                                        const std::string& what) {
        expect_explained(code, {line, "rsync: [sender] write error: Broken pipe (32)", end},
                         ExitCode::cannot_create, line, what);
    };
    expect_local_fault(11,
                       "rsync: [receiver] write failed on \"/scratch/set/train/a/1.JPEG\": No "
                       "space left on device (28)",
                       "is full");
    expect_local_fault(23,
                       "rsync: [receiver] mkstemp \"/scratch/set/train/a/.1.JPEG.x\" failed: "
                       "Permission denied (13)",
                       "cannot be written");
    expect_local_fault(11,
                       "rsync: [generator] recv_generator: mkdir \"/scratch/set/train\" failed: "
                       "Permission denied (13)",
                       "cannot be written");
}

TEST(Explain, HasSomethingToSayAlways) {
    EXPECT_THAT(
        explained(30, {"rsync error: timeout in data send/receive (code 30) at io.c(205)"}).what(),
        HasSubstr("data.remote_timeout_seconds"));
    EXPECT_THAT(explained(99, {}).what(), HasSubstr("exit code 99"));
    EXPECT_EQ(explained(99, {}).code(), ExitCode::input_missing);
}

TEST(Explain, AMissingFolderIsTellable) {
    EXPECT_TRUE(means_missing({23,
                               {"rsync: [sender] change_dir \"/x\" failed: No such file or "
                                "directory (2)",
                                "rsync error: x (code 23)"}}));
    EXPECT_FALSE(means_missing({255, {"ssh: connect to host node port 22: Connection refused"}}));
}

}  // namespace
}  // namespace layerledger
