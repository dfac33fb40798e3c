# SPDX-License-Identifier: Apache-2.0
"""Triton kernels that utils/bench/gpu-counters compares ours with. Weights are (N, K), as model files have them."""
import triton
import triton.language as tl


@triton.jit
def matmul(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    total = tl.zeros((BM, BN), tl.float32)
    for at in range(0, K, BK):
        x = tl.load(a + m[:, None] * K + (at + k)[None, :])
        y = tl.load(b + n[None, :] * K + (at + k)[:, None])
        total = tl.dot(x, y, total)
    tl.store(c + m[:, None] * N + n[None, :], total)


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
