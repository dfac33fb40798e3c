// SPDX-License-Identifier: Apache-2.0
// Types of buffers: parsing, printing, checks and sizes.
#include "dialects/kernel/Kernel.h"

using namespace mlir;
using namespace sinter::kernel;

static int64_t roundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

/// `576xf32`, `3x64xf16`, `576xq8`: `least` to `most` (at most one more) numbers, then the type of the
/// element.
static ParseResult parseShape(AsmParser &parser, size_t least, size_t most, SmallVectorImpl<int64_t> &shape,
                              Type &element) {
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseDimensionList(shape, /*allowDynamic=*/false, /*withTrailingX=*/true))
    return failure();
  if (shape.size() < least || shape.size() > most) {
    InFlightDiagnostic error = parser.emitError(loc) << "expected " << least;
    if (most > least)
      error << " or " << most;
    return error << " dimensions, found " << shape.size();
  }
  if (succeeded(parser.parseOptionalKeyword("q8"))) {
    element = Q8Type::get(parser.getContext());
    return success();
  }
  return parser.parseType(element);
}

static void printElement(AsmPrinter &printer, Type element) {
  if (isa<Q8Type>(element))
    printer << "q8";
  else
    printer << element;
}

static LogicalResult checkShape(function_ref<InFlightDiagnostic()> error, ArrayRef<int64_t> shape) {
  for (int64_t size : shape)
    if (size <= 0)
      return error() << "expected dimensions of 1 or more, found " << size;
  return success();
}

static bool isFp8(Type element) { return isa<Float8E4M3FNType, Float8E5M2Type>(element); }

static LogicalResult checkFloat(function_ref<InFlightDiagnostic()> error, Type element) {
  if (!element.isF32() && !element.isF16() && !element.isBF16())
    return error() << "expected f32, f16 or bf16 as element, found " << element;
  return success();
}

template <typename T> static Type parseMatrix(AsmParser &parser) {
  SmallVector<int64_t> shape;
  Type element;
  if (parser.parseLess() || parseShape(parser, 2, 2, shape, element) || parser.parseGreater())
    return {};
  return parser.getChecked<T>(parser.getContext(), shape[0], shape[1], element);
}

Type RowsType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  Type element;
  if (parser.parseLess() || parseShape(parser, 1, 2, shape, element) || parser.parseGreater())
    return {};
  return parser.getChecked<RowsType>(parser.getContext(), shape.back(), element,
                                     shape.size() == 2 ? shape[0] : 1);
}
void RowsType::print(AsmPrinter &printer) const {
  printer << '<';
  if (getPerRow() != 1)
    printer << getPerRow() << 'x';
  printer << getColumns() << 'x';
  printElement(printer, getElement());
  printer << '>';
}
LogicalResult RowsType::verify(function_ref<InFlightDiagnostic()> error, int64_t columns, Type element,
                               int64_t perRow) {
  if (failed(checkShape(error, {perRow, columns})))
    return failure();
  if (element.isInteger(32) || isFp8(element))
    return success();
  if (!isa<Q8Type>(element))
    return checkFloat(error, element);
  if (columns % q8Block)
    return error() << "expected rows of q8 to have a multiple of " << q8Block << " columns, found "
                   << columns;
  return success();
}
bool RowsType::isQuantized() const { return isa<Q8Type>(getElement()); }
int64_t RowsType::getRowBytes() const {
  if (isQuantized())
    return roundUp(getColumns() + getColumns() / q8Block * 8, 64);
  return getColumns() * getElement().getIntOrFloatBitWidth() / 8;
}

Type TableType::parse(AsmParser &parser) { return parseMatrix<TableType>(parser); }
void TableType::print(AsmPrinter &printer) const {
  printer << '<' << getRows() << 'x' << getColumns() << 'x' << getElement() << '>';
}
LogicalResult TableType::verify(function_ref<InFlightDiagnostic()> error, int64_t rows, int64_t columns,
                                Type element) {
  return failure(failed(checkShape(error, {rows, columns})) || failed(checkFloat(error, element)));
}
int64_t TableType::getRowBytes() const { return getColumns() * getElement().getIntOrFloatBitWidth() / 8; }

