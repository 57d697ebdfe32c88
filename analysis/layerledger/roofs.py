"""The roofs of a roofline, measured here: fp32 matrix product and a copy between large arrays."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

_REPEATS = 5


def probe(extent: int = 2048, megabytes: int = 256) -> tuple[float, float]:
    """GFLOP/s and GB/s, the best of a few tries each; takes a second or so.

    As good as numpy's BLAS, which on some systems is a slow one. The copy counts what it reads and
    what it writes.

    Args:
        extent: rows and columns of the fp32 matrices.
        megabytes: size of the copied array; larger than any cache.
    """
    matrix = np.full((extent, extent), 1e-3, np.float32)
    product = np.empty_like(matrix)
    source = np.ones(megabytes * 250_000, np.float32)
    target = np.empty_like(source)
    multiply = _best_seconds(lambda: np.matmul(matrix, matrix, out=product))
    copy = _best_seconds(lambda: np.copyto(target, source))
    return 2 * extent**3 / multiply / 1e9, 2 * source.nbytes / copy / 1e9


def _best_seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(_REPEATS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
        if best > 2:  # a slow BLAS; once is enough
            break
    return best
