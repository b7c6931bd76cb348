"""The entry of TFX's Trainer for training with several workers: the chief's."""

import os
import sys
from contextlib import suppress
from functools import partial
from typing import Final

from absl import logging
from tfx.components.trainer.fn_args_utils import FnArgs

from config.cluster import VARIABLE, Cluster
from config.local_cluster import LocalCluster
from trainer.arguments import RunArguments
from trainer.distributed.collectives import barrier, broadcast_from_chief, losses_explained
from trainer.distributed.restarts import LostWorkerError
from trainer.distributed.strategies import make_strategy
from trainer.distributed.supervision import train_with_restarts
from trainer.distributed.training_process import Progress, TrainingProcess
from trainer.run import TrainingJob, export_trained
from trainer.submit import train_in_job

COMMANDS: Final = {"worker": (sys.executable, "-m", "trainer.worker")}
"""By role, the program of the processes that are started for a local cluster."""


def run_fn(fn_args: FnArgs) -> None:
    """Trains with the other workers and exports the model; see `trainer.run.run_fn`.

    The others are the processes that `TF_CONFIG` names, or those that `run --workers` asks for: these are started here,
    and when one of them or the training is lost, all start again from the last checkpoint.

    Args:
        fn_args: The arguments of `trainer.run.run_fn`.

    Raises:
        ConfigError: `TF_CONFIG` does not name this process as a cluster's chief.
        RuntimeError: Another worker, the training process or the job has ended.
    """
    arguments = RunArguments.of(fn_args)
    train = partial(train_as_chief, arguments)
    if local := LocalCluster.read(os.environ):
        train_with_restarts(train, local, COMMANDS)
        return
    job = arguments.config.training.job
    if job is not None and not Cluster.is_named(os.environ):
        train_in_job(arguments, job)
        return
    Cluster.of_chief(os.environ)
    with TrainingProcess(train, os.environ[VARIABLE]) as training:
        training.check()


def train_as_chief(arguments: RunArguments, progress: Progress) -> None:
    """Trains with the other workers and exports the model, in the process that `TF_CONFIG` names as the chief.

    Raises:
        LostWorkerError: Another worker has ended before the training has.
    """
    logging.set_verbosity(logging.INFO)
    with losses_explained():
        strategy = make_strategy(arguments.config.training)
        broadcast_from_chief(strategy, arguments.to_json)
        job = TrainingJob(arguments, strategy, progress.report)
        result = job.train()
        progress.end()
        export_trained(job, result, arguments)
        with suppress(LostWorkerError), losses_explained():
            barrier(strategy)  # the others end with success only after the export
