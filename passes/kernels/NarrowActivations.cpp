// SPDX-License-Identifier: Apache-2.0
// --kernel-narrow-activations: what matmuls of 16-bit weights over many rows read is stored as their type,
// once, where each tile would round it again. So are queries that attention over many rows alone reads, as
// the type of the cache.
//
//   kernel.launch @norm(%x, %n)            %n: rows<512xf32>           rows<512xf16>
//   kernel.launch @matmul(%n, %w, %y)      %w: weight<2048x512, f16>   the same
//
// Where something else reads the rows as f32, too, or attention writes them, or the caller brings them, a
// launch of its own rounds a copy. Numbers do not change on tensor cores, which take both sides as that type;
// processors multiply the rounded rows by f32 (f16: 11 bits of mantissa, bf16: 8).
#include "dialects/kernel/WeightLayout.h"
#include "passes/Passes.h"
#include "passes/kernels/KernelNames.h"
#include "passes/kernels/RetypeKernels.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_NARROWACTIVATIONSPASS
#include "passes/Passes.h.inc"

namespace {

/// What launches do with a buffer of rows.
struct RowUses {
  Type element;                     // f16 or bf16, what matmuls that multiply it want
  bool storesOnly = true;           // of the launches that write it
  bool matmulsOnly = true;          // of those that read it
  int64_t writers = 0;              // launches
  SmallVector<OpOperand *> readers; // as a matmul's left side
  bool isQuery = false;             // attention is among those that read it
};

struct NarrowActivationsPass : impl::NarrowActivationsPassBase<NarrowActivationsPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto entry : getOperation().getOps<kernel::EntryOp>())
      for (auto buffer : llvm::to_vector(entry.getOps<kernel::BufferOp>()))
        narrow(symbols, buffer);
    retypeKernels(getOperation(), symbols);
  }

  /// f16 or bf16 where `matmul` is many rows by weights of that type, which copies whole pieces of a row.
  static Type elementOf(kernel::MatmulOp matmul) {
    kernel::ScheduleAttr schedule = matmul.getScheduleAttr();
    auto first = cast<kernel::WeightType>(matmul.getWeights().front().getType()).getFormat();
    bool isSame = llvm::all_of(matmul.getWeights().getTypes(), [&](Type type) {
      return cast<kernel::WeightType>(type).getFormat() == first;
    });
    if (!schedule || !schedule.getRowsPerTile() || !isSame || matmul.getTransposed() ||
        matmul.getInputs() % 8)
      return {};
    Builder types(matmul.getContext());
    if (first == kernel::WeightFormat::F16)
      return types.getF16Type();
    return first == kernel::WeightFormat::BF16 ? Type(types.getBF16Type()) : Type();
  }

  /// The type of the cache where the use is attention's query over many rows, in pieces of 16 bytes.
  static Type elementOfQuery(OpOperand &use) {
    auto attention = dyn_cast<kernel::AttentionOp>(use.getOwner());
    if (!attention || attention.getQuery() != use.get() || attention.getForm() != kernel::Form::Prefill ||
        attention.getKeys().getType().getSize() % 8)
      return {};
    Type element = attention.getKeys().getType().getElement();
    return element.isF32() ? Type() : element;
  }

  static RowUses usesOf(SymbolTable &symbols, kernel::BufferOp buffer) {
    RowUses uses;
    for (OpOperand &use : buffer->getUses()) {
      auto launch = cast<kernel::LaunchOp>(use.getOwner());
      auto function = symbols.lookup<kernel::FuncOp>(launch.getCallee());
      bool reads = false, writes = false;
      for (OpOperand &inner : function.getArgument(use.getOperandNumber()).getUses()) {
        auto matmul = dyn_cast<kernel::MatmulOp>(inner.getOwner());
        Type element = matmul && matmul.getLeft() == inner.get() ? elementOf(matmul) : Type();
        if (element && (!uses.element || uses.element == element)) {
          uses.element = element;
          uses.readers.push_back(&use);
          reads = true;
        } else if (isa<kernel::StoreOp>(inner.getOwner())) {
          writes = true;
        } else if (Type narrow = elementOfQuery(inner); narrow && (!uses.element || uses.element == narrow)) {
          uses.element = narrow;
          uses.isQuery = reads = true;
        } else if (auto attention = dyn_cast<kernel::AttentionOp>(inner.getOwner());
                   attention && attention.getOutput() == inner.get()) {
          writes = true;
          uses.storesOnly = false;
        } else {
          uses.matmulsOnly = false;
          // Loads alone read; of others nothing is known.
          uses.writers += isa<kernel::LoadOp>(inner.getOwner()) ? 0 : 2;
        }
      }
      uses.writers += writes;
      if (reads && writes)
        uses.writers += 2; // in place
    }
    return uses;
  }

  void narrow(SymbolTable &symbols, kernel::BufferOp buffer) {
    auto type = dyn_cast<kernel::RowsType>(buffer.getType());
    if (!type || !type.getElement().isF32() || buffer.getSpace() != kernel::Space::Arena ||
        buffer->hasAttr("result"))
      return;
    RowUses uses = usesOf(symbols, buffer);
    if (!uses.element || uses.writers > 1)
      return;
    auto narrowed = kernel::RowsType::get(&getContext(), type.getColumns(), uses.element, type.getPerRow());
    bool isArgument = buffer->hasAttr("argument");
    if (uses.storesOnly && uses.matmulsOnly && !isArgument)
      return buffer.getResult().setType(narrowed);
    if (uses.isQuery) // as good to round as it is read
      return;
    if (type.getPerRow() != 1) // a program runs once a row of the step
      return;
    OpBuilder builder(buffer.getContext());
    builder.setInsertionPointAfter(buffer);
    auto copy = kernel::BufferOp::create(builder, buffer.getLoc(), narrowed, kernel::Space::Arena, {},
                                         IntegerAttr(), IntegerAttr(), buffer.getRowsAttr());
    kernel::LaunchOp first;
    kernel::Domain domain = kernel::Domain::Rows;
    for (OpOperand *reader : uses.readers) {
      auto launch = cast<kernel::LaunchOp>(reader->getOwner());
      if (!first || launch->isBeforeInBlock(first))
        first = launch;
      auto function = symbols.lookup<kernel::FuncOp>(launch.getCallee());
      auto matmul = cast<kernel::MatmulOp>(function.getAnchor().getOperation());
      domain = matmul.getDomain();
      reader->set(copy.getResult());
    }
    countLaunchBefore(first);
    builder.setInsertionPoint(first);
    auto name = FlatSymbolRefAttr::get(rounding(symbols, type, narrowed, domain));
    kernel::LaunchOp::create(builder, first.getLoc(), name, ValueRange{buffer.getResult(), copy.getResult()});
  }

  /// One more launch in front of `next`: the head, which may run alone, begins one later where it is behind.
  static void countLaunchBefore(kernel::LaunchOp next) {
    auto entry = next->getParentOfType<kernel::EntryOp>();
    std::optional<uint64_t> head = entry.getHeadBegin();
    if (!head)
      return;
    auto launches = entry.getOps<kernel::LaunchOp>();
    uint64_t place = std::distance(launches.begin(), llvm::find(launches, next));
    if (place < *head)
      entry.setHeadBegin(*head + 1);
  }

  /// The name of the kernel that copies rows of `from` to rows of `to`.
  StringAttr rounding(SymbolTable &symbols, kernel::RowsType from, kernel::RowsType to,
                      kernel::Domain domain) {
    std::string text;
    llvm::raw_string_ostream(text) << from << to << static_cast<int>(domain);
    StringAttr &name = roundings[text];
    if (name)
      return name;
    OpBuilder builder(&getContext());
    Location loc = getOperation().getLoc();
    auto function = kernel::FuncOp::create(builder, loc, "round", builder.getFunctionType({from, to}, {}),
                                           ArrayAttr(), ArrayAttr(), StringAttr());
    Block &body = function->getRegion(0).emplaceBlock();
    body.addArguments({from, to}, {loc, loc});
    builder.setInsertionPointToStart(&body);
    auto rows =
        kernel::RowsOp::create(builder, loc, domain, IntegerAttr(), IntegerAttr(), kernel::ScheduleAttr());
    Block *program = builder.createBlock(&rows.getBody(), {}, {builder.getIndexType()}, {loc});
    auto vector = VectorType::get({from.getColumns()}, builder.getF32Type());
    Value row = program->getArgument(0);
    Value numbers = kernel::LoadOp::create(builder, loc, vector, body.getArgument(0), row, Value());
    kernel::StoreOp::create(builder, loc, numbers, body.getArgument(1), row, Value());
    kernel::YieldOp::create(builder, loc);
    return name = symbols.insert(function);
  }

  llvm::StringMap<StringAttr> roundings;
};

} // namespace
} // namespace sinter
