// SPDX-License-Identifier: Apache-2.0
// exp, exp2, tanh, erf, log, sin and cos of f32 scalars and vectors as arithmetic: no call of the C library,
// and the same bits on every machine of one instruction set. Polynomials without a named source are
// least-squares fits at Chebyshev points, weighted by the relative error of the result.
#include "passes/Passes.h"
#include "passes/lowering/Emitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include <numbers>

namespace sinter {
#define GEN_PASS_DEF_LOWERMATHPASS
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using sinter::Emitter;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

Type withElement(Type type, Type element) {
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.clone(element);
  return element;
}

/// sum of coefficients[i] * x^(n - 1 - i), by Horner's rule.
Value polynomial(Emitter &e, Value x, ArrayRef<double> coefficients) {
  Value p = e.constantF(x.getType(), coefficients.front());
  for (double coefficient : coefficients.drop_front())
    p = e.fma(p, x, e.constantF(x.getType(), coefficient));
  return p;
}

Value compare(Emitter &e, arith::CmpFPredicate predicate, Value a, Value b) {
  return arith::CmpFOp::create(e.b, e.loc, predicate, a, b);
}
Value choose(Emitter &e, Value condition, Value a, Value b) {
  return arith::SelectOp::create(e.b, e.loc, condition, a, b);
}
Value bitcast(Emitter &e, Type type, Value x) { return arith::BitcastOp::create(e.b, e.loc, type, x); }
Value toInteger(Emitter &e, Value x) {
  return arith::FPToSIOp::create(e.b, e.loc, withElement(x.getType(), e.i32()), x);
}
/// Where x is a NaN, x; else y.
Value keepNan(Emitter &e, Value x, Value y) {
  return choose(e, compare(e, arith::CmpFPredicate::UNO, x, x), x, y);
}

/// 2^(r + whole) given p = 2^r: adds `whole` (at most 128, p < 1 then or the result is infinite) to the
/// exponent.
Value scale(Emitter &e, Value p, Value whole) {
  Type integer = withElement(p.getType(), e.i32());
  Value exponent = arith::ShLIOp::create(e.b, e.loc, toInteger(e, whole), e.constantI(integer, 23));
  return bitcast(e, p.getType(), arith::AddIOp::create(e.b, e.loc, bitcast(e, integer, p), exponent));
}

/// exp: n = round(x / ln 2), r = x - n ln 2 in two parts, Taylor series of degree 7 on |r| <= ln(2) / 2.
Value lowerExp(Emitter &e, Value x) {
  Type type = x.getType();
  Value clamped = e.maxF(x, e.constantF(type, -87.0));
  Value high = e.constantF(type, 88.75);
  clamped = choose(e, compare(e, arith::CmpFPredicate::OLT, clamped, high), clamped, high);
  Value n = math::RoundEvenOp::create(e.b, e.loc, e.mulF(clamped, e.constantF(type, std::numbers::log2e)));
  Value r = e.fma(n, e.constantF(type, -0.693359375), clamped);
  r = e.fma(n, e.constantF(type, 2.12194440054690583e-4), r);
  Value p = polynomial(e, r, {1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0});
  Value y = scale(e, p, n);
  y = choose(e, compare(e, arith::CmpFPredicate::OLT, x, e.constantF(type, -87.0)), e.constantF(type, 0), y);
  y = choose(e, compare(e, arith::CmpFPredicate::OGT, x, e.constantF(type, 88.7228394)),
             e.constantF(type, infinity), y);
  return keepNan(e, x, y);
}

/// exp2: as exp, without the multiplication by ln 2.
Value lowerExp2(Emitter &e, Value x) {
  Type type = x.getType();
  Value clamped = e.maxF(x, e.constantF(type, -126.0));
  Value high = e.constantF(type, 128.0);
  clamped = choose(e, compare(e, arith::CmpFPredicate::OLT, clamped, high), clamped, high);
  Value n = math::RoundEvenOp::create(e.b, e.loc, clamped);
  Value r = e.subF(clamped, n);
  Value p =
      polynomial(e, r,
                 {1.5252733804059840e-5, 1.5403530393381610e-4, 1.3333558146428443e-3, 9.6181291076284772e-3,
                  5.5504108664821580e-2, 2.4022650695910071e-1, 6.9314718055994531e-1, 1.0});
  Value y = scale(e, p, n);
  y = choose(e, compare(e, arith::CmpFPredicate::OLT, x, e.constantF(type, -126.0)), e.constantF(type, 0), y);
  y = choose(e, compare(e, arith::CmpFPredicate::OGE, x, e.constantF(type, 128.0)),
             e.constantF(type, infinity), y);
  return keepNan(e, x, y);
}

/// tanh: a polynomial below 0.625, else 1 - 2 / (exp(2 |x|) + 1).
Value lowerTanh(Emitter &e, Value x) {
  Type type = x.getType();
  Value one = e.constantF(type, 1);
  Value magnitude = math::AbsFOp::create(e.b, e.loc, x);
  Value s = e.mulF(x, x);
  Value p = polynomial(e, s,
                       {2.153617584052497e-3, -8.189974228712038e-3, 2.1706262611777716e-2,
                        -5.394789024317837e-2, 1.3333216151609537e-1, -3.333333110850526e-1});
  Value small = e.fma(e.mulF(p, s), x, x);
  Value power = lowerExp(e, e.addF(magnitude, magnitude));
  Value large = e.subF(one, e.divF(e.constantF(type, 2), e.addF(power, one)));
  large = math::CopySignOp::create(e.b, e.loc, large, x);
  return choose(e, compare(e, arith::CmpFPredicate::OLT, magnitude, e.constantF(type, 0.625)), small, large);
}

/// erf: x * polynomial(x^2) below 1, else 1 - exp(-polynomial(|x|)), where erfc(x) = exp(-polynomial(x)) up
/// to 4.
Value lowerErf(Emitter &e, Value x) {
  Type type = x.getType();
  Value magnitude = math::AbsFOp::create(e.b, e.loc, x);
  Value s = e.mulF(x, x);
  Value p = polynomial(e, s,
                       {7.933493931007808e-05, -0.0008034846663230732, 0.005191218378878343,
                        -0.02685539945284718, 0.11283625725103093, -0.37612629877677245, 0.1283791665931533});
  Value small = e.fma(p, x, x);
  Value four = e.constantF(type, 4);
  Value t = choose(e, compare(e, arith::CmpFPredicate::OGT, magnitude, four), four, magnitude);
  Value exponent = polynomial(e, t,
                              {-3.494649745224441e-07, 2.666814967458575e-05, -0.00047178430394956977,
                               0.004308835229892456, -0.025427173424007847, 0.10870722903985386,
                               0.6329863404097942, 1.129684506033618, -0.00020876184753614198});
  Value large = e.subF(e.constantF(type, 1), lowerExp(e, arith::NegFOp::create(e.b, e.loc, exponent)));
  large = math::CopySignOp::create(e.b, e.loc, large, x);
  return choose(e, compare(e, arith::CmpFPredicate::OLT, magnitude, e.constantF(type, 1)), small, large);
}

/// log: x = 2^k m with m in [sqrt(1/2), sqrt(2)); f - f^2 / 2 + f^3 polynomial(f) with f = m - 1, plus k
/// ln 2.
Value lowerLog(Emitter &e, Value x) {
  Type type = x.getType();
  Type integer = withElement(type, e.i32());
  // A denormal is brought into the normal range first.
  Value tiny = compare(e, arith::CmpFPredicate::OLT, x, e.constantF(type, 1.17549435e-38));
  Value normal = choose(e, tiny, e.mulF(x, e.constantF(type, 8388608.0)), x);
  Value bits = bitcast(e, integer, normal);
  // Subtracting the bits of sqrt(1/2) makes the exponent field count from there.
  Value shifted = arith::SubIOp::create(e.b, e.loc, bits, e.constantI(integer, 0x3f3504f3));
  Value k = arith::ShRSIOp::create(e.b, e.loc, shifted, e.constantI(integer, 23));
  Value mantissa = arith::SubIOp::create(
      e.b, e.loc, bits, arith::ShLIOp::create(e.b, e.loc, k, e.constantI(integer, 23)).getResult());
  Value f = e.subF(bitcast(e, type, mantissa), e.constantF(type, 1));
  Value exponent = arith::SIToFPOp::create(e.b, e.loc, type, k);
  exponent = e.addF(exponent, choose(e, tiny, e.constantF(type, -23), e.constantF(type, 0)));
  Value p = polynomial(e, f,
                       {0.06800912122011078, -0.11726604796162007, 0.11890989464635271, -0.12396445143811956,
                        0.1421776257651617, -0.16668512608980698, 0.2000224651529156, -0.25000000557644525,
                        0.33333310124991744});
  Value f2 = e.mulF(f, f);
  Value y = e.mulF(e.mulF(p, f), f2);
  y = e.fma(exponent, e.constantF(type, -2.12194440054690583e-4), y);
  y = e.fma(f2, e.constantF(type, -0.5), y);
  y = e.addF(f, y);
  y = e.fma(exponent, e.constantF(type, 0.693359375), y);
  Value zero = e.constantF(type, 0);
  y = choose(e, compare(e, arith::CmpFPredicate::OEQ, x, e.constantF(type, infinity)), x, y);
  y = choose(e, compare(e, arith::CmpFPredicate::OEQ, x, zero), e.constantF(type, -infinity), y);
  return choose(e, compare(e, arith::CmpFPredicate::ULT, x, zero),
                e.constantF(type, std::numeric_limits<double>::quiet_NaN()), y);
}

/// sin and cos: x = q pi/2 + r in f64, Taylor series on |r| <= pi/4, the quadrant by the two low bits of q.
Value lowerSinCos(Emitter &e, Value x, int quadrant) {
  Type type = x.getType(), wide = withElement(type, e.b.getF64Type());
  Type integer = withElement(type, e.i32());
  // Beyond 2^31 a quadrant says nothing in f32; infinities and NaN become NaN.
  Value magnitude = math::AbsFOp::create(e.b, e.loc, x);
  Value inRange = compare(e, arith::CmpFPredicate::OLT, magnitude, e.constantF(type, 2147483648.0));
  Value safe = choose(e, inRange, x, e.constantF(type, 0));
  Value xd = arith::ExtFOp::create(e.b, e.loc, wide, safe);
  Value q = math::RoundEvenOp::create(e.b, e.loc, e.mulF(xd, e.constantF(wide, 2 / std::numbers::pi)));
  Value r = e.fma(q, e.constantF(wide, -std::numbers::pi / 2), xd);
  r = e.fma(q, e.constantF(wide, -6.123233995736766e-17), r);
  Value s = e.mulF(r, r);
  Value sine = polynomial(e, s, {-1.0 / 39916800, 1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6});
  sine = e.fma(e.mulF(sine, s), r, r);
  Value cosine =
      polynomial(e, s, {1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24, -0.5, 1.0});
  Value turns = arith::AddIOp::create(e.b, e.loc, arith::FPToSIOp::create(e.b, e.loc, integer, q).getResult(),
                                      e.constantI(integer, quadrant));
  auto bit = [&](int64_t mask) -> Value {
    Value masked = arith::AndIOp::create(e.b, e.loc, turns, e.constantI(integer, mask));
    return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ne, masked, e.constantI(integer, 0));
  };
  Value y = choose(e, bit(1), cosine, sine);
  y = choose(e, bit(2), arith::NegFOp::create(e.b, e.loc, y), y);
  y = arith::TruncFOp::create(e.b, e.loc, type, y);
  return choose(e, inRange, y, e.constantF(type, std::numeric_limits<double>::quiet_NaN()));
}

