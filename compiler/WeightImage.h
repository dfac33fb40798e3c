// SPDX-License-Identifier: Apache-2.0
// The weights of an executable: which parameters the launches read, where their packed bytes go, and writing
// them.
#ifndef SINTER_COMPILER_WEIGHTIMAGE_H
#define SINTER_COMPILER_WEIGHTIMAGE_H

#include "compiler/ModelTable.h"
#include "compiler/WeightSegment.h"
#include "dialects/lm/LmDialect.h"
#include "frontend/Weights.h"

namespace sinter {

/// Gives every parameter (in the form its buffers ask for) a place in the image, in the order of the
/// launches, each once. Parameters that launches read one after another lie one after another.
WeightPlacement placeWeights(mlir::ModuleOp module);

/// Gives the image to `sink`, about a megabyte at a time: what it does not give is zero. Rows are converted
/// where a parameter's element type differs from the file's, and packed. NaN, infinity and numbers beyond the
/// range of their format are an error with file, tensor, index and byte.
Result<> writeWeights(mlir::ModuleOp module, const WeightPlacement &placement, const WeightSource &weights,
                      const ImageSink &sink, unsigned threads);

/// The file's row that is row `index` of a matrix of `rows`, before its first row is added: see lm.source.
int64_t fileRow(lm::SourceAttr source, int64_t index, int64_t rows);

} // namespace sinter

#endif // SINTER_COMPILER_WEIGHTIMAGE_H
