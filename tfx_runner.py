"""The command line of the recommender: `python tfx_runner.py --help`."""

import os
import sys
from typing import NoReturn

from pipeline.cli import main as run_command


def main() -> NoReturn:
    """Runs one command and ends the process with its exit code.

    Without the interpreter's own finalization: a thread of Arrow that lets go of a Python file just then aborts the
    process (seen in 1 of 25 short commands).
    """
    code = run_command()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
