"""One remark, and the words and limits that all kinds of remarks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..estimates import student

SLOWER: Final = 0.05
"""A layer or a rank that takes this much more than on the other ranks is named."""
SMALL_SHARE: Final = 0.001
"""Less than this share of an iteration is not worth a remark."""
INTERRUPT_US: Final = 500.0
"""Shorter gaps are what a system's interrupts and page faults make; longer ones are a problem."""
MOST_NAMED: Final = 5
"""How many of a kind are named; the rest is counted."""
FEW_ROWS: Final = 10
CHANCE: Final = 0.01
"""In so large a share of sound runs may chance blame a rank, a layer, a part of the run."""


@dataclass(frozen=True)
class Finding:
    """One remark. `severity` is "problem" (the numbers cannot be trusted, or time is lost),
    "notice" (worth knowing) or "good".
    """  # noqa: D205

    severity: str
    title: str
    text: str


def time_text(us: float) -> str:
    """A duration with three significant digits, which no line end parts from its unit."""
    for limit, unit in ((1e6, "s"), (1e3, "ms")):
        if abs(us) >= limit * 0.9995:
            return f"{_digits(us / limit)}\u00a0{unit}"
    return f"{_digits(us)}\u00a0\u00b5s"


def _digits(value: float) -> str:
    size = abs(value)
    return f"{value:.0f}" if size >= 99.95 else f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"


def needed_errors(worth: NDArray[Any], comparisons: int) -> float:
    """So many standard errors are more than chance, but for CHANCE.

    `worth` is of how many independent rows the errors are; see `median_error`.
    """
    return student(max(1.0, float(np.nanmedian(worth)) - 1), 1 - CHANCE / comparisons)
