// SPDX-License-Identifier: Apache-2.0
// Read in order, work on all cores, write in order: the result does not depend on the number of threads.
#ifndef SINTER_RUNTIME_DATA_ORDEREDPIPELINE_H
#define SINTER_RUNTIME_DATA_ORDEREDPIPELINE_H

#include "runtime/Result.h"

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace sinter::data {

/// Runs three stages until `read` gives nothing or one of them fails; the first error (in the order of the
/// items, as far as they were reached) is the result.
///   read()             -> Result<std::optional<Item>>: one call at a time, any thread
///   work(Item, thread) -> Result<Out>: on `threads` threads at once, `thread` below `threads`
///   write(Out)         -> Result<>: one call at a time, in the order in which items were read
///   sizeOf(const Item &) -> size_t: its bytes
/// No item is read while 2 * threads + 2 are in flight, or while those in flight have `bytes` or more: memory
/// is bounded by that and one item, whatever the number of threads.
template <typename Read, typename Work, typename Write, typename SizeOf>
Result<> orderedPipeline(unsigned threads, size_t bytes, SizeOf sizeOf, Read read, Work work, Write write) {
  using Item = typename decltype(read())::value_type::value_type;
  using Out = typename decltype(work(std::declval<Item>(), 0u))::value_type;
  std::mutex reading, state;
  std::condition_variable moved;
  struct Finished {
    Out out;
    size_t size; // of the item
  };
  std::map<uint64_t, Finished> finished; // worked on, waiting for an earlier one
  uint64_t nextRead = 0, nextWrite = 0;
  size_t inFlight = 0; // bytes of items that are read and not yet written
  bool writing = false, stop = false;
  std::optional<Error> error;

  auto halt = [&](const Error &found) { // holds `state`
    if (!error)
      error = found;
    stop = true;
    moved.notify_all();
  };
  auto run = [&](unsigned thread) {
    for (;;) {
      std::unique_lock readLock(reading);
      uint64_t number;
      {
        std::unique_lock lock(state);
        moved.wait(lock, [&] {
          return stop || nextRead == nextWrite ||
                 (nextRead - nextWrite < 2 * threads + 2 && inFlight < bytes);
        });
        if (stop)
          return;
        number = nextRead++;
      }
      auto item = read();
      if (!item || !*item) {
        std::unique_lock lock(state);
        if (!item)
          halt(item.error());
        --nextRead;
        stop = true;
        moved.notify_all();
        return;
      }
      const size_t size = sizeOf(**item);
      {
        std::unique_lock lock(state);
        inFlight += size;
      }
      readLock.unlock();
      auto out = work(std::move(**item), thread);
      std::unique_lock lock(state);
      if (!out) {
        halt(out.error());
        return;
      }
      finished.emplace(number, Finished{std::move(*out), size});
      while (!writing && !error && !finished.empty() && finished.begin()->first == nextWrite) {
        Finished ready = std::move(finished.begin()->second);
        finished.erase(finished.begin());
        writing = true;
        lock.unlock();
        Result<> written = write(std::move(ready.out));
        lock.lock();
        writing = false;
        ++nextWrite;
        inFlight -= ready.size;
        if (!written)
          halt(written.error());
        moved.notify_all();
      }
    }
  };
  std::vector<std::thread> team;
  for (unsigned i = 1; i < threads; ++i)
    team.emplace_back(run, i);
  run(0);
  for (std::thread &thread : team)
    thread.join();
  if (error)
    return tl::unexpected(*error);
  return {};
}

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_ORDEREDPIPELINE_H
