// SPDX-License-Identifier: Apache-2.0
// Reads and writes .npy files.
#include "runtime/files/Npy.h"
#include "runtime/files/AtomicFile.h"
#include "runtime/files/MappedFile.h"

#include <cstdlib>
#include <cstring>

namespace sinter {

namespace {

constexpr char magic[] = "\x93NUMPY";
constexpr size_t magicBytes = 6;

/// What stands after 'key': in the header's dictionary, up to a comma outside of brackets.
std::string valueOf(const std::string &header, const std::string &key) {
  size_t at = header.find("'" + key + "'");
  if (at == std::string::npos || (at = header.find(':', at)) == std::string::npos)
    return "";
  int depth = 0;
  size_t end = ++at;
  for (; end < header.size(); ++end) {
    depth += header[end] == '(';
    depth -= header[end] == ')';
    if (depth == 0 && (header[end] == ',' || header[end] == '}'))
      break;
  }
  const size_t first = header.find_first_not_of(' ', at);
  return first < end ? header.substr(first, end - first) : "";
}

} // namespace

uint64_t NpyArray::count() const {
  uint64_t product = 1;
  for (const uint64_t each : shape)
    product *= each;
  return product;
}

unsigned NpyArray::elementBytes() const {
  return type.size() < 2 ? 0 : static_cast<unsigned>(std::atoi(type.c_str() + 1));
}

Result<NpyArray> parseNpy(const std::string &bytes, const std::string &name) {
  if (bytes.size() < 12 || bytes.compare(0, magicBytes, magic, magicBytes) != 0)
    return fail("{}: expected a .npy file, found something else", name);
  const auto version = static_cast<uint8_t>(bytes[6]);
  if (version < 1 || version > 3)
    return fail("{}: expected .npy format 1 to 3, found {}", name, version);
  size_t length = 0;
  const size_t start = version == 1 ? 10 : 12;
  for (size_t i = 8; i < start; ++i)
    length |= static_cast<size_t>(static_cast<uint8_t>(bytes[i])) << 8 * (i - 8);
  if (length > bytes.size() - start)
    return fail("{}: expected a header of {} bytes, found the end of the file", name, length);
  const std::string header = bytes.substr(start, length);
  const std::string descr = valueOf(header, "descr"), order = valueOf(header, "fortran_order"),
                    shape = valueOf(header, "shape");
  NpyArray array;
  if (descr.size() < 5 || descr.front() != '\'' || descr.back() != '\'' || !std::strchr("<|=", descr[1]) ||
      !std::strchr("fiub", descr[2]))
    return fail("{}: expected little-endian numbers ('<f4', '<u2', ...), found {}", name, descr);
  array.type = descr.substr(2, descr.size() - 3);
  if (const unsigned size = array.elementBytes();
      (size != 1 && size != 2 && size != 4 && size != 8) || array.type.size() != 2)
    return fail("{}: expected elements of 1, 2, 4 or 8 bytes, found {}", name, descr);
  if (order != "False")
    return fail("{}: expected C order, found fortran_order {}", name, order);
  if (shape.size() < 2 || shape.front() != '(' || shape.back() != ')')
    return fail("{}: expected a shape, found {}", name, shape);
  uint64_t total = array.elementBytes();
  for (size_t at = 1; at < shape.size();) {
    const size_t digit = shape.find_first_of("0123456789", at);
    if (digit == std::string::npos)
      break;
    char *end = nullptr;
    const uint64_t size = std::strtoull(shape.c_str() + digit, &end, 10);
    if (size && total > (1ull << 48) / size)
      return fail("{}: expected an array of less than 2^48 bytes, found shape {}", name, shape);
    total *= size;
    array.shape.push_back(size);
    at = static_cast<size_t>(end - shape.c_str());
  }
  if (bytes.size() - start - length != total)
    return fail("{}: expected {} bytes of data for shape {}, found {}", name, total, shape,
                bytes.size() - start - length);
  array.data.assign(bytes.begin() + static_cast<ptrdiff_t>(start + length), bytes.end());
  return array;
}

Result<NpyArray> readNpy(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return tl::unexpected(file.error());
  return parseNpy(std::string(file->text()), path);
}

std::string formatNpy(const NpyArray &array) {
  std::string shape;
  for (const uint64_t each : array.shape)
    shape += std::to_string(each) + ", ";
  if (array.shape.size() > 1)
    shape.resize(shape.size() - 2);
  std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                   array.elementBytes() == 1 ? '|' : '<', array.type,
                                   array.shape.size() == 1 ? shape.substr(0, shape.size() - 1) : shape);
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string text(magic, magicBytes);
  text += {'\1', '\0', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  text += header;
  text.append(reinterpret_cast<const char *>(array.data.data()), array.data.size());
  return text;
}

Result<> writeNpy(const std::string &path, const NpyArray &array) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return tl::unexpected<Error>(file.error());
  if (Result<> written = file->write(formatNpy(array)); !written)
    return written;
  return file->commit();
}

} // namespace sinter
