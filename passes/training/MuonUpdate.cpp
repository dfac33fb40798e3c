// SPDX-License-Identifier: Apache-2.0
// Newton-Schulz iteration in f32 (Jordan 2024, https://kellerjordan.github.io/posts/muon), of kernels that
// training has already. G is the update, rows x columns, in its image's panels; Y is its transpose, in rows.
//
//   Y = G^T / (|G| + 1e-7)
//   5 times, rows <= columns:                     rows > columns, with the panels P of G's place:
//     A = Y^T Y       (weight_gradient)             P = Y^T           (rows)
//     Z = Y A         (matmul)                      A = Y P           (matmul, transposed)
//     Y = a Y + b Z + c Z A                         Z = A P^T         (matmul)
//                                                   P = Z^T, Y = a Y + b Z + c A P^T
//   G = scale * Y^T
//
// A, or P, lies where G lay. Sums go in an order that depends on the shapes alone.
#include "passes/training/MuonUpdate.h"

#include "dialects/kernel/WeightLayout.h"

#include <cmath>
#include <numeric>

using namespace mlir;

namespace sinter {
namespace {

constexpr int iterations = 5;
constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
constexpr double tiny = 1e-7;

class Orthogonalisation {
public:
  Orthogonalisation(kernel::EntryOp entry, KernelNames &names, lm::ParameterOp parameter, int64_t rows,
                    int64_t columns, int64_t offset)
      : entry(entry), names(names), parameter(parameter), rows(rows), columns(columns), offset(offset),
        loc(parameter.getLoc()), builder(entry.getContext()) {}

  void run() {
    Value y = arena(rows, columns), z = arena(rows, columns);
    normalise(y);
    for (int i = 0; i < iterations; ++i)
      rows <= columns ? iterateWide(y, z) : iterateTall(y, z);
    turn(y, /*back=*/true, std::sqrt(std::max(1.0, double(rows) / double(columns))), Value());
  }

private:
  void iterateWide(Value y, Value z);
  void iterateTall(Value y, Value z);
  void normalise(Value y);
  void turn(Value y, bool back, double scale, Value factor);
  void matmul(Value left, Value weight, bool transposed, Value out, ArrayRef<std::pair<Value, double>> added,
              double scale);

