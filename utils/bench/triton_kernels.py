# SPDX-License-Identifier: Apache-2.0
"""Triton kernels that utils/bench/gpu-counters compares ours with. Weights are (N, K), as model files have them."""
import triton
import triton.language as tl


@triton.jit
def matmul(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PART: tl.constexpr):
    """PART, of 8 bits: columns of K whose products tensor cores may sum; the rest are additions of f32. None: all of K."""
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    total = tl.zeros((BM, BN), tl.float32)
    for at in range(0, K, BK):
        x = tl.load(a + m[:, None] * K + (at + k)[None, :])
        y = tl.load(b + n[None, :] * K + (at + k)[:, None])
        total = tl.dot(x, y, total, max_num_imprecise_acc=PART)
    tl.store(c + m[:, None] * N + n[None, :], total)


@triton.jit
def rounded_matmul(a, b, c, M, N, K, A_IS_KM: tl.constexpr, B_IS_KN: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """A product of a training step under mixed precision: both factors are f32 in memory and rounded to bf16 on the way. a is (M, K) or
    (K, M), b (N, K) or (K, N)."""
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    total = tl.zeros((BM, BN), tl.float32)
    for at in range(0, K, BK):
        if A_IS_KM:
            x = tl.load(a + (at + k)[None, :] * M + m[:, None])
        else:
            x = tl.load(a + m[:, None] * K + (at + k)[None, :])
        if B_IS_KN:
            y = tl.load(b + (at + k)[:, None] * N + n[None, :])
        else:
            y = tl.load(b + n[None, :] * K + (at + k)[:, None])
        total = tl.dot(x.to(tl.bfloat16), y.to(tl.bfloat16), total)
    tl.store(c + m[:, None] * N + n[None, :], total)


@triton.jit
def thin_matmul(a, b, c, rows, N, K, ROUNDS: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """At most BM rows of f32, rounded to the weights' type on the way, or kept, by three products of TF32."""
    m = tl.arange(0, BM)
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    total = tl.zeros((BM, BN), tl.float32)
    for at in range(0, K, BK):
        x = tl.load(a + m[:, None] * K + (at + k)[None, :], mask=m[:, None] < rows, other=0.0)
        y = tl.load(b + n[None, :] * K + (at + k)[:, None])
        if ROUNDS:
            total = tl.dot(x.to(y.dtype), y, total)
        else:
            total = tl.dot(x, y.to(tl.float32), total, input_precision="tf32x3")
    tl.store(c + m[:, None] * N + n[None, :], total, mask=m[:, None] < rows)


@triton.jit
def matvec(a, b, c, M, N, K, BN: tl.constexpr, BK: tl.constexpr):
    n = tl.program_id(0) * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    total = tl.zeros((BN, BK), tl.float32)
    for at in range(0, K, BK):
        x = tl.load(a + at + k).to(tl.float32)
        y = tl.load(b + n[:, None] * K + (at + k)[None, :]).to(tl.float32)
        total += x[None, :] * y
    tl.store(c + n, tl.sum(total, 1))


@triton.jit
def rms_norm(x, w, y, N, eps, B: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, B)
    v = tl.load(x + row * N + at, mask=at < N, other=0.0)
    scale = tl.rsqrt(tl.sum(v * v) / N + eps)
    tl.store(y + row * N + at, v * scale * tl.load(w + at, mask=at < N, other=0.0), mask=at < N)


@triton.jit
def attention(q, k, v, o, N, scale, H: tl.constexpr, G: tl.constexpr, D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr):
    """Causal attention of one row block of one head, by blocks of keys with a running maximum and sum (FlashAttention-2): first
    the blocks that all rows see, then those that the diagonal cuts. q and o are (N, H, D), k and v (H / G, N, D)."""
    block, head = tl.program_id(0), tl.program_id(1)
    m, n, d = block * BM + tl.arange(0, BM), tl.arange(0, BN), tl.arange(0, D)
    x = tl.load(q + m[:, None] * (H * D) + head * D + d[None, :])
    k += head // G * N * D
    v += head // G * N * D
    high = tl.full((BM,), -1e30, tl.float32)
    total = tl.zeros((BM,), tl.float32)
    sums = tl.zeros((BM, D), tl.float32)
    for at in range(0, block * BM, BN):
        high, total, sums = attention_block(x, k, v, at + n, d, scale, high, total, sums, m, False, D)
    for at in range(block * BM, block * BM + BM, BN):
        high, total, sums = attention_block(x, k, v, at + n, d, scale, high, total, sums, m, True, D)
    tl.store(o + m[:, None] * (H * D) + head * D + d[None, :], sums / total[:, None])


@triton.jit
def attention_block(x, k, v, n, d, scale, high, total, sums, m, CUT: tl.constexpr, W: tl.constexpr):
    """One block of keys and values, rows of W numbers."""
    y = tl.load(k + n[None, :] * W + d[:, None])
    scores = tl.dot(x, y)
    if CUT:
        scores = tl.where(n[None, :] <= m[:, None], scores, -1e30)
    largest = tl.maximum(high, tl.max(scores, 1) * scale)
    weights = tl.exp2(scores * scale - largest[:, None])
    correction = tl.exp2(high - largest)
    z = tl.load(v + n[:, None] * W + d[None, :])
    sums = tl.dot(weights.to(z.dtype), z, sums * correction[:, None])
    return largest, total * correction + tl.sum(weights, 1), sums


@triton.jit
def training_attention(q, k, v, logs, o, N, scale, H: tl.constexpr, D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr):
    """As attention, of a training step: q, k and v are (N, H, D) of bf16, o is f32, and logs (N, H) gets maximum + log2(sum)."""
    block, head = tl.program_id(0), tl.program_id(1)
    m, n, d = block * BM + tl.arange(0, BM), tl.arange(0, BN), tl.arange(0, D)
    places = m[:, None] * (H * D) + head * D + d[None, :]
    x = tl.load(q + places)
    k += head * D
    v += head * D
    high = tl.full((BM,), -1e30, tl.float32)
    total = tl.zeros((BM,), tl.float32)
    sums = tl.zeros((BM, D), tl.float32)
    for at in range(0, block * BM, BN):
        high, total, sums = attention_block(x, k, v, at + n, d, scale, high, total, sums, m, False, H * D)
    for at in range(block * BM, block * BM + BM, BN):
        high, total, sums = attention_block(x, k, v, at + n, d, scale, high, total, sums, m, True, H * D)
    tl.store(logs + m * H + head, high + tl.log2(total))
    tl.store(o + places, sums / total[:, None])


@triton.jit
def output_dots(g, o, dots, H: tl.constexpr, D: tl.constexpr, BM: tl.constexpr):
    """dots (N, H) is the sum of g * o over a head, which attention_gradients is given; Triton's tutorial has a launch for it, too."""
    block, head = tl.program_id(0), tl.program_id(1)
    m, d = block * BM + tl.arange(0, BM), tl.arange(0, D)
    places = m[:, None] * (H * D) + head * D + d[None, :]
    tl.store(dots + m * H + head, tl.sum(tl.load(g + places) * tl.load(o + places), 1))


@triton.jit
def attention_gradients(g, q, k, v, logs, dots, dk, dv, dq, N, scale, H: tl.constexpr, D: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr):
    """Gradients of training_attention, as Triton's tutorial has them (FlashAttention-2): a program makes those of BN keys, by blocks of BM
    queries, then those of BN queries, by blocks of BM keys. g is (N, H, D) of f32; dots (N, H) is the sum of g * o."""
    block, head = tl.program_id(0), tl.program_id(1)
    W: tl.constexpr = H * D
    d, own = tl.arange(0, D), block * BN + tl.arange(0, BN)
    places = own[:, None] * W + head * D + d[None, :]
    factor = scale * 1.4426950408889634
    y, z = tl.load(k + places), tl.load(v + places)
    ofKeys, ofValues = tl.zeros((BN, D), tl.float32), tl.zeros((BN, D), tl.float32)
    for at in range(block * BN, block * BN + BN, BM):
        ofKeys, ofValues = gradients_of_keys(g, q, logs, dots, at, head, y, z, own, factor, scale, ofKeys, ofValues, True, H, D, BM)
    for at in range(block * BN + BN, N, BM):
        ofKeys, ofValues = gradients_of_keys(g, q, logs, dots, at, head, y, z, own, factor, scale, ofKeys, ofValues, False, H, D, BM)
    tl.store(dk + places, ofKeys)
    tl.store(dv + places, ofValues)
    x, gradient = tl.load(q + places), tl.load(g + places).to(tl.bfloat16)
    log, dot = tl.load(logs + own * H + head), tl.load(dots + own * H + head)
    ofQueries = tl.zeros((BN, D), tl.float32)
    for at in range(0, block * BN, BM):
        ofQueries = gradients_of_queries(k, v, at, head, x, gradient, log, dot, own, factor, scale, ofQueries, False, H, D, BM)
    for at in range(block * BN, block * BN + BN, BM):
        ofQueries = gradients_of_queries(k, v, at, head, x, gradient, log, dot, own, factor, scale, ofQueries, True, H, D, BM)
    tl.store(dq + places, ofQueries)


@triton.jit
def gradients_of_keys(g, q, logs, dots, at, head, y, z, n, factor, scale, ofKeys, ofValues, CUT: tl.constexpr, H: tl.constexpr, D: tl.constexpr,
                      BM: tl.constexpr):
    m, d = at + tl.arange(0, BM), tl.arange(0, D)
    x = tl.load(q + m[:, None] * (H * D) + head * D + d[None, :])
    gradient = tl.load(g + m[:, None] * (H * D) + head * D + d[None, :]).to(tl.bfloat16)
    weights = tl.exp2(tl.dot(y, tl.trans(x)) * factor - tl.load(logs + m * H + head)[None, :])
    if CUT:
        weights = tl.where(n[:, None] <= m[None, :], weights, 0.0)
    ofValues = tl.dot(weights.to(tl.bfloat16), gradient, ofValues)
    difference = weights * (tl.dot(z, tl.trans(gradient)) - tl.load(dots + m * H + head)[None, :]) * scale
    return tl.dot(difference.to(tl.bfloat16), x, ofKeys), ofValues


@triton.jit
def gradients_of_queries(k, v, at, head, x, gradient, log, dot, m, factor, scale, ofQueries, CUT: tl.constexpr, H: tl.constexpr, D: tl.constexpr,
                         BM: tl.constexpr):
    n, d = at + tl.arange(0, BM), tl.arange(0, D)
    y = tl.load(k + n[:, None] * (H * D) + head * D + d[None, :])
    z = tl.load(v + n[:, None] * (H * D) + head * D + d[None, :])
    weights = tl.exp2(tl.dot(x, tl.trans(y)) * factor - log[:, None])
    if CUT:
        weights = tl.where(n[None, :] <= m[:, None], weights, 0.0)
    difference = weights * (tl.dot(gradient, tl.trans(z)) - dot[:, None]) * scale
    return tl.dot(difference.to(tl.bfloat16), y, ofQueries)
