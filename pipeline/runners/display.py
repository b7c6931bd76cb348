"""The lines of a run on the terminal: each component's name, state, seconds and main metric, and failures."""

import re
import threading
import time
from collections.abc import Callable
from typing import Final, Literal, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from config.progress import ProgressLine
from pipeline.messages import visible

_TRACEBACK: Final = "Traceback (most recent call last):"
_RAISED: Final = re.compile(
    r"^(?:[a-z_]\w*\.)*(?P<type>[A-Za-z_]\w*(?:Error|Exception|Exit|Interrupt|Failed|Exhausted))(?:: |:?$)"
)
_BEAM_STEP: Final = re.compile(r" \[while running '[^']*'\]")
_NAMED: Final = frozenset(
    ("KeyError", "IndexError", "TypeError", "AttributeError", "AssertionError", "ZeroDivisionError", "NameError")
)
"""Errors whose messages mean little without the name."""


def headline(error: BaseException) -> str:
    """Returns the exception's message without the stack traces and step names that Beam and TFX put into it."""
    text = _BEAM_STEP.sub("", str(error)).strip()
    if _TRACEBACK in text:
        return _last_raised(text)
    return _with_name(type(error).__name__, text)


def _last_raised(text: str) -> str:
    lines = text.splitlines()
    raised = [(index, found) for index, line in enumerate(lines) if (found := _RAISED.match(line))]
    if not raised:
        return lines[-1].strip()
    index, found = raised[-1]
    message = [lines[index][found.end() :]]
    for line in lines[index + 1 :]:
        if line.startswith((_TRACEBACK, "During handling", "The above exception")):
            break
        message.append(line)
    return _with_name(found["type"], "\n".join(message).strip())


def _with_name(name: str, text: str) -> str:
    if not text:
        return name
    return f"{name}: {text}" if name in _NAMED else text


State = Literal["running", "done", "cached", "skipped", "failed"]
STYLES: dict[State, str] = {
    "running": "bold",
    "done": "green",
    "cached": "cyan",
    "skipped": "yellow",
    "failed": "bold red",
}
HEARTBEAT_SECONDS = 30.0


class Display:
    """The lines of a run.

    Where the output is no terminal (CI, nohup) lines are not overwritten: each begins with the time of day, the
    progress of a component is printed as lines, and a component without progress has a line at every heartbeat.
    """

    def __init__(self, stream: TextIO, names: list[str], live: bool = True, heartbeat: float = HEARTBEAT_SECONDS):
        """Prepares the lines.

        Args:
          stream: Where the lines go.
          names: All components, for the width of the first column.
          live: Show the running component's time and progress; else finished lines only.
          heartbeat: Seconds without a line after which a component that runs has one, where `stream` is no terminal.
        """
        self._is_terminal = stream.isatty()
        self._console = Console(file=stream, highlight=False, force_terminal=self._is_terminal)
        self._width = max(map(len, names), default=0)
        self._name = ""
        self._started = self._last = 0.0
        self._detail: Callable[[], str] = str
        self._news: Callable[[], list[ProgressLine]] = list
        self._is_live = live and self._is_terminal
        self._follows = live and not self._is_terminal
        self._heartbeat = heartbeat
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._live = Live(
            console=self._console,
            get_renderable=self._running,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        if self._is_live:
            self._live.start()
        if self._follows:
            self._follower.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_live:
            self._name = ""
            self._live.stop()
        if self._follows:
            self._ended.set()
            self._follower.join()

    def say(self, text: str, style: str = "") -> None:
        """Prints a line of its own."""
        with self._lock:
            self._print(Text(visible(text), style))

    def warn(self, text: str) -> None:
        """Prints a warning of the component whose line is the last."""
        self.say(f"{'':<{self._width}}  warning: {text}", "yellow")

    def start(self, name: str, detail: Callable[[], str] = str, news: Callable[[], list[ProgressLine]] = list) -> None:
        """Starts a component.

        Args:
          name: The component.
          detail: Returns its progress; called repeatedly.
          news: Returns the lines of progress since the last call, where the output is no terminal.
        """
        with self._lock:
            self._started = self._last = time.monotonic()
            self._detail, self._news, self._name = detail, news, name

    def finish(self, state: State, metric: str = "") -> float:
        """Prints the component's final line and returns its seconds."""
        with self._lock:
            self._print_news()
            seconds = time.monotonic() - self._started
            name, self._name = self._name, ""
            self._print(self._line(name, state, seconds, metric))
        return seconds

    def _follow(self) -> None:
        while not self._ended.wait(min(1.0, self._heartbeat / 4)):
            with self._lock:
                self._print_news()
                if self._name and time.monotonic() - self._last >= self._heartbeat:
                    self._print_running(self._detail())

    def _print_news(self) -> None:
        for line in self._news() if self._name and self._follows else ():
            if line.is_lasting:
                self._print_running(line.text)

    def _print_running(self, text: str) -> None:
        self._last = time.monotonic()
        self._print(self._line(self._name, "running", self._last - self._started, text))

    def _print(self, line: Text) -> None:
        clock = "" if self._is_terminal else time.strftime("%H:%M:%S  ")
        self._console.print(Text(clock).append_text(line), soft_wrap=True)

    def _running(self) -> Text:
        name = self._name
        return self._line(name, "running", time.monotonic() - self._started, self._detail()) if name else Text("")

    def _line(self, name: str, state: State, seconds: float, metric: str) -> Text:
        line = Text(f"{name:<{self._width}}  ")
        line.append(f"{state:<7}", STYLES[state])
        line.append(f" {seconds:7.1f} s  {visible(metric)}".rstrip())
        return line
