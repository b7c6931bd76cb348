"""The command line of the recommender: `python tfx_runner.py --help`."""

import os
import sys
from pathlib import Path
from typing import Final, NoReturn

_WRONG_USAGE: Final = 2
"""As `pipeline.cli.common.USAGE`, which cannot be imported where packages are missing."""


def main() -> NoReturn:
    """Runs one command and ends the process with its exit code.

    Without the interpreter's own finalization: a thread of Arrow that lets go of a Python file just then aborts the
    process (seen in 1 of 25 short commands).
    """
    try:
        from pipeline.cli import main as run_command

        code = run_command()
    except ModuleNotFoundError as error:
        code = _missing(error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _missing(error: ModuleNotFoundError) -> int:
    """Says what to install, and returns the exit code. Raises the error where a module of this project is missing."""
    package = (error.name or "").partition(".")[0]
    if not package or Path(__file__).with_name(package).exists():
        raise error
    install = "pip install 'tfx-recommender[pipeline]'"
    print(f"error: the command line needs the pipeline's packages ({package} is missing): {install}", file=sys.stderr)
    return _WRONG_USAGE


if __name__ == "__main__":
    main()
