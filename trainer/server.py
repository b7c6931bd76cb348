"""A worker or a parameter server of the strategy `parameter_server`: it does what the chief asks, until it is ended.

`python -m trainer.server` is the program of both roles. It imports nothing of the model, for the chief sends graphs.
"""

import os

import tensorflow as tf

from trainer.distributed.servers import fail_fast


def serve() -> None:
    """Runs TensorFlow's server of the process that `TF_CONFIG` names, for ever."""
    fail_fast(os.environ)
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if resolver.task_type == "ps":
        tf.config.set_visible_devices([], "GPU")  # tables lie in the machine's memory
    server = tf.distribute.Server(
        resolver.cluster_spec(), job_name=resolver.task_type, task_index=resolver.task_id, protocol="grpc"
    )
    server.join()


if __name__ == "__main__":
    serve()
