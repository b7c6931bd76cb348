"""Where the model is trained: one device, or several, in one process or in many, that hold the same weights."""

import os

import tensorflow as tf

from config.cluster import Cluster
from config.training import TrainingConfig


def prepare_devices(config: TrainingConfig) -> None:
    """Divides the cores among operations, and the CPU into as many logical devices as `mirrored` asks for where there
    is no GPU.

    TensorFlow allows this only before its first operation, so a process that does other things with TensorFlow before
    training calls this first.

    Raises:
        RuntimeError: TensorFlow has started with too few devices.
    """
    _divide_cores()
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
    """Has operations run side by side, each on half of the cores, where TensorFlow has not started yet.

    A step is hundreds of small operations: one that is spread over all cores waits for the slowest of them. On two
    cores steps took a quarter less time so.
    """
    cores = len(os.sched_getaffinity(0))
    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() or threading.get_inter_op_parallelism_threads():
        return  # somebody has chosen
    try:
        threading.set_inter_op_parallelism_threads(cores)
        threading.set_intra_op_parallelism_threads(max(1, cores // 2))
    except RuntimeError:  # it has started: slower, and right all the same
        return


def make_strategy(config: TrainingConfig) -> tf.distribute.Strategy:
    """The configured strategy.

    Raises:
        RuntimeError: there are fewer devices than `training.replicas`.
        ConfigError: there are no workers for `multi_worker`.
    """
    prepare_devices(config)
    if config.strategy == "one_device":
        return tf.distribute.get_strategy()
    if config.strategy == "multi_worker":
        return _join_workers()
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    devices = [d.name for d in tf.config.list_logical_devices(kind)]
    wanted = config.replicas or len(devices)
    if wanted > len(devices):
        raise RuntimeError(
            f"`training.replicas` should be at most {len(devices)}, the {kind}s here. Received: {wanted}"
        )
    return tf.distribute.MirroredStrategy(devices[:wanted])


def _join_workers() -> tf.distribute.Strategy:
    """Waits until all workers of `TF_CONFIG` are there; TensorFlow should not have started."""
    Cluster.read(os.environ)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    # Every worker has the same number of batches (`sharding`): they need not ask each other before each.
    strategy.extended.experimental_enable_get_next_as_optional = False
    return strategy


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes train too."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes: one of many, or the only one."""
    return bool(strategy.extended.should_checkpoint)


def global_sum(value: tf.Tensor) -> tf.Tensor:
    """The sum over all replicas of each replica's tensor; no gradient flows through it."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.stop_gradient(value))


def global_concat(value: tf.Tensor) -> tf.Tensor:
    """The replicas' tensors [n, ...] one behind the other, in their order; no gradient flows through it."""
    if tf.distribute.in_cross_replica_context():  # Weights are made, nothing is computed.
        return value
    return tf.distribute.get_replica_context().all_gather(tf.stop_gradient(value), axis=0)