Type SegmentsType::parse(AsmParser &parser) {
  int64_t experts;
  if (parser.parseLess() || parser.parseInteger(experts) || parser.parseGreater())
    return {};
  return parser.getChecked<SegmentsType>(parser.getContext(), experts);
}
void SegmentsType::print(AsmPrinter &printer) const { printer << '<' << getExperts() << '>'; }
LogicalResult SegmentsType::verify(function_ref<InFlightDiagnostic()> error, int64_t experts) {
  return checkShape(error, experts);
}

Type WeightType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  StringRef name;
  if (parser.parseLess())
    return {};
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseDimensionList(shape, /*allowDynamic=*/false, /*withTrailingX=*/false) ||
      parser.parseComma())
    return {};
  if (shape.size() != 2)
    return parser.emitError(loc) << "expected 2 dimensions, found " << shape.size(), Type();
  loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&name) || parser.parseGreater())
    return {};
  std::optional<WeightFormat> format = symbolizeWeightFormat(name);
  if (!format)
    return parser.emitError(loc) << "expected a weight format (f32, f16, bf16, q8_0, ...), found " << name,
           Type();
  return parser.getChecked<WeightType>(parser.getContext(), shape[0], shape[1], *format);
}
void WeightType::print(AsmPrinter &printer) const {
  printer << '<' << getRows() << 'x' << getColumns() << ", " << stringifyWeightFormat(getFormat()) << '>';
}
Type WeightType::getElement() const {
  Builder types(getContext());
  switch (getFormat()) {
  case WeightFormat::F32:
    return types.getF32Type();
  case WeightFormat::F16:
    return types.getF16Type();
  case WeightFormat::BF16:
    return types.getBF16Type();
  case WeightFormat::F8E4M3FN:
    return types.getType<Float8E4M3FNType>();
  case WeightFormat::F8E5M2:
    return types.getType<Float8E5M2Type>();
  default:
    return {};
  }
}
LogicalResult WeightType::verify(function_ref<InFlightDiagnostic()> error, int64_t rows, int64_t columns,
                                 WeightFormat format) {
  return checkShape(error, {rows, columns});
}

template <typename T> static void printCache(AsmPrinter &printer, T type) {
  printer << '<' << type.getHeads() << 'x' << type.getSize() << 'x' << type.getElement() << '>';
}
static LogicalResult checkCache(function_ref<InFlightDiagnostic()> error, int64_t heads, int64_t size,
                                Type element) {
  return failure(failed(checkShape(error, {heads, size})) || failed(checkFloat(error, element)));
}
Type CacheKType::parse(AsmParser &parser) { return parseMatrix<CacheKType>(parser); }
void CacheKType::print(AsmPrinter &printer) const { printCache(printer, *this); }
LogicalResult CacheKType::verify(function_ref<InFlightDiagnostic()> error, int64_t heads, int64_t size,
                                 Type element) {
  return checkCache(error, heads, size, element);
}
Type CacheVType::parse(AsmParser &parser) { return parseMatrix<CacheVType>(parser); }
void CacheVType::print(AsmPrinter &printer) const { printCache(printer, *this); }
LogicalResult CacheVType::verify(function_ref<InFlightDiagnostic()> error, int64_t heads, int64_t size,
                                 Type element) {
  return checkCache(error, heads, size, element);
}

Type PartialType::parse(AsmParser &parser) {
  SmallVector<int64_t> shape;
  int64_t keys;
  if (parser.parseLess())
    return {};
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseDimensionList(shape, /*allowDynamic=*/false, /*withTrailingX=*/false) ||
      parser.parseComma() || parser.parseKeyword("keys") || parser.parseInteger(keys) ||
      parser.parseGreater())
    return {};
  if (shape.size() != 2)
    return parser.emitError(loc) << "expected 2 dimensions, found " << shape.size(), Type();
  return parser.getChecked<PartialType>(parser.getContext(), shape[0], shape[1], keys);
}
void PartialType::print(AsmPrinter &printer) const {
  printer << '<' << getHeads() << 'x' << getSize() << ", keys " << getKeys() << '>';
}
LogicalResult PartialType::verify(function_ref<InFlightDiagnostic()> error, int64_t heads, int64_t size,
                                  int64_t keys) {
  if (failed(checkShape(error, {heads, size})))
    return failure();
  if (keys <= 0 || keys % cachePanel)
    return error() << "expected the keys of a chunk to be a multiple of " << cachePanel << ", found " << keys;
  return success();
}
int64_t PartialType::getBytes() const { return roundUp(getHeads() * (getSize() + 2) * 4, 64); }
