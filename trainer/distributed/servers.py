"""Parameter servers: tables that are divided among processes, and workers that do not wait for each other.

TensorFlow's ParameterServerStrategy. The chief makes the variables on the servers and hands steps to whichever worker
is free (`tf.distribute.coordinator.ClusterCoordinator`).
"""

from collections.abc import Callable, MutableMapping, Sequence
from typing import Final

import tensorflow as tf

DIVIDED_ROWS: Final = 1_000
"""The rows from which on a matrix is divided: only tables have so many. A row more or less of a smaller one is nothing
beside what each lookup in one more server costs."""


def server_strategy() -> tf.distribute.ParameterServerStrategy:
    """Connects to the workers and servers that `TF_CONFIG` names, and returns the strategy of the chief."""
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    return tf.distribute.ParameterServerStrategy(resolver, variable_partitioner=partitioner(count_of("ps")))


def count_of(role: str) -> int:
    """Returns the number of processes of a role, `worker` or `ps`, in `TF_CONFIG`."""
    return tf.distribute.cluster_resolver.TFConfigClusterResolver().cluster_spec().num_tasks(role)


def has_servers(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether the variables lie on servers."""
    return isinstance(strategy, tf.distribute.ParameterServerStrategy)


def fail_fast(environment: MutableMapping[str, str]) -> None:
    """Makes gRPC report a lost process at once instead of waiting for it, in a process that has not used it yet."""
    environment.setdefault("GRPC_FAIL_FAST", "use_caller")


def partitioner(servers: int) -> Callable[..., list[int]]:
    """Returns a partitioner that divides embedding tables by rows into as many shards as there are servers.

    Vectors stay whole, so that a lookup in one (an item's bias) reads its own rows alone: TensorFlow would join the
    shards for it. So do integers, which are columns of the catalogue.
    """

    def shards(shape: tf.TensorShape, dtype: tf.DType, axis: int = 0) -> list[int]:
        is_table = shape.rank == 2 and dtype.is_floating and shape[0] >= DIVIDED_ROWS
        return [servers if is_table else 1] + [1] * (shape.rank - 1)

    return shards


def copy_variables(sources: Sequence[tf.Variable], targets: Sequence[tf.Variable]) -> None:
    """Assigns a model's variables to those of the same model on one device.

    Args:
        sources: Shards of a table stand one after the other, in the order of their rows.
        targets: In the same order.
    """
    shards = iter(sources)
    for target in targets:
        parts = [next(shards).read_value()]
        while parts[0].shape.rank and sum(part.shape[0] for part in parts) < target.shape[0]:
            parts.append(next(shards).read_value())
        target.assign(parts[0] if len(parts) == 1 else tf.concat(parts, axis=0))
