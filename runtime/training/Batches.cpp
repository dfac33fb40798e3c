// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/Batches.h"
#include "runtime/data/Hash.h"

namespace sinter::training {

using data::TokenStream;

Result<Batches> Batches::make(TokenStream stream, std::string name, const StepShape &shape,
                              const BatchOrder &order) {
  if (stream.sequences(uint64_t(shape.length)) == 0)
    return fail("{}: expected at least {} tokens, a sequence and the target of its last token, found {}",
                name, shape.length + 1, stream.tokens());
  if (Result<> below = stream.checkBelow(uint64_t(shape.vocabulary)); !below)
    return fail("{}: {}", name, below.error().message);
  return Batches(std::move(stream), shape, order);
}

void Batches::read(int64_t index, bool once, MicroBatch &out) const {
  const size_t rows = size_t(batch * length);
  for (std::vector<int32_t> *each : {&out.tokens, &out.positions, &out.targets})
    each->resize(rows);
  out.counted = 0;
  std::vector<int32_t> ids(size_t(length) + 1), documents(size_t(length) + 1), learnt(size_t(length) + 1);
  for (int64_t i = 0; i < batch; ++i) {
    const uint64_t at = uint64_t(index * batch + i), count = uint64_t(sequences());
    const bool counts = !once || at < count;
    stream.read(at % count, order.order, order.seed + at / count, ids, documents, learnt);
    for (size_t t = 0, row = size_t(i * length); t < size_t(length); ++t, ++row) {
      const bool begins = t == 0 || (!order.crossDocuments && documents[t] != documents[t - 1]);
      out.tokens[row] = ids[t];
      out.positions[row] = begins ? 0 : out.positions[row - 1] + 1;
      const bool targeted = counts && learnt[t + 1] != 0;
      out.targets[row] = targeted ? ids[t + 1] : -1;
      out.counted += targeted;
    }
  }
}

uint64_t Batches::fingerprint() const { return data::mix64(stream.checksum() ^ uint64_t(length)); }

} // namespace sinter::training
