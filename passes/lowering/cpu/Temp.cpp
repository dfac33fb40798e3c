// SPDX-License-Identifier: Apache-2.0
// Holds the places of emitters that follow.
#include "passes/lowering/cpu/Emitters.h"
using namespace mlir;
namespace sinter::cpu {
LogicalResult emitDecodeAttention(Frame &frame, kernel::AttentionOp op){return op.emitOpError("expected an emitter");}
LogicalResult emitPrefillAttention(Frame &frame, kernel::AttentionOp op){return op.emitOpError("expected an emitter");}
void emitCombine(Frame &frame, kernel::CombineOp op, Value row, Value destination){}
}
