"""The entry of TFX's Trainer for training with several processes: the chief's."""

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
from trainer.distributed.supervision import Program, train_with_restarts
from trainer.distributed.training_process import Progress, TrainingProcess
from trainer.run import TrainingJob, export_trained
from trainer.submit import train_in_job

_SERVER: Final = (sys.executable, "-m", "trainer.server")
PROGRAMS: Final = {
    "multi_worker": {"worker": Program((sys.executable, "-m", "trainer.worker"))},
    "parameter_server": {
        "worker": Program(_SERVER, is_server=True, is_replaceable=True),
        "ps": Program(_SERVER, is_server=True),
    },
}
"""By strategy and role, the programs of the processes that are started for a local cluster."""


def run_fn(fn_args: FnArgs) -> None:
    """Trains with the other processes and exports the model; see `trainer.run.run_fn`.

    The others are the processes that `TF_CONFIG` names, or those that `run --workers` asks for: these are started here,
    and when one of them or the training is lost, all start again from the last checkpoint. In place of a worker of
    parameter servers, another one starts alone.

    Args:
        fn_args: The arguments of `trainer.run.run_fn`.

    Raises:
        ConfigError: `TF_CONFIG` does not name this process as a cluster's chief.
        RuntimeError: Another worker, the training process or the job has ended.
    """
    arguments = RunArguments.of(fn_args)
    strategy = arguments.config.training.strategy
    train = partial(coordinate if strategy == "parameter_server" else train_as_chief, arguments)
    if local := LocalCluster.read(os.environ):
        train_with_restarts(train, local, PROGRAMS[strategy])
        return
    job = arguments.config.training.job
    if job is not None and not Cluster.is_named(os.environ):
        train_in_job(arguments, job)
        return
    Cluster.of_chief(os.environ, strategy)
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


def coordinate(arguments: RunArguments, progress: Progress) -> None:
    """Lets workers train on parameter servers and exports the model, as the chief that `TF_CONFIG` names.

    Raises:
        LostWorkerError: A server has ended: the variables that lay on it are lost.
    """
    logging.set_verbosity(logging.INFO)
    with losses_explained():
        job = TrainingJob(arguments, make_strategy(arguments.config.training), progress.report)
        result = job.train()
        export_trained(job, result, arguments)
