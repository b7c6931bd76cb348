"""Where a pipeline keeps its things. One function for each place, so that no two rooms guess differently."""

import posixpath

from config import Config


def home(config: Config) -> str:
    """The folder of everything that this pipeline writes: `<pipeline.root>/<name>`."""
    return posixpath.join(config.pipeline.root, config.name)


def artifacts(config: Config) -> str:
    """TFX's pipeline root: one folder for each component."""
    return posixpath.join(home(config), "artifacts")


def checkpoints(config: Config) -> str:
    """Training checkpoints: they outlive a killed run and are removed after a finished one."""
    return posixpath.join(home(config), "checkpoints")


def report(config: Config) -> str:
    """The newest run as a page."""
    return posixpath.join(home(config), "report.html")


def metrics(config: Config) -> str:
    """The newest run's metrics as JSON."""
    return posixpath.join(home(config), "metrics.json")


def serving(config: Config) -> str:
    """The model base path: one numbered folder for each pushed version."""
    return config.serving.folder or posixpath.join(home(config), "serving", config.serving.model_name)
