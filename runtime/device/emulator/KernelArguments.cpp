// SPDX-License-Identifier: Apache-2.0
// Arguments of sinter run-ptx.
#include "runtime/device/emulator/KernelArguments.h"
#include "runtime/device/emulator/Floats.h"
#include "runtime/device/emulator/HostMemory.h"
#include "runtime/device/emulator/TensorMap.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace sinter::emulator {

namespace {

std::vector<std::string> split(const std::string &text, char by) {
  std::vector<std::string> parts;
  size_t start = 0, depth = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size()) {
      depth += text[i] == '[';
      depth -= text[i] == ']' && depth;
    }
    if (i == text.size() || (text[i] == by && !depth)) {
      parts.push_back(text.substr(start, i - start));
      start = i + 1;
    }
  }
  return parts;
}

bool integers(const std::string &text, std::vector<uint64_t> &values) {
  for (const std::string &part : split(text, ',')) {
    char *end = nullptr;
    if (part.empty() || part[0] < '0' || part[0] > '9')
      return false;
    values.push_back(std::strtoull(part.c_str(), &end, 10));
    if (*end)
      return false;
  }
  return !values.empty();
}

/// f32 -> f4. bf16 travels as uint16: NumPy lacks it.
std::string numpyType(const std::string &name) {
  static constexpr std::pair<const char *, const char *> types[] = {
      {"f64", "f8"}, {"f32", "f4"}, {"f16", "f2"}, {"bf16", "u2"}, {"s64", "i8"}, {"s32", "i4"},
      {"s16", "i2"}, {"s8", "i1"},  {"i64", "i8"}, {"i32", "i4"},  {"i16", "i2"}, {"i8", "i1"},
      {"u64", "u8"}, {"u32", "u4"}, {"u16", "u2"}, {"u8", "u1"}};
  for (const auto &[ours, numpys] : types)
    if (name == ours)
      return numpys;
  return "";
}

/// CUtensorMapDataType of a NumPy type; uint16 is taken as bf16, so that reductions add numbers.
int tensorType(const std::string &type) {
  static constexpr std::pair<const char *, int> types[] = {{"u1", 0}, {"i1", 0}, {"i2", 1}, {"u4", 2},
                                                           {"i4", 3}, {"u8", 4}, {"i8", 5}, {"f2", 6},
                                                           {"f4", 7}, {"f8", 8}, {"u2", 9}};
  for (const auto &[name, value] : types)
    if (type == name)
      return value;
  return -1;
}

template <typename T> std::vector<uint8_t> bytesOfValue(T value) {
  std::vector<uint8_t> bytes(sizeof(T));
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

constexpr uint64_t mostBytes = 1ull << 40; // of an array, all of its elements together

/// "f32[128,128]": an array of this type and shape, without data. `path` is for messages.
Result<NpyArray> described(const std::string &path, const std::string &text) {
  NpyArray array;
  const size_t open = text.find('[');
  if (open != std::string::npos && text.back() == ']')
    array.type = numpyType(text.substr(0, open));
  if (array.type.empty() || !integers(text.substr(open + 1, text.size() - open - 2), array.shape))
    return fail("out:{}: expected a type and shape such as f32[128,128], found '{}'", path, text);
  uint64_t bytes = array.elementBytes();
  for (const uint64_t each : array.shape) {
    if (each && bytes > mostBytes / each)
      return fail("out:{}: expected at most 2^40 bytes, found shape '{}'", path, text);
    bytes *= each;
  }
  return array;
}

uint64_t bytesOfArray(const NpyArray &array) {
  uint64_t bytes = array.elementBytes();
  for (const uint64_t each : array.shape)
    bytes *= each;
  return bytes;
}

} // namespace

Result<KernelArguments::Buffer *> KernelArguments::buffer(const std::string &kind, const std::string &path,
                                                          const std::string &shape) {
  for (Buffer &each : buffers)
    if (each.path == path) {
      each.writes |= kind != "in";
      return &each;
    }
  Buffer made;
  made.path = path;
  made.writes = kind != "in";
  if (kind == "out") {
    Result<NpyArray> array = described(path, shape);
    if (!array)
      return tl::unexpected<Error>(array.error());
    made.array = std::move(*array);
    const uint64_t bytes = bytesOfArray(made.array);
    if (bytes > most)
      return fail("{}: no memory for {} bytes", path, bytes);
    made.array.data.assign(bytes, 0);
  } else {
    Result<NpyArray> array = readNpy(path);
    if (!array)
      return tl::unexpected<Error>(array.error());
    made.array = std::move(*array);
  }
  made.address = memory.allocate(made.array.data.size(), path);
  if (!made.address)
    return fail("{}: no memory for {} bytes", path, made.array.data.size());
  std::copy(made.array.data.begin(), made.array.data.end(), reinterpret_cast<uint8_t *>(made.address));
  buffers.push_back(std::move(made));
  return &buffers.back();
}

