// SPDX-License-Identifier: Apache-2.0
// --kernel-add-updates: the images of parameters get their layout, and updates their kernels and entries.
//
// An update is elementwise on the images, so it never knows of matrices: one launch for the parameters that
// decay (they come first), one for the others. Parameters that are not trained come last: only the image of
// parameters has them.
//   adamw   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2,
//           p = p (1 - lr decay) - lr / correction1 * m / (sqrt(v / correction2) + epsilon)
//           with g clipped (Loshchilov and Hutter 2019, arXiv:1711.05101, as PyTorch computes it)
//   sgd     m = beta1 m + (g + decay p),  p = p - lr m
//   muon    of hidden matrices (they are the first):
//           m = beta1 m + (1 - beta1) g,  u = beta1 m + (1 - beta1) g,
//           p = p (1 - rate decay) - rate * orthogonal(u) (Jordan 2024, as its repository computes it;
//           MuonUpdate.cpp); of all others adamw
// Behind an update, where an average of the parameters is kept:
//   average a = a + share (p - a)
// and to measure it, p and a change places (exchange).
#include "dialects/kernel/WeightLayout.h"
#include "passes/Passes.h"
#include "passes/training/MuonUpdate.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_ADDUPDATESPASS
#include "passes/Passes.h.inc"

namespace {

/// Numbers of a group of an update: four registers of AVX2.
constexpr int64_t groupWidth = 32;
/// Parameters begin at multiples of this.
constexpr int64_t unit = 64;

/// Floats that a parameter takes in the images.
int64_t floatsOf(lm::ParameterOp parameter) {
  auto type = cast<RankedTensorType>(parameter.getType());
  if (type.getRank() == 1)
    return llvm::alignTo(type.getDimSize(0), unit);
  int64_t columns = type.getShape().back();
  kernel::WeightLayout layout(kernel::WeightFormat::F32, type.getNumElements() / columns, columns);
  return llvm::alignTo(layout.bytes() / 4, unit);
}

/// The region of an update.
class Update {
public:
  Update(OpBuilder &builder, Location loc, Value row, Value column)
      : builder(builder), loc(loc), row(row), column(column),
        type(VectorType::get({groupWidth}, builder.getF32Type())) {}

  Value load(Value buffer) { return kernel::LoadOp::create(builder, loc, type, buffer, row, column); }
  void store(Value value, Value buffer) { kernel::StoreOp::create(builder, loc, value, buffer, row, column); }
  Value number(double value) {
    return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(static_cast<float>(value)));
  }
  Value hyper(kernel::Hyperparameter which) {
    return kernel::HyperOp::create(builder, loc, builder.getF32Type(), which);
  }
  Value splat(Value scalar) { return vector::BroadcastOp::create(builder, loc, type, scalar); }
  Value add(Value a, Value b) { return arith::AddFOp::create(builder, loc, a, b); }
  Value sub(Value a, Value b) { return arith::SubFOp::create(builder, loc, a, b); }
  Value mul(Value a, Value b) { return arith::MulFOp::create(builder, loc, a, b); }
  Value div(Value a, Value b) { return arith::DivFOp::create(builder, loc, a, b); }
  Value sqrt(Value a) { return math::SqrtOp::create(builder, loc, a); }
  /// a + weight * (b - a), weight a scalar.
  Value lerp(Value a, Value b, Value weight) { return add(a, mul(splat(weight), sub(b, a))); }

private:
  OpBuilder &builder;
  Location loc;
  Value row, column;
  VectorType type;
};

using Body = llvm::function_ref<void(Update &, ValueRange buffers)>;

void adamw(Update &u, ValueRange buffers, bool decay) {
  using enum kernel::Hyperparameter;
  Value one = u.number(1);
  Value p = u.load(buffers[0]), g = u.mul(u.load(buffers[1]), u.splat(u.hyper(GradientScale)));
  Value m = u.lerp(u.load(buffers[2]), g, u.sub(one, u.hyper(Beta1)));
  Value v = u.lerp(u.load(buffers[3]), u.mul(g, g), u.sub(one, u.hyper(Beta2)));
  Value rate = u.hyper(LearningRate);
  if (decay)
    p = u.mul(p, u.splat(u.sub(one, u.mul(rate, u.hyper(WeightDecay)))));
  Value root = u.div(u.sqrt(v), u.splat(u.sqrt(u.hyper(Correction2))));
  Value step =
      u.div(u.mul(m, u.splat(u.div(rate, u.hyper(Correction1)))), u.add(root, u.splat(u.hyper(Epsilon))));
  u.store(u.sub(p, step), buffers[0]);
  u.store(m, buffers[2]);
  u.store(v, buffers[3]);
}

