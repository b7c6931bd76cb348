"""Train with a pipeline that runs elsewhere, where `training.strategy` is `multi_worker`.

The environment variable TF_CONFIG names all workers, and this one. The chief (`chief`, or the first `worker`) runs the
pipeline with `run`; every other machine runs this command, before or after, where the pipeline's files are found under
the same paths. It waits for the chief's training, is told everything by it and ends with it: once for each training, so
also once for each fold of a cross-validation. When one worker is lost all end, and go on from the last checkpoint when
they are started again.
"""

import argparse
import os

from pipeline.cli import exits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """TF_CONFIG says it all."""


def execute(arguments: argparse.Namespace) -> int:
    """Trains; raises `ConfigError`, or `CommandError` where the training cannot be finished."""
    from config.cluster import Cluster

    cluster = Cluster.of_worker(os.environ)
    print(f"{cluster} waits for the chief, {cluster.addresses[0]}", flush=True)
    cluster.wait_for_chief()
    from trainer.worker import train_with_chief

    try:
        result = train_with_chief()
    except (RuntimeError, OSError, ArithmeticError, ValueError) as error:
        raise exits.CommandError(str(error)) from error
    print(f"trained {result.epochs} epochs, {result.steps} steps, in {result.seconds:.0f} s")
    return exits.OK
