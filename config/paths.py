"""The files and folders of a pipeline."""

import posixpath
from pathlib import Path
from typing import Final

from config import Config

PRIVATE: Final = 0o750
"""The mode of the folders that are made for a pipeline, less what the umask takes: examples and reports tell of people,
so that only the owner and a group, such as the model server's, read them."""


def home(config: Config) -> str:
    """The folder of all output of this pipeline: `<pipeline.root>/<name>`."""
    return posixpath.join(config.pipeline.root, config.name)


def artifacts(config: Config) -> str:
    """TFX's pipeline root, with one folder per component."""
    return posixpath.join(home(config), "artifacts")


def checkpoints(config: Config) -> str:
    """Training checkpoints, which are kept after a killed run and removed after a finished one."""
    return posixpath.join(home(config), "checkpoints")


def reports(config: Config) -> str:
    """A folder for each run with its report, metrics and record."""
    return posixpath.join(home(config), "reports")


def report(config: Config) -> str:
    """The report of the newest run."""
    return posixpath.join(home(config), "report.html")


def metrics(config: Config) -> str:
    """The metrics of the newest run as JSON."""
    return posixpath.join(home(config), "metrics.json")


def online(config: Config) -> str:
    """The folder of what `online` measured: a page, JSON, and metrics for Prometheus."""
    return posixpath.join(home(config), "online")


def serving(config: Config) -> str:
    """The model base path, with one numbered folder per pushed version."""
    return config.serving.folder or posixpath.join(home(config), "serving", config.serving.model_name)


def request_log(config: Config) -> str | None:
    """What the names of the request log's files begin with, an absolute path; None where no requests are logged."""
    log = config.serving.log_requests
    return None if log is None else str(Path(log.folder).absolute() / config.serving.model_name)


def records(config: Config) -> str:
    """One file for each pushed version, by which pods find the model and statistics of earlier runs."""
    return posixpath.join(home(config), "records")
