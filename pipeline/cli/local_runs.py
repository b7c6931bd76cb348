"""What the commands about the files of local runs share: the pipeline's folder, while no run is under way."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config import Config, paths
from pipeline.cli.common import CommandError


def runs_folder(config: Config) -> Path:
    """Returns the pipeline's folder. Raises `CommandError` where there are no local runs."""
    home = paths.home(config)
    if "://" in home or not Path(home).is_dir():
        raise CommandError(f"there are no local runs in {home}")
    return Path(home)


@contextmanager
def no_run_in(home: Path, config: Config) -> Iterator[None]:
    """Holds the folder's lock, and keeps what ML Metadata prints from the terminal.

    Args:
      home: Of `runs_folder`.
      config: The pipeline's configuration.

    Raises:
      CommandError: A run is under way, or the metadata cannot be used.
    """
    from pipeline.runners.capture import captured
    from pipeline.runners.local import RunError, only_run
    from pipeline.runners.metadata import database_problem

    try:
        with only_run(home):
            if problem := database_problem(home, config.pipeline.metadata):
                raise CommandError(problem)
            with tempfile.TemporaryDirectory() as folder, captured(Path(folder, "log")):
                yield
    except RunError as error:
        raise CommandError(str(error)) from error
