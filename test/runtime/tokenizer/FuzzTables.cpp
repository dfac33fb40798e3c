// SPDX-License-Identifier: Apache-2.0
// Any bytes as compiled tables: opening them must end, and what opens must encode and decode without harm.
// The last bytes of the input are the text; the header's size is set right so that more gets through.
#include "runtime/tokenizer/Blob.h"
#include "runtime/tokenizer/Tokenizer.h"
#include <algorithm>

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t textSize = size % 64;
  if (textSize > size)
    return 0;
  std::vector<uint64_t> aligned((size - textSize + 7) / 8);
  std::copy_n(data, size - textSize, reinterpret_cast<uint8_t *>(aligned.data()));
  std::span<uint64_t> words(aligned);
  if (aligned.size() * 8 >= sizeof(BlobHeader))
    reinterpret_cast<BlobHeader *>(aligned.data())->size = aligned.size() * 8;
  Result<Tokenizer> tokenizer = Tokenizer::open(std::as_bytes(words));
  if (!tokenizer)
    return 0;
  std::string text(reinterpret_cast<const char *>(data) + size - textSize, textSize);
  for (bool special : {false, true}) {
    std::vector<int32_t> ids = tokenizer->encode(text, special, special);
    for (int32_t id : ids)
      if (id < 0 || id >= tokenizer->size())
        __builtin_trap();
    tokenizer->decode(ids, special);
    StreamDecoder stream(*tokenizer);
    for (int32_t id : ids)
      stream.push(id);
    stream.flush();
  }
  return 0;
}
