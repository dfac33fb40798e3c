// SPDX-License-Identifier: Apache-2.0
// A session may be used by one thread after another (runtime/generate/CApi.h), under a driver that wants a
// current context in each, as CUDA's does.
#include "test/runtime/device/CudaModel.h"
#include <thread>

using namespace sinter;
using namespace sinter::device;
using namespace sinter::test;

namespace {

TEST_F(CudaTest, ASessionMayBeUsedByOneThreadAfterAnother) {
  set("SINTER_EMULATOR", SINTER_CONTEXT_DRIVER);
  const Model m;
  Result<std::unique_ptr<Device>> device = m.open();
  ASSERT_TRUE(device) << device.error().message;
  const uint64_t before = (*device)->memory().available;
  Result<std::unique_ptr<Session>> session = fail("no session");
  const auto inThread = [](auto body) { std::thread(body).join(); };
  inThread([&] { session = (*device)->openSession({64, 2, {}}); });
  ASSERT_TRUE(session) << session.error().message;
  Expected sequence;
  const auto decode = [&](int32_t token, int32_t position) {
    const int32_t slot = 0, select = 0;
    const Rows rows = {EntryKind::Decode, {&token, 1}, {&position, 1}, {&slot, 1}};
    const Result<void> done = (*session)->run(rows, {&select, 1});
    ASSERT_TRUE(done) << done.error().message;
    sequence.add(token);
    sequence.check((*session)->logits());
  };
  decode(4, 0);
  inThread([&] { decode(7, 1); });
  inThread([&] {
    const Result<void> copied = (*session)->copyPrefix(0, 1, 2);
    EXPECT_TRUE(copied) << copied.error().message;
  });
  inThread([&] {
    const Result<void> done = (*session)->fetchLogits();
    EXPECT_TRUE(done) << done.error().message;
  });
  LaunchTimes times;
  inThread([&] { (*session)->setLaunchTimes(EntryKind::Decode, &times); });
  inThread([&] { decode(3, 2); });
  EXPECT_EQ(times.work.size(), 2u);
  inThread([&] { session->reset(); });
  inThread([&] { EXPECT_EQ((*device)->memory().available, before) << "all is given back"; });
  inThread([&] { device->reset(); });
}

} // namespace
