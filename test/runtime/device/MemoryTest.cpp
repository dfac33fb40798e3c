// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/Memory.h"
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <unistd.h>

using namespace sinter;
using namespace sinter::device;

TEST(MemoryTest, AnonymousMemoryIsZeroAndAligned) {
  for (size_t bytes : {size_t(0), size_t(1), size_t(5) << 20}) {
    const Result<Mapping> mapping = Mapping::anonymous(bytes, bytes > 100, "test");
    ASSERT_TRUE(mapping);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(mapping->data()) % (2 << 20), 0u);
    for (size_t i = 0; i < bytes; i += 4096)
      ASSERT_EQ(mapping->data()[i], std::byte(0));
  }
}

TEST(MemoryTest, MoreThanTheAddressSpaceIsAnErrorThatSaysWhatFor) {
  EXPECT_NE(Mapping::anonymous(size_t(1) << 60, false, "keys and values")
                .error()
                .message.find("keys and values: expected 1152921504606846976 bytes of memory"),
            std::string::npos);
  EXPECT_FALSE(Mapping::anonymous(SIZE_MAX, false, "x"));
}

TEST(MemoryTest, FilesAreMappedAndTheirLengthChecked) {
  const std::string path = testing::TempDir() + "/weights.bin";
  std::ofstream(path) << std::string(5000, 'x');
  const Result<Mapping> whole = Mapping::file(path, 4096, 904);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->data()[903], std::byte('x'));
  EXPECT_EQ(Mapping::file(path, 4096, 905).error().message,
            path + ": expected at least 5001 bytes, found 5000");
  EXPECT_EQ(Mapping::file("/nowhere", 0, 1).error().message,
            "/nowhere: cannot open: No such file or directory");
}

/// MiB of mapped files in this process's memory.
static long fileMemory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssFile:"))
      return std::stol(line.substr(8)) / 1024;
  return -1;
}

TEST(MemoryTest, WhatIsCopiedFromAFileDoesNotStayInMemoryTwice) {
  const std::string path = testing::TempDir() + "/image.bin";
  const size_t size = size_t(48) << 20;
  std::string text(size, 0);
  for (size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>(i * 7 >> 5);
  std::ofstream(path) << text;
  struct statfs system;
  if (::statfs(path.c_str(), &system) == 0 && system.f_type == TMPFS_MAGIC)
    GTEST_SKIP() << path << " is memory itself";
  const int descriptor = ::open(path.c_str(), O_RDWR);
  ::fsync(descriptor); // pages that must still be written cannot go
  ::close(descriptor);
  const Result<Mapping> file = Mapping::file(path, 0, size);
  ASSERT_TRUE(file);
  const long before = fileMemory();
  ASSERT_GE(before, 0);
  std::string copy(size, 0);
  copyFromFile(copy.data(), file->data(), size);
  EXPECT_LT(fileMemory() - before, 24) << "of 48 MiB";
  EXPECT_EQ(copy, text);
  copyFromFile(copy.data(), file->data() + 1, size - 1); // and again, from anywhere
  EXPECT_EQ(std::string_view(copy).substr(0, size - 1), std::string_view(text).substr(1));
  ::unlink(path.c_str());
}

TEST(MemoryTest, TheMachineHasMemory) {
  EXPECT_GT(totalMemory(), 0u);
  EXPECT_LE(availableMemory(), totalMemory());
}
