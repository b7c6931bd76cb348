"""Which paths of a configuration may be on which object store."""

from collections.abc import Iterator
from typing import Final

from config import Config
from config.errors import Location, Problem

_OF_TENSORFLOW: Final = "gs"
"""What TensorFlow opens: models, artifacts and schemas pass through it."""
_OF_TABLES: Final = ("gs", "s3")
"""What Beam and Arrow read."""


def check_object_stores(config: Config) -> Iterator[Problem]:
    """Returns the paths on an object store that cannot be used."""
    yield from table_folder_problems(config)
    settings, training = config.pipeline, config.training
    distillation, warm_start = training.distillation, training.warm_start
    others: list[tuple[Location, str | None]] = [
        (("pipeline", "root"), settings.root),
        (("pipeline", "schema_file"), settings.schema_file),
        (("serving", "folder"), config.serving.folder),
        (("training", "distillation", "teacher"), distillation.teacher if distillation else None),
        (("training", "warm_start", "model"), warm_start.model if warm_start else None),
    ]
    for location, path in others:
        if path is not None and (scheme := _scheme(path)) not in ("", _OF_TENSORFLOW):
            yield (
                location,
                f"should be a local path or a {_OF_TENSORFLOW}:// URI: TensorFlow does not open {scheme}://. "
                f"Only tables are read from s3://. Received: {path!r}",
            )


def table_folder_problems(config: Config) -> Iterator[Problem]:
    """Returns why tables cannot be read from `data.folder`, where it is on an object store."""
    folder = config.data.folder
    if _scheme(folder) not in ("", *_OF_TABLES):
        allowed = " or ".join(f"{name}://" for name in _OF_TABLES)
        yield ("data", "folder"), f"should be a local folder, or a URI with {allowed}. Received: {folder!r}"


def _scheme(path: str) -> str:
    return path.partition("://")[0] if "://" in path else ""
