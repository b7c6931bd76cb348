"""Whether a run can write where the configuration tells it to."""

import os
from collections.abc import Iterator
from pathlib import Path

from config import Config, paths
from config.errors import Problem


def check_folders(config: Config) -> Iterator[Problem]:
    """The folders of the configuration that cannot be made or written to. Those on an object store are not tried."""
    if problem := why_unwritable(paths.home(config)):
        yield ("pipeline", "root"), f"should be a folder that can be written to: {problem}"
    if config.serving.folder and (problem := why_unwritable(config.serving.folder)):
        yield ("serving", "folder"), f"should be a folder that can be written to: {problem}"


def why_unwritable(folder: str) -> str:
    """Why a folder cannot be made or written to; empty where it can. Nothing is written to find out."""
    if "://" in folder:
        return ""
    path = Path(folder).absolute()
    for place in (path, *path.parents):
        try:
            place.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue  # the folder above tells
        except OSError as error:
            return f"{_short(place)} ({error.strerror})"
        if not place.is_dir():
            return f"{place} is no folder"
        return "" if os.access(place, os.W_OK | os.X_OK) else f"{place} cannot be written to by this user"
    return f"{path} does not exist"


def _short(path: Path, limit: int = 120) -> str:
    text = str(path)
    return text if len(text) <= limit else text[: limit - 3] + "..."