Result<> KernelArguments::putAddress(Buffer &into, const std::string &text) {
  const size_t equals = text.find('=');
  std::vector<uint64_t> offset;
  const uint64_t size = into.array.data.size();
  if (equals == std::string::npos || !integers(text.substr(0, equals), offset) || offset.size() != 1 ||
      offset[0] % 8 || size < 8 || offset[0] > size - 8)
    return fail(
        "{}: expected OFFSET=FILE, with 8 aligned bytes for an address in the array of {} bytes, found '{}'",
        into.path, size, text);
  Result<Buffer *> other = buffer("in", text.substr(equals + 1), "");
  if (!other)
    return tl::unexpected<Error>(other.error());
  std::memcpy(into.array.data.data() + offset[0], &(*other)->address, 8);
  std::memcpy(reinterpret_cast<uint8_t *>(into.address) + offset[0], &(*other)->address, 8);
  return {};
}

Result<> KernelArguments::addNumber(const std::string &type, const std::string &value) {
  char *end = nullptr;
  errno = 0;
  const bool real = type[0] == 'f' || type == "bf16";
  const double number = std::strtod(value.c_str(), &end);
  if (!real)
    (void)(type[0] == 'u' || type == "ptr" ? std::strtoull(value.c_str(), &end, 0)
                                           : static_cast<uint64_t>(std::strtoll(value.c_str(), &end, 0)));
  if (value.empty() || *end || errno)
    return fail("{}:{}: expected a number", type, value);
  const uint64_t bits = value[0] == '-' ? static_cast<uint64_t>(std::strtoll(value.c_str(), nullptr, 0))
                                        : std::strtoull(value.c_str(), nullptr, 0);
  std::vector<uint8_t> bytes;
  if (type == "f32")
    bytes = bytesOfValue(static_cast<float>(number));
  else if (type == "f64")
    bytes = bytesOfValue(number);
  else if (type == "f16")
    bytes = bytesOfValue(floatToHalf(number));
  else if (type == "bf16")
    bytes = bytesOfValue(floatToBfloat(number));
  else
    bytes = bytesOfValue(bits);
  const std::string numpy = type == "ptr" ? "u8" : numpyType(type);
  const size_t size = static_cast<size_t>(numpy[1] - '0');
  if (type[0] == 'u' && value[0] == '-')
    return fail("{}:{}: expected no negative number", type, value);
  if (!real && size < 8) {
    const int64_t lowest = type[0] == 'u' ? 0 : -(1ll << (8 * size - 1)),
                  highest = type[0] == 'u' ? (1ll << 8 * size) - 1 : (1ll << (8 * size - 1)) - 1;
    if (static_cast<int64_t>(bits) < lowest || static_cast<int64_t>(bits) > highest)
      return fail("{}:{}: expected a number from {} to {}", type, value, lowest, highest);
  }
  bytes.resize(size);
  values.emplace_back(type + ":" + value, std::move(bytes));
  return {};
}

Result<> KernelArguments::addMap(const std::string &text) {
  std::vector<std::string> parts = split(text, ':');
  std::string kind = "in";
  if (parts[0] == "out" || parts[0] == "inout" || parts[0] == "in") {
    kind = parts[0];
    parts.erase(parts.begin());
  }
  const std::string path = parts.empty() ? "" : parts[0];
  const bool isView = parts.size() > 1 && parts[1].find('[') != std::string::npos;
  const std::string shape = isView || (kind == "out" && parts.size() > 1) ? parts[1] : "";
  Result<Buffer *> found = buffer(kind, path, shape);
  if (!found)
    return tl::unexpected<Error>(found.error());
  NpyArray array{(*found)->array.type, (*found)->array.shape, {}};
  if (isView) { // the buffer's bytes as another type and shape
    Result<NpyArray> view = described(path, shape);
    if (!view)
      return tl::unexpected<Error>(view.error());
    array = std::move(*view);
    if (const uint64_t bytes = bytesOfArray(array); bytes > (*found)->array.data.size())
      return fail("map:{}: expected a view of at most {} bytes, found one of {}", text,
                  (*found)->array.data.size(), bytes);
  }
  const size_t rank = array.shape.size();
  std::vector<uint64_t> box, strides;
  uint64_t swizzle = 0;
  bool nan = false;
  for (size_t i = shape.empty() ? 1 : 2; i < parts.size(); ++i) {
    const size_t equals = parts[i].find('=');
    const std::string key = parts[i].substr(0, equals),
                      value = equals == std::string::npos ? "" : parts[i].substr(equals + 1);
    std::vector<uint64_t> one;
    if (key == "box"       ? !integers(value, box) || box.size() != rank
        : key == "swizzle" ? !integers(value, one) || one.size() != 1 ||
                                 (one[0] != 0 && one[0] != 32 && one[0] != 64 && one[0] != 128)
        : key == "fill"    ? value != "zero" && value != "nan"
                           : true)
      return fail("map:{}: expected box=.. of rank {}, swizzle=0|32|64|128 or fill=zero|nan, found '{}'",
                  text, rank, parts[i]);
    if (key == "swizzle")
      swizzle = one[0];
    nan |= value == "nan";
  }
  const int type = tensorType(array.type);
  if (box.empty() || type < 0 || rank > 5)
    return fail("map:{}: expected a box, a rank up to 5 and a type of numbers", text);
  // NumPy's order is outermost first, the map's innermost first.
  std::array<uint64_t, 5> sizes{}, steps{};
  std::array<uint32_t, 5> boxes{}, ones{1, 1, 1, 1, 1};
  uint64_t stride = array.elementBytes();
  for (size_t d = 0; d < rank; ++d) {
    sizes[d] = array.shape[rank - 1 - d];
    boxes[d] = static_cast<uint32_t>(std::min<uint64_t>(box[rank - 1 - d], 1u << 30));
    stride *= sizes[d];
    if (d + 1 < rank)
      steps[d] = stride;
  }
  const uint32_t swizzleCode = swizzle == 0 ? 0 : swizzle == 32 ? 1 : swizzle == 64 ? 2 : 3;
  const Result<TensorMap> map =
      encodeTiled(static_cast<uint8_t>(type), static_cast<uint32_t>(rank), (*found)->address, sizes.data(),
                  steps.data(), boxes.data(), ones.data(), 0, swizzleCode, nan);
  if (!map)
    return fail("map:{}: {}", text, map.error().message);
  std::vector<uint8_t> bytes(128);
  std::memcpy(bytes.data(), &*map, sizeof *map);
  values.emplace_back("map:" + text, std::move(bytes));
  return {};
}

