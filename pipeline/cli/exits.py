"""The exit codes: what a script may rely on."""

from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_PUSHED: Final = 3
INTERRUPTED: Final = 130

MEANING: Final = """exit codes:
  0  done
  1  the run, the download or the call failed
  2  the configuration or the command line is wrong
  3  the run finished, but its model was not blessed or not pushed, or a newer version answers
A report that cannot be written is told as a warning and changes no exit code.
"""


class CommandError(Exception):
    """A command failed; the message is all that a person needs."""
