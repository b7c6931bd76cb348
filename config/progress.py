"""Lines of a run's log that are also shown in the terminal: the progress of a component.

Components print them, and the local runner reads them from the log (`pipeline/runners/capture.py`).
"""

import json
import re
from typing import Any, Final, NamedTuple, Self

LASTING: Final = "progress: "
PASSING: Final = "now: "
_FIELDS: Final = "\t"
_LINE: Final = re.compile(rf"^(?:[\d-]{{10}} [\d:]{{8}} )?({LASTING}|{PASSING})(.*)$")


class ProgressLine(NamedTuple):
    """A line of progress.

    Attributes:
      text: For people.
      is_lasting: Whether the terminal keeps it; another is overwritten by the next.
      fields: The same for programs, such as `{"step": 100, "loss": {"retrieval": 6.2}}`.
    """

    text: str
    is_lasting: bool = True
    fields: dict[str, Any] = {}

    def __str__(self) -> str:
        """Returns the line of the log."""
        fields = _FIELDS + json.dumps(self.fields) if self.fields else ""
        return f"{LASTING if self.is_lasting else PASSING}{self.text}{fields}"

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """Parses a line of the log, before which its date and time may stand; None: it is no line of progress."""
        found = _LINE.match(line)
        if found is None:
            return None
        text, _, fields = found[2].partition(_FIELDS)
        return cls(text, found[1] == LASTING, json.loads(fields) if fields else {})


def say(text: str) -> None:
    """Prints a lasting line of progress."""
    print(ProgressLine(text), flush=True)
