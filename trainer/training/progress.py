"""Progress of training on the terminal."""

import math
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from config.progress import ProgressLine


class Progress:
    """Prints one line that is overwritten in a terminal, and plain lines elsewhere, in the format of `config.progress`.

    Args:
        total_steps: Of the whole training.
        epochs: Of the whole training; early stopping may end it sooner.
        done_steps: The finished steps of a resumed training.
        stream: None: standard output.
        interval: Seconds between two lines in a terminal; elsewhere ten times as many.
        is_shown: Whether anything is printed.
    """

    def __init__(
        self,
        total_steps: int,
        epochs: int,
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
        self._epochs = epochs
        self._first = done_steps
        self._start = self._last = time.monotonic()
        self._events = 0.0

    def is_due(self, windows: float) -> bool:
        """Counts a step with this mean number of windows; returns whether a line should be shown after it."""
        self._events += windows
        return self._is_shown and time.monotonic() - self._last >= self._interval

    def show(self, epoch: int, step: int, losses: Mapping[str, float]) -> None:
        """Shows the state after a step (counted from 1) with the losses by task."""
        self._last = time.monotonic()
        speed = f"{self._events / self._seconds():.0f} examples/s"
        position = f"epoch {epoch} of {self._epochs}, step {step} of {self._total}"
        text = f"{position}: {format_metrics(losses)}"
        fields = {"epoch": epoch, "step": step, "loss": _defined(losses)}
        self._write(ProgressLine(f"{text}; {speed}, {self._left(step)}", is_lasting=False, fields=fields))

    def end_epoch(self, epoch: int, step: int, train: Mapping[str, float], evaluation: Mapping[str, float]) -> None:
        """Prints an epoch's losses and metrics after its last step, on a line that stays."""
        if not self._is_shown:
            return
        parts = [f"{name} {format_metrics(found)}" for name, found in (("train", train), ("eval", evaluation)) if found]
        text = f"epoch {epoch} of {self._epochs}: {'; '.join([*parts, self._left(step)])}"
        fields = {"epoch": epoch, "step": step, "loss": _defined(train), "metrics": _defined(evaluation)}
        self._write(ProgressLine(text, fields=fields))

    def _write(self, line: ProgressLine) -> None:
        end = "\n" if line.is_lasting else ""
        self._stream.write(f"\r\x1b[K{line.text}{end}" if self._is_terminal else f"{line}\n")
        self._stream.flush()

    def _seconds(self) -> float:
        return max(time.monotonic() - self._start, 1e-9)

    def _left(self, step: int) -> str:
        """Estimates the time that is left if every epoch is trained, at the speed so far."""
        left = int((self._total - step) * self._seconds() / max(1, step - self._first))
        hours = f"{left // 3600}:{left // 60 % 60:02d}" if left >= 3600 else str(left // 60)
        return f"{hours}:{left % 60:02d} left"


def _defined(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Replaces what is not finite by None: JSON has no NaN."""
    return {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}


def format_metrics(metrics: Mapping[str, float]) -> str:
    """Formats `{"a": 1.0, "b": 0.25, "c": nan}` as `a 1.0000, b 0.2500, c undefined`."""
    return ", ".join(f"{name} {'undefined' if math.isnan(v) else format(v, '.4f')}" for name, v in metrics.items())
