"""What the running component says in the log of how far it is."""

from pathlib import Path

from config.progress import LASTING, LINE


class LogFollower:
    """Reads the lines of `config.progress` that are appended to a log from now on.

    Args:
      log: The file; it exists.
    """

    def __init__(self, log: Path):
        self._log = log
        self._position = log.stat().st_size
        self._rest = b""
        self._lasting: list[str] = []
        self._newest = ""

    def news(self) -> list[str]:
        """The lines that last, of what was appended since the last call."""
        self._read()
        lasting, self._lasting = self._lasting, []
        return lasting

    def newest(self) -> str:
        """The newest line, whether it lasts or not; empty before there is one."""
        self._read()
        return self._newest

    def _read(self) -> None:
        with self._log.open("rb") as file:
            file.seek(self._position)
            content = file.read()
        self._position += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        for line in lines:
            if found := LINE.match(line.decode(errors="replace")):
                self._newest = found[2]
                self._lasting += [found[2]] if found[1] == LASTING else []
