"""The lines of a run as JSON, one object each, for collectors of logs."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Self, TextIO

from config.progress import ProgressLine
from pipeline.runners.display import State

_POLL_SECONDS: Final = 0.5


class JsonLines:
    """Prints what `Display` prints as JSON objects.

    Each has `time` (RFC 3339, UTC), `run`, `level` (`info`, `warning`, `error`) and `event` (`message`, `started`,
    `progress`, `ended`); those of a component have `component`, the last one `state` and `seconds`; those of a training
    `epoch`, `step`, `loss` by task and, after an epoch, `metrics`.

    Args:
      stream: Where the lines go.
      run: The run's id.
    """

    def __init__(self, stream: TextIO, run: str) -> None:
        self._stream, self._run = stream, run
        self._name, self._started = "", 0.0
        self._news: Callable[[], list[ProgressLine]] = list
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._follower = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        self._follower.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._follower.join()

    def say(self, text: str, style: str = "") -> None:
        """Prints a message of the run."""
        del style
        self.write("message", message=text)

    def warn(self, text: str) -> None:
        """Prints a warning, of the component that ended last."""
        self.write("message", level="warning", component=self._name, message=text)

    def start(self, name: str, detail: Callable[[], str] = str, news: Callable[[], list[ProgressLine]] = list) -> None:
        """Prints that a component starts; `news` returns its progress since the last call."""
        del detail
        with self._lock:
            self._name, self._started, self._news = name, time.monotonic(), news
        self.write("started", component=name)

    def finish(self, state: State, metric: str = "") -> float:
        """Prints how the component ended, with its main metric, and returns its seconds."""
        self._print_news()
        with self._lock:
            seconds, self._news = time.monotonic() - self._started, list
        level = "error" if state == "failed" else "info"
        own = {"state": state, "seconds": round(seconds, 3), "message": metric}
        self.write("ended", level=level, component=self._name, **own)
        return seconds

    def write(self, event: str, level: str = "info", **fields: Any) -> None:
        """Prints one object."""
        head = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "run": self._run}
        values = {**head, "level": level, "event": event, **{k: v for k, v in fields.items() if v != ""}}
        with self._lock:
            self._stream.write(json.dumps(values, ensure_ascii=False) + "\n")
            self._stream.flush()

    def _follow(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            self._print_news()

    def _print_news(self) -> None:
        with self._lock:
            name, news = self._name, self._news()
        for line in news:
            self.write("progress", component=name, **line.fields, message=line.text)