Result<> KernelArguments::add(const std::string &text) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos)
    return fail("argument '{}': expected in:, out:, inout:, map:, ptr: or a type such as u32:", text);
  const std::string kind = text.substr(0, colon), rest = text.substr(colon + 1);
  if (kind == "map")
    return addMap(rest);
  if (kind == "ptr" || !numpyType(kind).empty())
    return addNumber(kind, rest);
  if (kind != "in" && kind != "out" && kind != "inout")
    return fail("argument '{}': expected in:, out:, inout:, map:, ptr: or a type such as u32:", text);
  const std::vector<std::string> parts = split(rest, ':');
  if (kind == "out" ? parts.size() != 2 : parts.empty())
    return fail("argument '{}': expected {}", text, kind == "out" ? "out:FILE:TYPE[SHAPE]" : kind + ":FILE");
  Result<Buffer *> found = buffer(kind, parts[0], kind == "out" ? parts[1] : "");
  if (!found)
    return tl::unexpected<Error>(found.error());
  if (kind == "out") // perhaps a buffer of an earlier argument
    if (const Result<NpyArray> array = described(parts[0], parts[1]);
        !array || array->type != (*found)->array.type || array->shape != (*found)->array.shape)
      return fail("argument '{}': expected the type and shape that '{}' has in an earlier argument", text,
                  parts[0]);
  for (size_t i = kind == "out" ? 2 : 1; i < parts.size(); ++i)
    if (Result<> put = putAddress(**found, parts[i]); !put)
      return put;
  values.emplace_back(text, bytesOfValue((*found)->address));
  return {};
}

Result<std::vector<uint8_t>> KernelArguments::parameters(const Program &program) const {
  if (values.size() != program.parameters.size())
    return fail("kernel '{}' takes {} arguments, found {}", program.name, program.parameters.size(),
                values.size());
  std::vector<uint8_t> bytes(program.parameterBytes);
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].second.size() != program.parameters[i].size)
      return fail("kernel '{}': argument {} has {} bytes, found '{}' of {}", program.name, i,
                  program.parameters[i].size, values[i].first, values[i].second.size());
    std::memcpy(bytes.data() + program.parameters[i].offset, values[i].second.data(),
                values[i].second.size());
  }
  return bytes;
}

void KernelArguments::restore() {
  for (const Buffer &each : buffers)
    std::copy(each.array.data.begin(), each.array.data.end(), reinterpret_cast<uint8_t *>(each.address));
}

std::vector<std::vector<uint8_t>> KernelArguments::outputs() const {
  std::vector<std::vector<uint8_t>> result;
  for (const Buffer &each : buffers)
    if (each.writes) {
      const auto *begin = reinterpret_cast<const uint8_t *>(each.address);
      result.emplace_back(begin, begin + each.array.data.size());
    }
  return result;
}

Result<> KernelArguments::writeOutputs() const {
  for (const Buffer &each : buffers) {
    if (!each.writes)
      continue;
    NpyArray array = each.array;
    std::copy_n(reinterpret_cast<const uint8_t *>(each.address), array.data.size(), array.data.begin());
    if (Result<> written = writeNpy(each.path, array); !written)
      return written;
  }
  return {};
}

} // namespace sinter::emulator
