"""One line for each component: its name, state, seconds and main figure, live while it runs."""

import time
from collections.abc import Callable
from typing import Literal, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pipeline.visible import visible

State = Literal["running", "done", "cached", "skipped", "failed"]
STYLES: dict[State, str] = {
    "running": "bold",
    "done": "green",
    "cached": "cyan",
    "skipped": "yellow",
    "failed": "bold red",
}


class Display:
    """The lines of a run. Where the stream is no terminal, only finished lines are written."""

    def __init__(self, stream: TextIO, names: list[str], live: bool = True):
        """Prepares the lines.

        Args:
          stream: Where the lines go.
          names: All components, for the width of the first column.
          live: Show the running component's time as it passes.
        """
        self._console = Console(file=stream, highlight=False)
        self._width = max(map(len, names), default=0)
        self._name = ""
        self._started = 0.0
        self._detail: Callable[[], str] = str
        self._is_live = live and self._console.is_terminal
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
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_live:
            self._name = ""
            self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        """Prints a line of its own."""
        self._console.print(Text(visible(text), style), soft_wrap=True)

    def warn(self, text: str) -> None:
        """Prints a warning of the component whose line is the last."""
        self.say(f"{'':<{self._width}}  warning: {text}", "yellow")

    def start(self, name: str, detail: Callable[[], str] = str) -> None:
        """The component runs from now on; `detail` is asked for its progress again and again."""
        self._started, self._detail, self._name = time.monotonic(), detail, name

    def finish(self, state: State, figure: str = "") -> float:
        """The component ended so; returns its seconds."""
        seconds = time.monotonic() - self._started
        line = self._line(self._name, state, seconds, figure)
        self._name = ""
        self._console.print(line, soft_wrap=True)
        return seconds

    def _running(self) -> Text:
        if not self._name:
            return Text("")
        return self._line(self._name, "running", time.monotonic() - self._started, self._detail())

    def _line(self, name: str, state: State, seconds: float, figure: str) -> Text:
        line = Text(f"{name:<{self._width}}  ")
        line.append(f"{state:<7}", STYLES[state])
        line.append(f" {seconds:7.1f} s  {visible(figure)}".rstrip())
        return line
