"""What the program promises of every run, and what a reader should be told of."""

from __future__ import annotations

from typing import Final

OVERHEAD_PERCENT: Final = 0.5
"""Profiling costs at most this much of an iteration."""
UNACCOUNTED_MEDIAN_PERCENT: Final = 0.5
"""Unaccounted time of the median iteration, on the rank where it is most."""
UNACCOUNTED_WORST_PERCENT: Final = 1.0
"""The same of the worst iteration."""
