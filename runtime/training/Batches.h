// SPDX-License-Identifier: Apache-2.0
// Which tokens each micro-batch gets: sequences of a token stream in their order, with positions that begin
// again where a document does.
#ifndef SINTER_RUNTIME_TRAINING_BATCHES_H
#define SINTER_RUNTIME_TRAINING_BATCHES_H

#include "runtime/data/TokenShards.h"
#include "runtime/training/TrainingStep.h"

namespace sinter::training {

struct BatchOrder {
  data::TokenStream::Order order = data::TokenStream::Order::Shuffled;
  uint64_t seed = 1;
  bool crossDocuments = false; ///< attention and positions go on across documents
};

class Batches {
public:
  /// Fails when the stream has not one sequence of `length` tokens and the target of its last, or a token
  /// that is not below the shape's vocabulary.
  static Result<Batches> make(data::TokenStream stream, std::string name, const StepShape &shape,
                              const BatchOrder &order);

  /// Micro-batch `index` takes sequences index * batch to index * batch + batch - 1; behind the last sequence
  /// the next epoch begins, with an order of its own when shuffled.
  void read(int64_t index, MicroBatch &out) const { read(index, false, out); }
  /// The same without a second epoch: rows behind the last sequence have no targets. For evaluation.
  void readOnce(int64_t index, MicroBatch &out) const { read(index, true, out); }

  int64_t sequences() const { return int64_t(stream.sequences(uint64_t(length))); }
  /// Micro-batches that one epoch fills or begins.
  int64_t batches() const { return (sequences() + batch - 1) / batch; }
  const data::TokenStream &tokens() const { return stream; }
  /// A number that other tokens have not: their count and a sample of them.
  uint64_t fingerprint() const;

private:
  Batches(data::TokenStream stream, const StepShape &shape, const BatchOrder &order)
      : stream(std::move(stream)), batch(shape.batch), length(shape.length), order(order) {}
  void read(int64_t index, bool once, MicroBatch &out) const;

  data::TokenStream stream;
  int64_t batch, length;
  BatchOrder order;
};

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_BATCHES_H