template <typename Op> struct Lower : OpRewritePattern<Op> {
  using Function = Value (*)(Emitter &, Value);
  Lower(MLIRContext *context, Function function) : OpRewritePattern<Op>(context), function(function) {}

  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    if (!getElementTypeOrSelf(op.getType()).isF32())
      return rewriter.notifyMatchFailure(op, "expected f32");
    Emitter e(rewriter, op.getLoc());
    rewriter.replaceOp(op, function(e, op.getOperand()));
    return success();
  }

  Function function;
};

struct LowerMathPass : sinter::impl::LowerMathPassBase<LowerMathPass> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    patterns.add<Lower<math::ExpOp>>(context, lowerExp);
    patterns.add<Lower<math::Exp2Op>>(context, lowerExp2);
    patterns.add<Lower<math::TanhOp>>(context, lowerTanh);
    patterns.add<Lower<math::ErfOp>>(context, lowerErf);
    patterns.add<Lower<math::LogOp>>(context, lowerLog);
    patterns.add<Lower<math::SinOp>>(context, [](Emitter &e, Value x) { return lowerSinCos(e, x, 0); });
    patterns.add<Lower<math::CosOp>>(context, [](Emitter &e, Value x) { return lowerSinCos(e, x, 1); });
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    WalkResult left = getOperation()->walk([](Operation *op) {
      bool instruction = isa<math::FmaOp, math::SqrtOp, math::RsqrtOp, math::AbsFOp, math::CopySignOp,
                             math::RoundEvenOp, math::FloorOp, math::CeilOp, math::TruncOp>(op);
      bool isMath =
          isa_and_present<math::MathDialect>(op->getDialect()) || isa<arith::RemFOp>(op); // libm's fmodf
      if (!isMath || instruction)
        return WalkResult::advance();
      op->emitOpError() << "expected an operation of math that CPUs have or that lower-math knows";
      return WalkResult::interrupt();
    });
    if (left.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace
