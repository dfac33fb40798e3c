# SPDX-License-Identifier: Apache-2.0
"""Triton kernels that utils/emulator-triton runs in the emulator: matmuls, norms, attention, with pointers and descriptors."""
import triton
import triton.language as tl


@triton.jit
def tile(a, b, M, N, K, m, n, begin, end, BK: tl.constexpr, total):
    k = tl.arange(0, BK)
    for at in range(begin, end, BK):
        x = tl.load(a + m[:, None] * K + (at + k)[None, :], mask=(m < M)[:, None], other=0.0)
        y = tl.load(b + (at + k)[:, None] * N + n[None, :], mask=(n < N)[None, :], other=0.0)
        total = tl.dot(x, y, total)
    return total


@triton.jit
def matmul(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    total = tile(a, b, M, N, K, m, n, 0, K, BK, tl.zeros((BM, BN), tl.float32))
    tl.store(c + m[:, None] * N + n[None, :], total, mask=(m < M)[:, None] & (n < N)[None, :])


@triton.jit
def matmul_integers(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    m, n, k = tl.arange(0, BM), tl.arange(0, BN), tl.arange(0, BK)
    total = tl.zeros((BM, BN), tl.int32)
    for at in range(0, K, BK):
        total = tl.dot(tl.load(a + m[:, None] * K + (at + k)[None, :]), tl.load(b + (at + k)[:, None] * N + n[None, :]), total)
    tl.store(c + m[:, None] * N + n[None, :], total)


@triton.jit
def matmul_split(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, SPLIT: tl.constexpr):
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    part = K // SPLIT
    begin = tl.program_id(2) * part
    total = tile(a, b, M, N, K, m, n, begin, begin + part, BK, tl.zeros((BM, BN), tl.float32))
    tl.atomic_add(c + m[:, None] * N + n[None, :], total)


@triton.jit
def product_of_boxes(a, b, c, m, n, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    total = tl.zeros((BM, BN), tl.float32)
    for at in range(0, K, BK):
        total = tl.dot(a.load([m, at]), b.load([n, at]).T, total)
    c.store([m, n], total.to(tl.float16))


@triton.jit
def matmul_descriptors(a, b, c, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    product_of_boxes(a, b, c, tl.program_id(0) * BM, tl.program_id(1) * BN, K, BM, BN, BK)


@triton.jit
def matmul_made_descriptors(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    x = tl.make_tensor_descriptor(a, [M, K], [K, 1], [BM, BK])
    y = tl.make_tensor_descriptor(b, [N, K], [K, 1], [BN, BK])
    z = tl.make_tensor_descriptor(c, [M, N], [N, 1], [BM, BN])
    product_of_boxes(x, y, z, tl.program_id(0) * BM, tl.program_id(1) * BN, K, BM, BN, BK)


@triton.jit
def matmul_persistent(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, BLOCKS: tl.constexpr):
    columns = tl.cdiv(N, BN)
    for t in tl.range(tl.program_id(0), tl.cdiv(M, BM) * columns, BLOCKS, flatten=True):
        product_of_boxes(a, b, c, t // columns * BM, t % columns * BN, K, BM, BN, BK)


@triton.jit
def rms_norm(x, w, y, N, eps, B: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, B)
    v = tl.load(x + row * N + at, mask=at < N, other=0.0)
    scale = tl.rsqrt(tl.sum(v * v) / N + eps)
    tl.store(y + row * N + at, v * scale * tl.load(w + at, mask=at < N, other=0.0), mask=at < N)


@triton.jit
def layer_norm(x, w, b, y, N, eps, B: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, B)
    inside = at < N
    v = tl.load(x + row * N + at, mask=inside, other=0.0)
    centred = tl.where(inside, v - tl.sum(v) / N, 0.0)
    scale = 1 / tl.sqrt(tl.sum(centred * centred) / N + eps)
    tl.store(y + row * N + at, centred * scale * tl.load(w + at, mask=inside) + tl.load(b + at, mask=inside), mask=inside)


@triton.jit
def softmax(x, y, N, B: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, B)
    v = tl.load(x + row * N + at, mask=at < N, other=-float("inf"))
    e = tl.exp(v - tl.max(v))
    tl.store(y + row * N + at, e / tl.sum(e), mask=at < N)


@triton.jit
def scan(x, y, B: tl.constexpr):
    at = tl.program_id(0) * B + tl.arange(0, B)
    tl.store(y + at, tl.cumsum(tl.load(x + at)))


@triton.jit
def sort(x, y, B: tl.constexpr):
    at = tl.program_id(0) * B + tl.arange(0, B)
    tl.store(y + at, tl.sort(tl.load(x + at)))


@triton.jit
def largest(x, y, B: tl.constexpr):
    row = tl.program_id(0)
    tl.store(y + row, tl.argmax(tl.load(x + row * B + tl.arange(0, B)), 0))


@triton.jit
def swiglu(g, u, y, B: tl.constexpr):
    at = tl.program_id(0) * B + tl.arange(0, B)
    gate = tl.load(g + at).to(tl.float32)
    tl.store(y + at, gate * tl.sigmoid(gate) * tl.load(u + at))


@triton.jit
def histogram(x, y, B: tl.constexpr, BINS: tl.constexpr):
    tl.store(y + tl.arange(0, BINS), tl.histogram(tl.load(x + tl.arange(0, B)), BINS))


@triton.jit
def uniform(y, seed, B: tl.constexpr):
    at = tl.arange(0, B)
    tl.store(y + at, tl.rand(seed, at))


@triton.jit
def step(x, keys, values, top, weight, total, m, n, scale, CAUSAL: tl.constexpr):
    s = tl.dot(x, keys) * (scale * 1.44269504)
    if CAUSAL:
        s = tl.where(m[:, None] >= n[None, :], s, -float("inf"))
    new = tl.maximum(top, tl.max(s, 1))
    p = tl.exp2(s - new[:, None])
    shrink = tl.exp2(top - new)
    return new, weight * shrink + tl.sum(p, 1), tl.dot(p.to(values.dtype), values, total * shrink[:, None])


@triton.jit
def attention(q, k, v, o, L, scale, BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr, CAUSAL: tl.constexpr):
    m, d = tl.program_id(0) * BM + tl.arange(0, BM), tl.arange(0, D)
    x = tl.load(q + m[:, None] * D + d[None, :])
    top = tl.full((BM,), -float("inf"), tl.float32)
    weight = tl.zeros((BM,), tl.float32)
    total = tl.zeros((BM, D), tl.float32)
    end = (tl.program_id(0) + 1) * BM if CAUSAL else L
    for at in range(0, end, BN):
        n = at + tl.arange(0, BN)
        keys = tl.load(k + n[None, :] * D + d[:, None])
        values = tl.load(v + n[:, None] * D + d[None, :])
        top, weight, total = step(x, keys, values, top, weight, total, m, n, scale, CAUSAL)
    tl.store(o + m[:, None] * D + d[None, :], total / weight[:, None])


@triton.jit
def attention_descriptors(q, k, v, o, L, scale, BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr, CAUSAL: tl.constexpr):
    m, d = tl.program_id(0) * BM + tl.arange(0, BM), tl.arange(0, D)
    x = q.load([tl.program_id(0) * BM, 0])
    top = tl.full((BM,), -float("inf"), tl.float32)
    weight = tl.zeros((BM,), tl.float32)
    total = tl.zeros((BM, D), tl.float32)
    end = (tl.program_id(0) + 1) * BM if CAUSAL else L
    for at in range(0, end, BN):
        n = at + tl.arange(0, BN)
        top, weight, total = step(x, k.load([at, 0]).T, v.load([at, 0]), top, weight, total, m, n, scale, CAUSAL)
    tl.store(o + m[:, None] * D + d[None, :], total / weight[:, None])