void sgd(Update &u, ValueRange buffers, bool decay) {
  using enum kernel::Hyperparameter;
  Value p = u.load(buffers[0]), g = u.mul(u.load(buffers[1]), u.splat(u.hyper(GradientScale)));
  if (decay)
    g = u.add(g, u.mul(u.splat(u.hyper(WeightDecay)), p));
  Value m = u.add(u.mul(u.splat(u.hyper(Beta1)), u.load(buffers[2])), g);
  u.store(u.sub(p, u.mul(u.splat(u.hyper(LearningRate)), m)), buffers[0]);
  u.store(m, buffers[2]);
}

/// The update that is to become orthogonal takes the gradient's place.
void muonMomentum(Update &u, ValueRange buffers, bool) {
  using enum kernel::Hyperparameter;
  Value rest = u.sub(u.number(1), u.hyper(Beta1));
  Value g = u.mul(u.load(buffers[1]), u.splat(u.hyper(GradientScale)));
  Value m = u.lerp(u.load(buffers[2]), g, rest);
  u.store(m, buffers[2]);
  u.store(u.lerp(m, g, rest), buffers[1]);
}

void muonMove(Update &u, ValueRange buffers, bool) {
  using enum kernel::Hyperparameter;
  Value rate = u.hyper(MuonRate);
  Value p = u.mul(u.load(buffers[0]), u.splat(u.sub(u.number(1), u.mul(rate, u.hyper(WeightDecay)))));
  u.store(u.sub(p, u.mul(u.splat(rate), u.load(buffers[1]))), buffers[0]);
}

void average(Update &u, ValueRange buffers) {
  Value p = u.load(buffers[0]), a = u.load(buffers[1]);
  u.store(u.lerp(a, p, u.hyper(kernel::Hyperparameter::AverageShare)), buffers[1]);
}

void exchange(Update &u, ValueRange buffers) {
  Value p = u.load(buffers[0]), a = u.load(buffers[1]);
  u.store(a, buffers[0]);
  u.store(p, buffers[1]);
}

struct AddUpdatesPass : impl::AddUpdatesPassBase<AddUpdatesPass> {
  void runOnOperation() override {
    OpBuilder builder(&getContext());
    enum Part { Hidden, OtherMatrices, Vectors, Frozen, Parts };
    auto partOf = [](lm::ParameterOp parameter) {
      if (!parameter.getTrainable())
        return Frozen;
      bool isVector = cast<RankedTensorType>(parameter.getType()).getRank() == 1;
      return isVector ? Vectors : isMuons(parameter) ? Hidden : OtherMatrices;
    };
    int64_t placed = 0, ends[Parts];
    SmallVector<lm::ParameterOp> muons;
    for (int part = Hidden; part < Parts; ++part) {
      for (auto parameter : getOperation().getOps<lm::ParameterOp>()) {
        if (parameter.getValue() || parameter.getParts() || partOf(parameter) != part)
          continue;
        parameter->setAttr("kernel.offset", builder.getI64IntegerAttr(placed));
        placed += floatsOf(parameter);
        if (part == Hidden)
          muons.push_back(parameter);
      }
      ends[part] = placed;
    }
    int64_t decayed = ends[OtherMatrices], total = ends[Vectors];
    getOperation()->setAttr("kernel.image_floats", builder.getI64IntegerAttr(placed));
    getOperation()->setAttr("kernel.trained_floats", builder.getI64IntegerAttr(total));
    getOperation()->setAttr("kernel.decay_floats", builder.getI64IntegerAttr(decayed));

    builder.setInsertionPointToEnd(getOperation().getBody());
    addNorm(builder, total);
    struct Kind {
      StringRef name;
      int64_t states;
      void (*body)(Update &, ValueRange, bool);
    };
    for (Kind kind : {Kind{"adamw", 2, adamw}, Kind{"sgd", 1, sgd}}) {
      kernel::EntryOp entry = addEntry(builder, kind.name);
      for (bool decays : {true, false}) {
        int64_t begin = decays ? 0 : decayed, end = decays ? decayed : total;
        if (begin < end)
          addUpdate(builder, entry, (kind.name + (decays ? "_decay" : "_plain")).str(), begin, end - begin,
                    imagesOf(kind.states),
                    [&](Update &u, ValueRange buffers) { kind.body(u, buffers, decays); });
      }
    }
    addMuon(builder, muons, ends[Hidden], decayed, total);
    SmallVector<kernel::Space> both = {kernel::Space::Weight, kernel::Space::Average};
    addUpdate(builder, addEntry(builder, "average"), "average_parameters", 0, total, both, average);
    addUpdate(builder, addEntry(builder, "exchange"), "exchange_parameters", 0, total, both, exchange);
  }

