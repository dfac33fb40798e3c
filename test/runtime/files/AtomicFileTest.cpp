// SPDX-License-Identifier: Apache-2.0
#include "runtime/files/AtomicFile.h"
#include "runtime/files/ScratchFolder.h"
#include "runtime/files/Temporaries.h"
#include "test/TemporaryFolder.h"
#include "test/WithoutPrivileges.h"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sinter {
namespace {

TEST(AtomicFile, AppearsOnCommitOnly) {
  TemporaryFolder folder;
  Result<AtomicFile> file = AtomicFile::create(folder.path("out"));
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE(file->write("half"));
  EXPECT_FALSE(std::filesystem::exists(folder.path("out")));
  ASSERT_TRUE(file->write(" and half"));
  EXPECT_EQ(file->size(), 13u);
  ASSERT_TRUE(file->commit(true));
  EXPECT_EQ(folder.read("out"), "half and half");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  TemporaryFolder folder;
  folder.write("out", "old");
  {
    Result<AtomicFile> file = AtomicFile::create(folder.path("out"));
    ASSERT_TRUE(file && file->write("new"));
    EXPECT_EQ(folder.entries(), 2u);
  }
  EXPECT_EQ(folder.read("out"), "old");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, TakesWhatAnotherToolWroteUnderTheTemporaryName) {
  TemporaryFolder folder;
  Result<AtomicFile> file = AtomicFile::create(folder.path("out"));
  ASSERT_TRUE(file);
  // As a linker does: a new file renamed over the name it was given.
  std::filesystem::rename(folder.write("theirs", "linked"), file->temporaryPath());
  ASSERT_TRUE(file->commit(true));
  EXPECT_EQ(folder.read("out"), "linked");
}

TEST(AtomicFile, SetsThePermissionsThatTheUmaskLeaves) {
  TemporaryFolder folder;
  mode_t before = ::umask(027);
  Result<AtomicFile> file = AtomicFile::create(folder.path("out"), 0777);
  ::umask(before);
  ASSERT_TRUE(file && file->commit());
  struct stat status;
  ASSERT_EQ(::stat(folder.path("out").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0750u);
}

TEST(AtomicFile, FollowsALinkAndKeepsIt) {
  TemporaryFolder folder;
  std::filesystem::create_symlink(folder.write("real", "old"), folder.path("link"));
  Result<AtomicFile> file = AtomicFile::create(folder.path("link"));
  ASSERT_TRUE(file && file->write("new") && file->commit());
  EXPECT_TRUE(std::filesystem::is_symlink(folder.path("link")));
  EXPECT_EQ(folder.read("real"), "new");
}

TEST(AtomicFile, WritesStraightIntoADevice) {
  Result<AtomicFile> file = AtomicFile::create("/dev/null");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_TRUE(file->write("gone") && file->commit(true));
  EXPECT_FALSE(std::filesystem::is_regular_file("/dev/null"));
}

TEST(AtomicFile, SaysWhyItCannotBeCreated) {
  TemporaryFolder folder;
  auto message = [](const std::string &path) { return AtomicFile::create(path).error().message; };
  EXPECT_EQ(message(folder.path()),
            folder.path() + ": expected the path of a file to write, found a directory");
  EXPECT_EQ(message(folder.path("none/out")), folder.path("none/out") +
                                                  ": expected a folder that can be written to, '" +
                                                  folder.path("none/") + "': No such file or directory");
  EXPECT_EQ(message("nowhere/"), "nowhere/: expected the path of a file to write, found a folder's");
}

TEST(AtomicFile, SaysThatPermissionIsMissing) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder.path("locked"));
  folder.write("locked/old", "x");
  ::chmod(folder.path("locked/old").c_str(), 0444);
  ::chmod(folder.path("locked").c_str(), 0555);
  ::chmod(folder.path().c_str(), 0755);
  WithoutPrivileges nobody;
  if (!nobody.hold())
    GTEST_SKIP() << "the superuser may write everywhere";
  EXPECT_EQ(AtomicFile::create(folder.path("locked/new")).error().message,
            folder.path("locked/new") + ": expected a folder that can be written to, '" +
                folder.path("locked/") + "': Permission denied");
  EXPECT_EQ(AtomicFile::create(folder.path("locked/old")).error().message,
            folder.path("locked/old") + ": cannot replace the file: Permission denied");
}

TEST(AtomicFile, SaysThatTheDiskIsFull) {
  Result<AtomicFile> file = AtomicFile::create("/dev/full");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->write("bytes").error().message,
            "/dev/full: expected to write 5 bytes at byte 0, wrote 0: No space left on device");
}

TEST(AtomicFile, RemovesTemporariesWhenASignalAsksForIt) {
  TemporaryFolder folder;
  Result<AtomicFile> file = AtomicFile::create(folder.path("out"));
  ASSERT_TRUE(file);
  EXPECT_EQ(folder.entries(), 1u);
  removeTemporaries();
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(AtomicFile, HasAPathThatIsNotEmpty) {
  EXPECT_EQ(AtomicFile::create("").error().message,
            "expected the path of a file to write, found an empty one");
}

TEST(ScratchFolder, GoesWithItsFilesAtItsEndAndWhenASignalAsksForIt) {
  TemporaryFolder folder;
  setenv("TMPDIR", folder.path("").c_str(), 1);
  const auto fill = [](const ScratchFolder &scratch) {
    for (int i = 0; i < 300; ++i) // more names than one read of the folder gives
      std::ofstream(scratch.path("a file of the linker " + std::to_string(i))) << "bytes";
  };
  {
    Result<ScratchFolder> scratch = ScratchFolder::create();
    ASSERT_TRUE(scratch) << scratch.error().message;
    fill(*scratch);
    EXPECT_EQ(folder.entries(), 1u);
  }
  EXPECT_EQ(folder.entries(), 0u);
  Result<ScratchFolder> scratch = ScratchFolder::create();
  fill(*scratch);
  removeTemporaries();
  EXPECT_EQ(folder.entries(), 0u);
  setenv("TMPDIR", folder.path("none").c_str(), 1);
  EXPECT_TRUE(ScratchFolder::create().error().message.starts_with("cannot make a temporary folder " +
                                                                  folder.path("none/sinter-")));
  unsetenv("TMPDIR");
}

} // namespace
} // namespace sinter
