// SPDX-License-Identifier: Apache-2.0
// Registration of the kernel dialect, and its attributes.
#include "dialects/kernel/Kernel.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialects/kernel/KernelDialect.cpp.inc"
#include "dialects/kernel/KernelEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/kernel/KernelAttributes.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/kernel/KernelInterfaces.cpp.inc"
#include "dialects/kernel/KernelTypes.cpp.inc"

using namespace mlir;
using namespace sinter::kernel;

void KernelDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/kernel/KernelAttributes.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/kernel/KernelTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/kernel/KernelOps.cpp.inc"
      >();
}

LogicalResult ScheduleAttr::verify(function_ref<InFlightDiagnostic()> error, int64_t rowsPerTile,
                                   int64_t columnsPerTile, int64_t keysPerTile, int64_t tileRows,
                                   int64_t tileColumns, int64_t streams, int64_t prefetch, int64_t keyBlock) {
  for (int64_t value :
       {rowsPerTile, columnsPerTile, keysPerTile, tileRows, tileColumns, streams, prefetch, keyBlock})
    if (value < 0)
      return error() << "expected numbers of 0 or more in a schedule, found " << value;
  for (int64_t keys : {keysPerTile, keyBlock})
    if (keys % cachePanel)
      return error() << "expected keys_per_tile and key_block to be multiples of " << cachePanel << ", found "
                     << keys;
  return success();
}
