// SPDX-License-Identifier: Apache-2.0
// The buffers of one entry while its function is converted: where each lm value lies.
#ifndef SINTER_PASSES_KERNELS_ENTRYBUFFERS_H
#define SINTER_PASSES_KERNELS_ENTRYBUFFERS_H

#include "passes/Passes.h"

namespace sinter {

/// What the users of a value want it as. `rows` is f32; `quantised` is q8, for matmuls with quantised weights
/// over many rows; `partial` is attention whose chunks of keys are still apart.
struct ValueUses {
  bool rows = false;
  bool quantised = false;
};

class EntryBuffers {
public:
  EntryBuffers(mlir::func::FuncOp function, kernel::EntryOp entry, kernel::Form form,
               mlir::Type cacheElement);

  mlir::Value rows(mlir::Value value);
  /// Lets `value` lie where `place` lies.
  void alias(mlir::Value value, mlir::Value place) { f32[value] = rows(place); }
  mlir::Value quantised(mlir::Value value);
  /// For lm.route's second result: the dispatched row of each choice, and the rows that each expert has.
  mlir::Value places(mlir::Value chosen);
  mlir::Value segments(mlir::Value chosen, int64_t experts);
  /// A copy of each row of `value` for each of the experts it chose, in the order of the segments.
  mlir::Value dispatched(mlir::Value value, mlir::Value chosen, bool quantised);
  /// Of lm.router_votes, the entry's one.
  mlir::Value votes(mlir::Value value);
  /// Of attention results in decode.
  mlir::Value partial(mlir::Value value, int64_t heads, int64_t size);
  /// A parameter as packed weight, or as a small table of one row.
  mlir::Value weight(mlir::Value read);
  mlir::Value table(mlir::Value read);
  /// A table of constants, which becomes a parameter with a value.
  mlir::Value constants(llvm::ArrayRef<float> values);
  mlir::Value cacheK(int64_t layer, int64_t heads, int64_t size);
  mlir::Value cacheV(int64_t layer, int64_t heads, int64_t size);

  /// The partial buffer of a value, or null when it lies in rows.
  mlir::Value partialOf(mlir::Value value) const { return partials.lookup(value); }
  /// Whether the rows of `value` are the selected ones.
  bool isSelected(mlir::Value value) const { return selected.contains(value); }
  ValueUses usesOf(mlir::Value value) const;

  const kernel::Form form;
  const mlir::Type cacheElement;
  /// Keys a chunk of decode attention.
  static constexpr int64_t keysPerTile = 256;

private:
  mlir::Value create(kernel::Space space, mlir::Type type, mlir::FlatSymbolRefAttr parameter = {},
                     std::optional<int64_t> layer = {});
  /// Rows for a value: (rows, width), or dispatched (rows, k, width).
  kernel::RowsType rowsType(mlir::Value value, mlir::Type element);
  mlir::Value once(llvm::StringRef key, llvm::function_ref<mlir::Value()> make);

  mlir::OpBuilder builder;   // behind the last buffer
  mlir::SymbolTable symbols; // of the module
  mlir::Value logits;        // the function's first result
  llvm::DenseMap<mlir::Value, mlir::Value> f32, q8, partials, placesOf, segmentsOf;
  llvm::DenseMap<std::pair<mlir::Value, mlir::Value>, mlir::Value> f32Copies, q8Copies; // by value and choice
  llvm::StringMap<mlir::Value> named;
  llvm::DenseSet<mlir::Value> selected;
};

/// The packed form of a matrix of this element type.
kernel::WeightFormat weightFormat(mlir::Type element);
inline bool isQuantised(mlir::Type element) { return mlir::isa<lm::BlockType>(element); }

} // namespace sinter

#endif // SINTER_PASSES_KERNELS_ENTRYBUFFERS_H
