"""Lines of a run's log that are also shown in the terminal: the progress of a component.

Components print them, and the local runner reads them from the log (`pipeline/runners/follow.py`).
"""

import re
from typing import Final

LASTING: Final = "progress: "
PASSING: Final = "now: "
LINE: Final = re.compile(rf"^(?:[\d-]{{10}} [\d:]{{8}} )?({LASTING}|{PASSING})(.*)$")
"""Matches a progress line: its prefix, which is permanent or transient, and its text; the log's date and time may
precede it."""


def say(text: str) -> None:
    """Prints a permanent progress line."""
    print(f"{LASTING}{text}", flush=True)