  void addMuon(OpBuilder &builder, ArrayRef<lm::ParameterOp> muons, int64_t hidden, int64_t decayed,
               int64_t total) {
    kernel::EntryOp entry = addEntry(builder, "muon");
    auto add = [&](const char *name, int64_t begin, int64_t end, int64_t states, bool decays,
                   void (*body)(Update &, ValueRange, bool)) {
      if (begin < end)
        addUpdate(builder, entry, name, begin, end - begin, imagesOf(states),
                  [&](Update &u, ValueRange buffers) { body(u, buffers, decays); });
    };
    add("muon_momentum", 0, hidden, 1, true, muonMomentum);
    SymbolTable symbols(getOperation());
    KernelNames names(symbols);
    for (lm::ParameterOp parameter : muons)
      addOrthogonalisation(entry, names, parameter);
    builder.setInsertionPointToEnd(getOperation().getBody());
    add("muon_move", 0, hidden, 0, true, muonMove);
    add("muon_others_decay", hidden, decayed, 2, true, adamw);
    add("muon_others_plain", decayed, total, 2, false, adamw);
  }

  kernel::EntryOp addEntry(OpBuilder &builder, StringRef name) {
    auto entry = kernel::EntryOp::create(builder, getOperation().getLoc(), name, 1, 1,
                                         builder.getI64IntegerAttr(0), IntegerAttr());
    OpBuilder::InsertionGuard guard(builder);
    builder.createBlock(&entry.getBody());
    return entry;
  }

  /// A kernel on one row a buffer, with its launch on parts of images at `begin`.
  kernel::FuncOp addKernel(OpBuilder &builder, kernel::EntryOp entry, const std::string &name,
                           ArrayRef<kernel::Space> spaces, ArrayRef<int64_t> begins,
                           ArrayRef<int64_t> widths) {
    Location loc = getOperation().getLoc();
    SmallVector<Type> types;
    SmallVector<Value> buffers;
    OpBuilder inEntry = OpBuilder::atBlockEnd(&entry.getBody().front());
    for (auto [space, begin, width] : llvm::zip_equal(spaces, begins, widths)) {
      types.push_back(kernel::RowsType::get(&getContext(), width, builder.getF32Type()));
      buffers.push_back(kernel::BufferOp::create(inEntry, loc, types.back(), space, FlatSymbolRefAttr(),
                                                 IntegerAttr(), builder.getI64IntegerAttr(4 * begin)));
    }
    OpBuilder before(entry);
    auto function = kernel::FuncOp::create(before, loc, name, builder.getFunctionType(types, {}), ArrayAttr(),
                                           ArrayAttr(), StringAttr());
    function.getBody().emplaceBlock().addArguments(types, SmallVector<Location>(types.size(), loc));
    kernel::LaunchOp::create(inEntry, loc, FlatSymbolRefAttr::get(&getContext(), name), buffers);
    return function;
  }

  void addNorm(OpBuilder &builder, int64_t total) {
    kernel::EntryOp entry = addEntry(builder, "norm");
    kernel::FuncOp function =
        addKernel(builder, entry, "square_sum", {kernel::Space::Gradient, kernel::Space::Norms}, {0, 0},
                  {total, (total + updateBlock - 1) / updateBlock});
    OpBuilder inside = OpBuilder::atBlockBegin(&function.getBody().front());
    kernel::SquareSumOp::create(inside, function.getLoc(), function.getArgument(0), function.getArgument(1),
                                updateBlock);
  }

  /// What an optimizer with that many images of its own reads and writes.
  static SmallVector<kernel::Space> imagesOf(int64_t states) {
    SmallVector<kernel::Space> spaces = {kernel::Space::Weight, kernel::Space::Gradient,
                                         kernel::Space::State0, kernel::Space::State1};
    spaces.truncate(2 + states);
    return spaces;
  }

  void addUpdate(OpBuilder &builder, kernel::EntryOp entry, const std::string &name, int64_t begin,
                 int64_t width, ArrayRef<kernel::Space> spaces, Body body) {
    kernel::FuncOp function =
        addKernel(builder, entry, name, spaces, SmallVector<int64_t>(spaces.size(), begin),
                  SmallVector<int64_t>(spaces.size(), width));
    Location loc = function.getLoc();
    OpBuilder inside = OpBuilder::atBlockBegin(&function.getBody().front());
    auto schedule = kernel::ScheduleAttr::get(&getContext(), 1, updateBlock, 0, 0, 0, 0, 0, 0);
    auto rows = kernel::RowsOp::create(inside, loc, kernel::Domain::Rows, builder.getI64IntegerAttr(width),
                                       builder.getI64IntegerAttr(groupWidth), schedule);
    Block *region =
        inside.createBlock(&rows.getBody(), {}, {builder.getIndexType(), builder.getIndexType()}, {loc, loc});
    Update update(inside, loc, region->getArgument(0), region->getArgument(1));
    body(update, function.getArguments());
    kernel::YieldOp::create(inside, loc);
  }
};

} // namespace
} // namespace sinter