  OpBuilder inEntry() { return OpBuilder::atBlockEnd(&entry.getBody().front()); }
  kernel::RowsType rowsType(int64_t width) {
    return kernel::RowsType::get(entry.getContext(), width, builder.getF32Type());
  }
  Value arena(int64_t width, int64_t count) {
    OpBuilder at = inEntry();
    return kernel::BufferOp::create(at, loc, rowsType(width), kernel::Space::Arena, FlatSymbolRefAttr(),
                                    IntegerAttr(), IntegerAttr(), builder.getI64IntegerAttr(count));
  }
  /// The matrix's place in the image of gradients, as a weight or as rows of `width`.
  Value place(Type type) {
    OpBuilder at = inEntry();
    return kernel::BufferOp::create(at, loc, type, kernel::Space::Gradient,
                                    FlatSymbolRefAttr::get(parameter.getSymNameAttr()), IntegerAttr(),
                                    builder.getI64IntegerAttr(4 * offset));
  }
  Value weight(int64_t outputs, int64_t inputs) {
    return place(kernel::WeightType::get(entry.getContext(), outputs, inputs, kernel::WeightFormat::F32));
  }
  /// A kernel that `make` fills, and its launch on `count` rows.
  void launch(StringRef kind, ValueRange buffers, int64_t count, llvm::function_ref<void(ValueRange)> make) {
    OpBuilder detached(entry.getContext());
    auto function =
        kernel::FuncOp::create(detached, loc, "kernel", builder.getFunctionType(buffers.getTypes(), {}),
                               ArrayAttr(), ArrayAttr(), StringAttr());
    Block &body = function.getBody().emplaceBlock();
    body.addArguments(buffers.getTypes(), SmallVector<Location>(buffers.size(), loc));
    builder.setInsertionPointToStart(&body);
    make(body.getArguments());
    StringAttr name = names.intern(OwningOpRef<kernel::FuncOp>(function), kind);
    OpBuilder at = inEntry();
    auto made = kernel::LaunchOp::create(at, loc, FlatSymbolRefAttr::get(name), buffers);
    made.setFirstRow(0);
    made.setRowCount(count);
  }
  Value index(int64_t value) { return arith::ConstantIndexOp::create(builder, loc, value); }
  Value splat(Value scalar, int64_t width) {
    return vector::BroadcastOp::create(builder, loc, VectorType::get({width}, builder.getF32Type()), scalar);
  }
  Value number(double value) {
    return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(float(value)));
  }
  Value add(Value x, Value y) { return arith::AddFOp::create(builder, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(builder, loc, x, y); }

  kernel::EntryOp entry;
  KernelNames &names;
  lm::ParameterOp parameter;
  int64_t rows, columns, offset; // of the matrix; floats of the parameter before it
  Location loc;
  OpBuilder builder; // in the kernel at work
};

/// Between the matrix's panels and rows of its transpose: 16 rows of a panel are neighbours in both.
void Orthogonalisation::turn(Value y, bool back, double scale, Value factor) {
  constexpr int64_t width = kernel::panelRows;
  SmallVector<Value> buffers = {y, place(rowsType(width))};
  if (factor)
    buffers.push_back(factor);
  launch(back ? "muon_store" : "muon_load", buffers, columns, [&](ValueRange arguments) {
    auto schedule = kernel::ScheduleAttr::get(entry.getContext(), 1, 0, 0, 0, 0, 0, 0, 0);
    auto program = kernel::RowsOp::create(builder, loc, kernel::Domain::Rows, builder.getI64IntegerAttr(rows),
                                          builder.getI64IntegerAttr(width), schedule);
    Block *region = builder.createBlock(&program.getBody(), {},
                                        {builder.getIndexType(), builder.getIndexType()}, {loc, loc});
    Value row = region->getArgument(0), column = region->getArgument(1);
    Value panel = arith::DivUIOp::create(builder, loc, column, index(width));
    Value line = arith::AddIOp::create(
        builder, loc, arith::MulIOp::create(builder, loc, panel, index(columns)).getResult(), row);
    auto type = VectorType::get({width}, builder.getF32Type());
    Value from = back ? kernel::LoadOp::create(builder, loc, type, arguments[0], row, column)
                      : kernel::LoadOp::create(builder, loc, type, arguments[1], line, Value());
    if (factor)
      from = mul(from, splat(kernel::ElementOp::create(builder, loc, builder.getF32Type(), arguments[2],
                                                       index(0), int64_t(0)),
                             width));
    if (scale != 1)
      from = mul(from, splat(number(scale), width));
    if (back)
      kernel::StoreOp::create(builder, loc, from, arguments[1], line, Value());
    else
      kernel::StoreOp::create(builder, loc, from, arguments[0], row, column);
    kernel::YieldOp::create(builder, loc);
  });
}

/// Y = G^T / (|G| + tiny).
void Orthogonalisation::normalise(Value y) {
  int64_t parts = (rows * columns + updateBlock - 1) / updateBlock;
  OpBuilder at = inEntry();
  Value norms = kernel::BufferOp::create(at, loc, rowsType(parts), kernel::Space::Norms, FlatSymbolRefAttr(),
                                         IntegerAttr(), builder.getI64IntegerAttr(0));
  launch("muon_square_sum", {place(rowsType(rows * columns)), norms}, 1, [&](ValueRange arguments) {
    kernel::SquareSumOp::create(builder, loc, arguments[0], arguments[1], updateBlock);
  });
  Value factor = arena(1, 1);
  launch("muon_norm", {norms, factor}, 1, [&](ValueRange arguments) {
    auto program = kernel::RowsOp::create(builder, loc, kernel::Domain::Rows, IntegerAttr(), IntegerAttr(),
                                          kernel::ScheduleAttr());
    Block *region = builder.createBlock(&program.getBody(), {}, {builder.getIndexType()}, {loc});
    Value row = region->getArgument(0);
    Value squares = kernel::LoadOp::create(builder, loc, VectorType::get({parts}, builder.getF32Type()),
                                           arguments[0], row, Value());
    Value sum = vector::ReductionOp::create(builder, loc, vector::CombiningKind::ADD, squares);
    Value norm = add(math::SqrtOp::create(builder, loc, sum), number(tiny));
    Value inverse = arith::DivFOp::create(builder, loc, number(1), norm);
    kernel::StoreOp::create(builder, loc, splat(inverse, 1), arguments[1], row, Value());
    kernel::YieldOp::create(builder, loc);
  });
  turn(y, /*back=*/false, 1, factor);
}

/// out = scale * (left * weight^T, or left * weight) + sum of added buffers times their numbers.
void Orthogonalisation::matmul(Value left, Value weight, bool transposed, Value out,
                               ArrayRef<std::pair<Value, double>> added, double scale) {
  SmallVector<Value> buffers = {left, weight};
  auto place = [&](Value buffer) {
    auto *found = llvm::find(buffers, buffer);
    size_t number = found - buffers.begin();
    if (found == buffers.end())
      buffers.push_back(buffer);
    return number;
  };
  size_t to = place(out);
  SmallVector<std::pair<size_t, double>> terms;
  for (auto [buffer, factor] : added)
    terms.emplace_back(place(buffer), factor);
  int64_t outputs = cast<kernel::RowsType>(out.getType()).getColumns();
  int64_t count = out.getDefiningOp<kernel::BufferOp>().getRows().value();
  launch("muon_matmul", buffers, count, [&](ValueRange arguments) {
    int64_t width = std::gcd(outputs, int64_t(32));
    auto anchor = kernel::MatmulOp::create(builder, loc, arguments[0], ValueRange{arguments[1]}, Value(),
                                           transposed, kernel::Domain::Rows, kernel::ScheduleAttr());
    builder.createBlock(&anchor.getRanges());
    auto range = kernel::RangeOp::create(builder, loc, 0, outputs, width);
    auto type = VectorType::get({width}, builder.getF32Type());
    Block *region = builder.createBlock(
        &range.getBody(), {}, {type, builder.getIndexType(), builder.getIndexType()}, {loc, loc, loc});
    Value row = region->getArgument(1), column = region->getArgument(2), sum = region->getArgument(0);
    if (scale != 1)
      sum = mul(sum, splat(number(scale), width));
    for (auto [buffer, factor] : terms) {
      Value term = kernel::LoadOp::create(builder, loc, type, arguments[buffer], row, column);
      sum = add(sum, mul(term, splat(number(factor), width)));
    }
    kernel::StoreOp::create(builder, loc, sum, arguments[to], row, column);
    kernel::YieldOp::create(builder, loc);
  });
}

void Orthogonalisation::iterateWide(Value y, Value z) {
  Value product = weight(rows, rows);
  launch("muon_square", {y, product}, columns, [&](ValueRange arguments) {
    kernel::WeightGradientOp::create(builder, loc, arguments[0], arguments[0], arguments[1], Value(),
                                     kernel::ScheduleAttr());
  });
  matmul(y, product, false, z, {}, 1);
  matmul(z, product, false, y, {{y, a}, {z, b}}, c);
}

void Orthogonalisation::iterateTall(Value y, Value z) {
  Value panels = weight(rows, columns), product = arena(columns, columns);
  turn(y, /*back=*/true, 1, Value());
  matmul(y, panels, /*transposed=*/true, product, {}, 1);
  matmul(product, panels, false, z, {}, 1);
  turn(z, /*back=*/true, 1, Value());
  matmul(product, panels, false, y, {{y, a}, {z, b}}, c);
}

} // namespace

bool isMuons(lm::ParameterOp parameter) {
  auto type = cast<RankedTensorType>(parameter.getType());
  StringRef name = parameter.getSymName();
  return type.getRank() > 1 && !parameter->hasAttr("lm.adapter") && name != "embedding" && name != "head" &&
         name != "positions" && type.getDimSize(type.getRank() - 2) % kernel::panelRows == 0;
}

void addOrthogonalisation(kernel::EntryOp entry, KernelNames &names, lm::ParameterOp parameter) {
  auto type = cast<RankedTensorType>(parameter.getType());
  int64_t columns = type.getShape().back(), rows = type.getDimSize(type.getRank() - 2);
  int64_t matrices = type.getRank() == 3 ? type.getDimSize(0) : 1;
  for (int64_t i = 0; i < matrices; ++i)
    Orthogonalisation(entry, names, parameter, rows, columns, i * rows * columns).run();
}

} // namespace sinter
