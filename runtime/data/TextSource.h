// SPDX-License-Identifier: Apache-2.0
// Text of an input as UTF-8: sees by the first megabyte what the encoding is, converts GB18030 and UTF-16,
// and refuses what is no text. Ill-formed UTF-8 is passed on: whoever cleans documents repairs and counts it.
#ifndef SINTER_RUNTIME_DATA_TEXTSOURCE_H
#define SINTER_RUNTIME_DATA_TEXTSOURCE_H

#include "runtime/data/ByteSource.h"

namespace sinter::data {

enum class Encoding { Utf8, Gb18030, Utf16Le, Utf16Be, Binary };

/// What the first bytes of a file say. A byte order mark decides; a zero byte means binary; bytes that are
/// not UTF-8 but GB18030, and whose characters are mostly the common Chinese ones, are GB18030.
Encoding detectEncoding(std::string_view head);
std::string_view nameOf(Encoding encoding);

struct TextSource {
  std::unique_ptr<ByteSource> bytes; // UTF-8, without a byte order mark
  Encoding encoding = Encoding::Utf8;
  bool binary() const { return encoding == Encoding::Binary; } // `bytes` is empty then
};

/// Opens an input and finds its encoding. Binary is no error here: the caller knows whether to refuse or
/// skip.
Result<TextSource> openText(const std::string &path);
Result<TextSource> openText(std::unique_ptr<ByteSource> bytes, const std::string &name);

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_TEXTSOURCE_H
