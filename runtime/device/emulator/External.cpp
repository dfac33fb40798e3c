// SPDX-License-Identifier: Apache-2.0
// Functions that the driver provides to kernels: vprintf, __assertfail, malloc and free.
#include "runtime/device/emulator/Calls.h"
#include "runtime/device/emulator/GlobalRaces.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Memory.h"

#include <cstdio>
#include <cstring>
#include <mutex>

namespace sinter::emulator {

namespace {

const std::vector<uint64_t> &argumentsOf(const Instruction &in) {
  return *static_cast<const std::vector<uint64_t> *>(in.detail);
}

constexpr const char *mallocName = "what malloc gave";

/// A value in the local memory of a lane, where the caller's .param variables live.
template <typename T> T localValue(const Warp &warp, int lane, uint64_t address) {
  T value;
  std::memcpy(&value, warp.local.data() + static_cast<size_t>(lane) * warp.program->localBytes + address,
              sizeof(T));
  return value;
}

uint64_t frameOf(const Warp &warp, const Instruction &in, int lane) {
  return in.a ? warp.reg<uint64_t>(in.a)[lane] : 0;
}

template <typename T> T argument(const Warp &warp, const Instruction &in, int lane, size_t index) {
  return localValue<T>(warp, lane, frameOf(warp, in, lane) + argumentsOf(in)[index]);
}

template <typename T> void giveResult(Warp &warp, const Instruction &in, int lane, T value) {
  std::memcpy(warp.local.data() + static_cast<size_t>(lane) * warp.program->localBytes +
                  frameOf(warp, in, lane) + static_cast<uint64_t>(in.offset),
              &value, sizeof(T));
}

/// The text at a generic address, up to its terminator; what is not readable ends it.
std::string textAt(const Warp &warp, uint64_t address) {
  std::string text;
  for (; text.size() < 4096; ++address) {
    char c = 0;
    if (!warp.block->cluster->launch->memory->read(address, &c, 1) || !c)
      break;
    text += c;
  }
  return text;
}

/// printf with its arguments in local memory, each at a multiple of its size, as C's varargs promote them.
std::string formatted(const Warp &warp, int lane, const std::string &format, uint64_t arguments) {
  std::string out;
  uint64_t at = arguments & 0xffffffff;
  const auto next = [&](uint64_t bytes) {
    at = (at + bytes - 1) / bytes * bytes;
    const uint64_t here = at;
    at += bytes;
    return here + bytes <= warp.program->localBytes ? here : 0;
  };
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    if (i + 1 < format.size() && format[i + 1] == '%') {
      out += format[i++];
      continue;
    }
    const size_t end = format.find_first_of("diouxXcsfFeEgGaAp", i);
    if (end == std::string::npos)
      return out + format.substr(i);
    const char kind = format[end];
    std::string spec = format.substr(i, end - i);
    const bool isLong = spec.find_first_of("ljzt") != std::string::npos || kind == 'p';
    std::erase_if(spec, [](char c) { return std::strchr("hljztL", c) && c; });
    // Nothing but flags, a width and a precision, of few digits: the host's printf knows more (%n, %*d).
    const size_t strange = spec.find_first_not_of("-+ #0123456789.", 1);
    if (strange != std::string::npos || spec.size() > 9) {
      out += format.substr(i, end - i + 1);
      i = end;
      continue;
    }
    if (isLong && std::strchr("diouxX", kind))
      spec += "l";
    spec += kind;
    char buffer[256] = {};
    if (kind == 's') {
      std::snprintf(buffer, sizeof buffer, spec.c_str(),
                    textAt(warp, localValue<uint64_t>(warp, lane, next(8))).c_str());
    } else if (std::strchr("fFeEgGaA", kind)) {
      std::snprintf(buffer, sizeof buffer, spec.c_str(), localValue<double>(warp, lane, next(8)));
    } else if (isLong) {
      std::snprintf(buffer, sizeof buffer, spec.c_str(), localValue<uint64_t>(warp, lane, next(8)));
    } else {
      std::snprintf(buffer, sizeof buffer, spec.c_str(), localValue<uint32_t>(warp, lane, next(4)));
    }
    out += buffer;
    i = end;
  }
  return out;
}

void vprintfLanes(Warp &warp, const Instruction &in) {
  static std::mutex output;
  eachActive(warp, [&](int lane) {
    const std::string text = formatted(warp, lane, textAt(warp, argument<uint64_t>(warp, in, lane, 0)),
                                       argument<uint64_t>(warp, in, lane, 1));
    const std::lock_guard lock(output);
    std::fputs(text.c_str(), stdout);
    if (in.offset >= 0)
      giveResult(warp, in, lane, static_cast<int32_t>(text.size()));
  });
}

/// __assertfail(message, file, line, function, charSize)
void assertLanes(Warp &warp, const Instruction &in) {
  const int lane = __builtin_ctz(warp.active);
  warp.fault(in, "device-side assertion '{}' failed: {}:{}, {}",
             textAt(warp, argument<uint64_t>(warp, in, lane, 0)),
             textAt(warp, argument<uint64_t>(warp, in, lane, 1)), argument<uint32_t>(warp, in, lane, 2),
             textAt(warp, argument<uint64_t>(warp, in, lane, 3)));
}

/// malloc: null when the host has no more. What is not freed stays until the memory itself goes.
void mallocLanes(Warp &warp, const Instruction &in) {
  if (in.offset < 0)
    return warp.fault(in, "malloc: expected a result");
  constexpr uint64_t most = 1ull << 32;
  eachActive(warp, [&](int lane) {
    const auto bytes = argument<uint64_t>(warp, in, lane, 0);
    const uint64_t address =
        bytes && bytes <= most ? warp.block->cluster->launch->memory->allocate(bytes, mallocName) : 0;
    if (GlobalRaceChecker *races = warp.block->cluster->launch->globalRaces.get(); races && address)
      races->forget(address, bytes);
    giveResult(warp, in, lane, address);
  });
}

void freeLanes(Warp &warp, const Instruction &in) {
  warp.ranges = {};
  eachActive(warp, [&](int lane) {
    const auto address = argument<uint64_t>(warp, in, lane, 0);
    if (address && !warp.block->cluster->launch->memory->free(address, mallocName))
      warp.fault(in, "{}: free: expected what malloc gave, found {:#x}", warp.describe(lane), address);
  });
}

} // namespace

const ExternalFunction *externalFunction(std::string_view name) {
  static const ExternalFunction functions[] = {{"vprintf", &vprintfLanes, {8, 8}, 4},
                                               {"__assertfail", &assertLanes, {8, 8, 4, 8, 8}, 0},
                                               {"malloc", &mallocLanes, {8}, 8},
                                               {"free", &freeLanes, {8}, 0}};
  for (const ExternalFunction &each : functions)
    if (each.name == name)
      return &each;
  return nullptr;
}

} // namespace sinter::emulator
