"""The commands of `tfx_runner.py`. Importing this package imports neither TensorFlow nor TFX: `--help` is instant."""

from pipeline.cli.main import main

__all__ = ["main"]
