"""How far long work has come, on standard error."""

from __future__ import annotations

import sys
import time


class Progress:
    """Counts work towards a total and says so now and then: a line rewritten in place on a
    terminal, else a new line every ten seconds. Work that ends soon says nothing.

    Args:
        label: what is being done, as in "reading run.h5".
        total: how much there is to do, in any unit.
    """  # noqa: D205

    def __init__(self, label: str, total: float) -> None:
        self._label = label
        self._total = max(total, 1e-9)
        self._done = 0.0
        self._is_terminal = sys.stderr.isatty()
        self._next = time.monotonic() + (0.5 if self._is_terminal else 10)
        self._shown = False

    def advance(self, amount: float) -> None:
        """Counts `amount` as done."""
        self._done += amount
        now = time.monotonic()
        if now < self._next:
            return
        text = f"{self._label}: {min(100.0, 100 * self._done / self._total):.0f} %"
        if self._is_terminal:
            print(f"\r{text} ", end="", file=sys.stderr, flush=True)
            self._next = now + 0.2
        else:
            print(text, file=sys.stderr, flush=True)
            self._next = now + 10
        self._shown = True

    def done(self) -> None:
        """Clears the line."""
        if self._shown and self._is_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
