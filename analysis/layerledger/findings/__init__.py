"""What looks wrong in a run, in words, each with the number that says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..reductions import Reduction
from ..runfile import RunFile
from . import course, lost_time, stragglers, trust
from .finding import Finding, time_text
from .stragglers import excess_over_others

__all__ = ["Finding", "excess_over_others", "find", "time_text"]


def find(run: RunFile, reduction: Reduction) -> list[Finding]:
    """All findings, problems first."""
    checks: list[Callable[[RunFile, Reduction], Iterator[Finding]]] = [
        trust.state,
        trust.loss,
        trust.unaccounted,
        trust.gaps,
        stragglers.slow_ranks_and_layers,
        stragglers.recorded_stragglers,
        lost_time.waiting,
        lost_time.idle,
        trust.overhead,
        course.drift,
        course.outliers,
        trust.clocks,
        trust.causality,
    ]
    found = [finding for check in checks for finding in check(run, reduction)]
    order = ("problem", "notice", "good")
    return sorted(found, key=lambda finding: order.index(finding.severity))
