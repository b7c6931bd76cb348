"""Lines of a run's log that the terminal shows too: how far a component is.

A component prints them; the local runner reads them in the log (`pipeline/runners/follow.py`).
"""

import re
from typing import Final

LASTING: Final = "progress: "
PASSING: Final = "now: "
LINE: Final = re.compile(rf"^(?:[\d-]{{10}} [\d:]{{8}} )?({LASTING}|{PASSING})(.*)$")
"""Whether a line lasts, and its text; the log's date and time may stand before it."""


def say(text: str) -> None:
    """Prints what a component has reached: a line of its own where the output is no terminal."""
    print(f"{LASTING}{text}", flush=True)
