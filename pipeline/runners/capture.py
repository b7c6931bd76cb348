"""The log of a run: the output of components, C++ and child processes in a file, and the progress read from it."""

import io
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TextIO

from config.paths import PRIVATE
from config.progress import ProgressLine

POLL_SECONDS = 0.1


@contextmanager
def captured(log: Path, verbose: bool = False) -> Iterator[TextIO]:
    """Sends the file descriptors 1 and 2 of this process to the file `log` and yields the real standard output.

    Args:
      log: Appended to; its folder is made.
      verbose: The terminal shows all that reaches the file, too.
    """
    log.parent.mkdir(PRIVATE, parents=True, exist_ok=True)
    terminal = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with log.open("ab") as file, terminal, _redirected(file.fileno()):
        if verbose:
            with _followed(log, terminal):
                yield terminal
        else:
            yield terminal


@contextmanager
def _redirected(target: int) -> Iterator[None]:
    _flush()
    saved = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
    try:
        for descriptor, _ in saved:
            os.dup2(target, descriptor)
        with redirect_stdout(_writer(1)), redirect_stderr(_writer(2)):
            yield
    finally:
        _flush()
        for descriptor, copy in saved:
            os.dup2(copy, descriptor)
            os.close(copy)


def _writer(descriptor: int) -> TextIO:
    """Returns a Python stream on the descriptor, also where a notebook or a test replaced the interpreter's own.

    It stays open, as loggers that are set up meanwhile keep it.
    """
    raw = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
    return _Dated(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)


class _Dated(io.TextIOWrapper):
    """Begins each line with date and time of day. (C++ libraries and child processes bypass it.)"""

    _begins = True

    def write(self, text: str) -> int:
        if text:
            now = time.strftime("%Y-%m-%d %H:%M:%S ")
            lines = text.split("\n")
            dated = [now * (bool(line) and (index > 0 or self._begins)) + line for index, line in enumerate(lines)]
            self._begins = not lines[-1]
            super().write("\n".join(dated))
        return len(text)


@contextmanager
def _followed(log: Path, terminal: TextIO) -> Iterator[None]:
    """Copies lines that are appended to the file. (A pipe would lose the last ones of a crash.)"""
    done, begin = threading.Event(), log.stat().st_size

    def follow() -> None:
        with log.open(encoding="utf-8", errors="replace") as file:
            file.seek(begin)
            last = False
            while not last:
                last = done.wait(POLL_SECONDS)
                terminal.write(file.read())
                terminal.flush()

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        _flush()
        done.set()
        follower.join()


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


class LogFollower:
    """Reads the lines of `config.progress` that are appended to a log from now on.

    Args:
      log: The file; it exists.
    """

    def __init__(self, log: Path):
        self._log = log
        self._position = log.stat().st_size
        self._rest = b""
        self._lines: list[ProgressLine] = []
        self._newest = ""

    def news(self) -> list[ProgressLine]:
        """Returns the lines that were appended since the last call."""
        self._read()
        lines, self._lines = self._lines, []
        return lines

    def newest(self) -> str:
        """Returns the text of the newest line, lasting or not; empty before there is one."""
        self._read()
        return self._newest

    def _read(self) -> None:
        with self._log.open("rb") as file:
            file.seek(self._position)
            content = file.read()
        self._position += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        for line in lines:
            if found := ProgressLine.parse(line.decode(errors="replace")):
                self._newest = found.text
                self._lines.append(found)
