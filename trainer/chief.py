"""The entry of TFX's Trainer for training with several workers: the chief's."""

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_context, parent_process

from absl import logging
from tfx.components.trainer.fn_args_utils import FnArgs

from config.cluster import Cluster
from trainer.arguments import RunArguments
from trainer.distributed.collectives import barrier, broadcast_from_chief, losses_explained
from trainer.distributed.strategies import make_strategy
from trainer.run import train_and_export


def run_fn(fn_args: FnArgs) -> None:
    """Trains with the other workers and exports the model; see `trainer.run.run_fn`.

    Training runs in a new process, since TensorFlow has to join a cluster before its first operation and other
    components have used it in this one.

    Args:
        fn_args: The arguments of `trainer.run.run_fn`.

    Raises:
        ConfigError: `TF_CONFIG` does not name this process as a cluster's chief.
        RuntimeError: Another worker or the training process has ended.
    """
    Cluster.of_chief(os.environ)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            pool.submit(_train, RunArguments.of(fn_args)).result()
        except BrokenProcessPool as error:
            raise RuntimeError("the training process was killed") from error


def _train(arguments: RunArguments) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.set_verbosity(logging.INFO)
    with losses_explained():
        strategy = make_strategy(arguments.config.training)
        broadcast_from_chief(strategy, arguments.to_json)
        train_and_export(arguments, strategy)
        barrier(strategy)


def _end_with_parent() -> None:
    """Ends this process when its parent ends, since it would keep the port that the next training needs."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
