// SPDX-License-Identifier: Apache-2.0
#include "runtime/files/MappedFile.h"
#include "runtime/files/Presence.h"
#include "test/TemporaryFolder.h"
#include "test/WithoutPrivileges.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sinter {
namespace {

TEST(MappedFile, ShowsTheBytesOfAFile) {
  TemporaryFolder folder;
  Result<MappedFile> file = MappedFile::open(folder.write("a", "seven b"));
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->text(), "seven b");
  EXPECT_EQ(file->size(), 7u);
}

TEST(MappedFile, StaysMappedWhenMoved) {
  TemporaryFolder folder;
  MappedFile other;
  {
    Result<MappedFile> file = MappedFile::open(folder.write("a", "text"));
    ASSERT_TRUE(file);
    other = std::move(*file);
    MappedFile third(std::move(other));
    other = std::move(third);
  }
  EXPECT_EQ(other.text(), "text");
  EXPECT_EQ(other.path(), folder.path("a"));
}

TEST(MappedFile, SaysWhyAFileCannotBeRead) {
  TemporaryFolder folder;
  auto message = [](const std::string &path) { return MappedFile::open(path).error().message; };
  EXPECT_EQ(message(folder.path("none")),
            folder.path("none") + ": expected a readable file, found: No such file or directory");
  EXPECT_EQ(message(folder.path()), folder.path() + ": expected a file, found a directory");
  EXPECT_EQ(message("/dev/null"), "/dev/null: expected a file, found a device or pipe");
  std::string empty = folder.write("empty", "");
  EXPECT_EQ(message(empty), empty + ": expected a file with content, found an empty one");
}

TEST(MappedFile, WhatCannotBeOpenedIsThereAllTheSame) {
  TemporaryFolder folder;
  EXPECT_TRUE(isThere(folder.path()));
  EXPECT_TRUE(isThere(folder.write("a", "x")));
  EXPECT_FALSE(isThere(folder.path("b")));
  EXPECT_FALSE(isThere(folder.path("a") + "/b"));
  ASSERT_EQ(::symlink("circle", folder.path("circle").c_str()), 0);
  EXPECT_TRUE(isThere(folder.path("circle")));
  EXPECT_EQ(MappedFile::open(folder.path("circle")).error().message,
            folder.path("circle") + ": expected a readable file, found: Too many levels of symbolic links");
  ASSERT_EQ(::symlink("nowhere", folder.path("dangling").c_str()), 0);
  EXPECT_TRUE(isThere(folder.path("dangling")));
}

TEST(MappedFile, SaysThatPermissionIsMissing) {
  TemporaryFolder folder;
  std::string path = folder.write("secret", "x");
  ::chmod(path.c_str(), 0);
  ::chmod(folder.path().c_str(), 0755);
  WithoutPrivileges nobody;
  if (!nobody.hold())
    GTEST_SKIP() << "the superuser may read everything";
  EXPECT_EQ(MappedFile::open(path).error().message,
            path + ": expected a readable file, found: Permission denied");
}

} // namespace
} // namespace sinter
