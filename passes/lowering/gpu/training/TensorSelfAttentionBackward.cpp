// SPDX-License-Identifier: Apache-2.0
// kernel.self_attention_backward with factors rounded to bf16. A tile is some rows of a sequence and a key
// head with all its query heads: the gradients by these keys and values, or those by these queries. A tile
// that has all rows of its sequence has both, one after the other.
#include "passes/lowering/gpu/training/SelfAttentionGradients.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace sinter::gpu {

/// Sums of 16 rows take a register a lane and column of a head, twice in the gradients by keys and values.
/// What caps and dropout do to scores takes some, too.
static GradientCut cutOf(Frame &frame, kernel::SelfAttentionBackwardOp op) {
  int64_t longest = longestHead(op);
  bool isSm90 = frame.e.architecture == Architecture::Sm90;
  bool isMore = op.getSoftcap().convertToDouble() > 0 || op.getSite() || op.getSlopes();
  int64_t queries = longest <= 64 ? 64 : isMore ? 16 : 32, own = ownRowsOf(op, queries);
  if (longest <= 128)
    return {own,   1, queries, longest > 64 && isMore ? 32 : 64, longest > 64 && own > 64 && !isSm90 ? 1 : 2,
            isSm90};
  return {64, 2, 16, 16, 1, false};
}

void emitTensorSelfAttentionBackward(Frame &frame, kernel::SelfAttentionBackwardOp op) {
  Emitter &e = frame.e;
  GradientCut cut = cutOf(frame, op);
  frame.threads = cut.ownRows / 16 * cut.shares * warpSize;
  frame.blocksPerSm = std::max<int64_t>(1, 256 / frame.threads);
  frame.isCrowded = true;
  std::unique_ptr<GradientPart> ofQueries, ofKeys;
  if (op.makesQueries())
    ofQueries = queryGradient(frame, op, cut);
  int64_t bytes = std::exchange(frame.sharedBytes, 0); // one part has the memory of the other
  if (op.makesKeys())
    ofKeys = keyGradients(frame, op, cut);
  frame.sharedBytes = std::max(frame.sharedBytes, bytes);
  forEachTile(frame, op.getGrid(), [&](Value column, Value begin, Value end, Value) {
    SequencePart part = partOf(frame, op.getSequence(), op.getRowsPerTile(), begin, end);
    if (op.isWhole() || op.getDots()) {
      if (ofQueries)
        ofQueries->emit(column, op.isWhole() ? part : part.mirrored(e));
      if (ofKeys)
        ofKeys->emit(column, part);
      return;
    }
    Value heads = e.constant(op.getKvHeads());
    auto choice = scf::IfOp::create(e.b, e.loc, e.less(column, heads), /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(choice.elseBlock());
    ofQueries->emit(e.sub(column, heads), part.mirrored(e));
    e.b.setInsertionPointToStart(choice.thenBlock());
    ofKeys->emit(column, part);
  });
}

} // namespace sinter::gpu
