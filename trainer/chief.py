"""The entry of TFX's Trainer where several workers train: this process's part is the chief's."""

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
from trainer.run import configured, train_and_export


def run_fn(fn_args: FnArgs) -> None:
    """Trains with the other workers and exports; see `trainer.run.run_fn`.

    In a process of its own: TensorFlow joins a cluster before its first operation or not at all, and other components
    have used it by now.

    Raises:
        ConfigError: `TF_CONFIG` does not name this process as a cluster's chief.
        RuntimeError: another worker, or the process itself, has ended.
    """
    Cluster.of_chief(os.environ)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            pool.submit(_train, RunArguments.of(fn_args)).result()
        except BrokenProcessPool as error:
            raise RuntimeError("the process that trained was killed") from error


def _train(arguments: RunArguments) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.set_verbosity(logging.INFO)
    with losses_explained():
        strategy = make_strategy(configured(arguments).training)
        broadcast_from_chief(strategy, arguments.to_json)
        train_and_export(arguments, strategy)
        barrier(strategy)


def _end_with_parent() -> None:
    """A training whose pipeline was killed would go on, and keep the port that the next one needs."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
