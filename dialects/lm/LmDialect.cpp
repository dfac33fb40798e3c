// SPDX-License-Identifier: Apache-2.0
// Registration of the dialect `lm` and its types.
#include "dialects/lm/LmDialect.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sinter::lm;

/// The names of tensors in the source of a parameter: ["a", "b"].
static ParseResult parseTensorNames(AsmParser &parser, SmallVector<StringAttr> &names) {
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                        [&] { return parser.parseAttribute(names.emplace_back()); });
}

static void printTensorNames(AsmPrinter &printer, ArrayRef<StringAttr> names) {
  printer << "[";
  llvm::interleaveComma(names, printer);
  printer << "]";
}

#include "dialects/lm/LmDialect.cpp.inc"
#include "dialects/lm/LmEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/lm/LmAttributes.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/lm/LmInterfaces.cpp.inc"
#include "dialects/lm/LmTypes.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/lm/LmOps.cpp.inc"

void LmDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/lm/LmAttributes.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/lm/LmTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/lm/LmOps.cpp.inc"
      >();
}

int64_t BlockType::getBlockElements() {
  switch (getFormat()) {
  case BlockFormat::q4_0:
  case BlockFormat::q4_1:
  case BlockFormat::q5_0:
  case BlockFormat::q5_1:
  case BlockFormat::q8_0:
    return 32;
  default:
    return 256;
  }
}

int64_t BlockType::getBlockBytes() {
  switch (getFormat()) {
  case BlockFormat::q4_0:
    return 18;
  case BlockFormat::q4_1:
    return 20;
  case BlockFormat::q5_0:
    return 22;
  case BlockFormat::q5_1:
    return 24;
  case BlockFormat::q8_0:
    return 34;
  case BlockFormat::q2_K:
    return 84;
  case BlockFormat::q3_K:
    return 110;
  case BlockFormat::q4_K:
    return 144;
  case BlockFormat::q5_K:
    return 176;
  case BlockFormat::q6_K:
    return 210;
  }
  llvm_unreachable("unknown block format");
}

LogicalResult sinter::lm::checkShape(Operation *op, Value value, StringRef name, int64_t rank,
                                     int64_t columns) {
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getRank() == rank && type.getShape().back() == columns)
    return success();
  return op->emitOpError() << "expected " << name << " to have rank " << rank << " and last dimension "
                           << columns << ", found " << type;
}

LogicalResult sinter::lm::checkDropout(Operation *op, Value seed, double rate, int64_t site) {
  auto type = cast<RankedTensorType>(seed.getType());
  if (!type.hasStaticShape() || type.getDimSize(0) != 2)
    return op->emitOpError() << "expected a seed of two numbers, found " << type;
  if (!(rate > 0 && rate < 1))
    return op->emitOpError() << "expected a rate of dropout above 0 and below 1, found " << rate;
  return site >= 0 ? success() : op->emitOpError() << "expected a site >= 0, found " << site;
}
