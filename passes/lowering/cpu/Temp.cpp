#include "passes/lowering/cpu/Emitters.h"
using namespace mlir;
namespace sinter::cpu {
LogicalResult emitDecodeAttention(Frame &frame, kernel::AttentionOp op){return op.emitOpError("no");}
LogicalResult emitPrefillAttention(Frame &frame, kernel::AttentionOp op){return op.emitOpError("no");}
void emitCombine(Frame &frame, kernel::CombineOp op, Value row, Value destination){}
LogicalResult emitLookup(Frame &frame, kernel::LookupOp op, Value index, Value destination){return op.emitOpError("no");}
}
