"""A line that says how far training is."""

import math
import sys
import time
from collections.abc import Mapping
from typing import TextIO


class Progress:
    """Prints one line that is written over in a terminal, and plain lines elsewhere.

    Args:
        total_steps: of the whole training.
        done_steps: those that a resumed training need not repeat.
        stream: standard output when missing.
        interval: seconds between two lines; plain lines come ten times as rarely.
        is_shown: nothing is printed without it.
    """

    def __init__(
        self,
        total_steps: int,
        done_steps: int = 0,
        stream: TextIO | None = None,
        interval: float = 1.0,
        is_shown: bool = True,
    ) -> None:
        self._stream = stream or sys.stdout
        self._is_terminal = self._stream.isatty()
        self._interval = interval if self._is_terminal else 10 * interval
        self._is_shown = is_shown
        self._total = total_steps
        self._first = done_steps
        self._start = self._last = time.monotonic()
        self._events = 0.0

    def is_due(self, windows: float) -> bool:
        """Counts a step of so many windows, on average; whether a line should be shown after it."""
        self._events += windows
        return self._is_shown and time.monotonic() - self._last >= self._interval

    def show(self, epoch: int, step: int, losses: Mapping[str, float]) -> None:
        """Shows the state after a step (counted from 1) with the losses by task."""
        self._last = time.monotonic()
        text = f"epoch {epoch} step {step}/{self._total} {format_figures(losses)} {self._speed(step)}"
        self._stream.write(f"\r\x1b[K{text}" if self._is_terminal else f"{text}\n")
        self._stream.flush()

    def end_epoch(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Prints an epoch's figures on a line that stays."""
        if not self._is_shown:
            return
        self._stream.write(("\r\x1b[K" if self._is_terminal else "") + f"epoch {epoch}: {format_figures(figures)}\n")
        self._stream.flush()

    def _speed(self, step: int) -> str:
        seconds = max(self._last - self._start, 1e-9)
        left = (self._total - step) * seconds / max(1, step - self._first)
        return f"{self._events / seconds:.0f} examples/s, {int(left) // 60}:{int(left) % 60:02d} left"


def format_figures(figures: Mapping[str, float]) -> str:
    """`{"a": 1.0, "b": 0.25, "c": nan}` -> `a 1.0000, b 0.2500, c undefined`."""
    return ", ".join(f"{name} {'undefined' if math.isnan(v) else format(v, '.4f')}" for name, v in figures.items())
