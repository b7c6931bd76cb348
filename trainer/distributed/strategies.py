"""Distribution strategies: one device, or several in one process or many, that hold the same weights."""

import os

import tensorflow as tf
from absl import logging

from config.cluster import Cluster
from config.tpu import tpu_address
from config.training import TrainingConfig
from trainer.distributed.servers import fail_fast, server_strategy
from trainer.distributed.tpu import connected_tpu


def prepare_devices(config: TrainingConfig) -> None:
    """Divides the cores among operations and, without a GPU, the CPU into the logical devices of `mirrored`.

    A GPU's memory is taken as it is needed, for other processes use it too. A TPU is connected to.

    TensorFlow allows this only before its first operation, so a process that does other things with TensorFlow before
    training calls this first.

    Raises:
        ConfigError: If there is no address of a TPU for `tpu`.
        RuntimeError: If TensorFlow has started with too few devices, or there is no TPU at the address.
    """
    _divide_cores()
    _let_memory_grow()
    if config.strategy == "tpu":
        connected_tpu(tpu_address(config, os.environ))
    if config.strategy != "mirrored" or config.replicas is None or tf.config.list_physical_devices("GPU"):
        return
    try:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * config.replicas)
    except RuntimeError as error:
        found = len(tf.config.list_logical_devices("CPU"))
        if found < config.replicas:
            raise RuntimeError(
                f"`training.replicas` asks for {config.replicas} CPU devices but TensorFlow has started with {found}:"
                " call `trainer.distributed.strategies.prepare_devices` before anything else uses TensorFlow"
            ) from error


def _divide_cores() -> None:
    """Runs operations in parallel, each on half of the cores, where TensorFlow has not started yet.

    A step has hundreds of small operations: one that is spread over all cores waits for the slowest of them. On two
    cores this made steps a quarter faster.
    """
    cores = len(os.sched_getaffinity(0))
    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() or threading.get_inter_op_parallelism_threads():
        return  # configured by the caller
    try:
        threading.set_inter_op_parallelism_threads(cores)
        threading.set_intra_op_parallelism_threads(max(1, cores // 2))
    except RuntimeError:  # TensorFlow has started: slower, with the same results
        return


def _let_memory_grow() -> None:
    """Makes TensorFlow take a GPU's memory as it is needed instead of all at once."""
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError as error:
            logging.warning("%s holds all of its memory, since TensorFlow has started before: %s", gpu.name, error)


def make_strategy(config: TrainingConfig) -> tf.distribute.Strategy:
    """Makes the configured strategy; one of several processes waits until all of `TF_CONFIG` are there.

    Raises:
        RuntimeError: If there are fewer devices than `training.replicas`.
        ConfigError: If `TF_CONFIG` does not name the processes of `multi_worker` or `parameter_server`.
    """
    prepare_devices(config)
    if config.strategy == "one_device":
        return tf.distribute.get_strategy()
    if config.strategy == "tpu":
        return tf.distribute.TPUStrategy(connected_tpu(tpu_address(config, os.environ)))
    if config.strategy == "parameter_server":
        Cluster.of_chief(os.environ, config.strategy)
        fail_fast(os.environ)
        return server_strategy()
    if config.strategy == "multi_worker":
        Cluster.read(os.environ)
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        # Every worker has the same number of batches (`sharding`): they need not agree before each.
        strategy.extended.experimental_enable_get_next_as_optional = False
        return strategy
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    devices = [d.name for d in tf.config.list_logical_devices(kind)]
    wanted = config.replicas or len(devices)
    if wanted > len(devices):
        raise RuntimeError(
            f"`training.replicas` should be at most {len(devices)}, the {kind}s here. Received: {wanted}"
        )
    return tf.distribute.MirroredStrategy(devices[:wanted])


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether other processes train too."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process writes files: one of many, or the only one."""
    return bool(strategy.extended.should_checkpoint)
