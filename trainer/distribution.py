"""Where the model is trained: one device, or several that hold the same weights."""

import tensorflow as tf

from pipeline.config.training import TrainingConfig


def prepare_devices(config: TrainingConfig) -> None:
    """Splits the CPU into as many logical devices as `mirrored` asks for where there is no GPU.

    TensorFlow allows this only before its first operation, so a process that does other things with TensorFlow before
    training calls this first.

    Raises:
        RuntimeError: TensorFlow has started with too few devices.
    """
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
                " call `trainer.distribution.prepare_devices` before anything else uses TensorFlow"
            ) from error


def make_strategy(config: TrainingConfig) -> tf.distribute.Strategy:
    """The configured strategy.

    Raises:
        RuntimeError: there are fewer devices than `training.replicas`.
    """
    if config.strategy == "one_device":
        return tf.distribute.get_strategy()
    prepare_devices(config)
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    devices = [d.name for d in tf.config.list_logical_devices(kind)]
    wanted = config.replicas or len(devices)
    if wanted > len(devices):
        raise RuntimeError(
            f"`training.replicas` should be at most {len(devices)}, the {kind}s here. Received: {wanted}"
        )
    return tf.distribute.MirroredStrategy(devices[:wanted])


def global_sum(value: tf.Tensor) -> tf.Tensor:
    """The sum over all replicas of each replica's tensor; no gradient flows through it."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.stop_gradient(value))


def global_concat(value: tf.Tensor) -> tf.Tensor:
    """The replicas' tensors [n, ...] one behind the other, in their order; no gradient flows through it."""
    if tf.distribute.in_cross_replica_context():  # Weights are made, nothing is computed.
        return value
    return tf.distribute.get_replica_context().all_gather(tf.stop_gradient(value), axis=0)
