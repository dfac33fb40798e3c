// SPDX-License-Identifier: Apache-2.0
#include "runtime/files/SparseFile.h"
#include "test/TemporaryFolder.h"

#include <csignal>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <vector>

namespace sinter {
namespace {

TEST(SparseFile, LeavesPagesOfZerosAsHoles) {
  TemporaryFolder folder;
  Result<SparseFile> file = SparseFile::open(folder.write("out", "x"), "out");
  ASSERT_TRUE(file && file->resize(64 << 20));
  std::vector<std::byte> bytes(40000);
  bytes[0] = bytes[20000] = bytes[39999] = std::byte{7};
  ASSERT_TRUE(file->writeAt((32 << 20) + 100, bytes));
  std::vector<std::byte> back(bytes.size());
  ASSERT_TRUE(file->readAt((32 << 20) + 100, back));
  EXPECT_EQ(back, bytes);
  struct stat status;
  ASSERT_EQ(::stat(folder.path("out").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 64 << 20);
  EXPECT_LT(status.st_blocks * 512, 1 << 20);
}

TEST(SparseFile, SaysWhatItCannotRead) {
  TemporaryFolder folder;
  EXPECT_EQ(SparseFile::open(folder.path("none"), "out").error().message,
            "out: cannot open '" + folder.path("none") + "': No such file or directory");
  Result<SparseFile> file = SparseFile::open(folder.write("short", "12345"), "out");
  ASSERT_TRUE(file);
  EXPECT_EQ(*file->size(), 5u);
  std::vector<std::byte> bytes(10);
  EXPECT_EQ(file->readAt(2, bytes).error().message,
            "out: expected to read 10 bytes at byte 2, read 3: the end of the file");
}

TEST(SparseFile, SaysThatItMayNotGrow) {
  TemporaryFolder folder;
  Result<SparseFile> file = SparseFile::open(folder.write("out", "x"), "out");
  ASSERT_TRUE(file);
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before, limit;
  ::getrlimit(RLIMIT_FSIZE, &before);
  limit = before;
  limit.rlim_cur = 4096;
  ::setrlimit(RLIMIT_FSIZE, &limit);
  Result<> resized = file->resize(1 << 20),
           written = file->writeAt(8192, std::vector<std::byte>(10, std::byte{1}));
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(resized.error().message, "out: cannot make a file of 1048576 bytes: File too large");
  EXPECT_EQ(written.error().message, "out: cannot write 10 bytes at byte 8192: File too large");
}

} // namespace
} // namespace sinter
