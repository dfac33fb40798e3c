// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/Memory.h"
#include <fstream>
#include <gtest/gtest.h>

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

TEST(MemoryTest, TheMachineHasMemory) {
  EXPECT_GT(totalMemory(), 0u);
  EXPECT_LE(availableMemory(), totalMemory());
}
