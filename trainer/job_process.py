"""The program of each worker of a job on a cluster: `python -m trainer.job_process ARGUMENTS_FILE`.

The first worker is the chief and exports the model. The exit code tells the cluster whether to start the worker again:
after an error of its own it does not; after the loss of another it does, and all go on from the last checkpoint.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import tensorflow as tf

from config import ConfigError
from config.cluster import Cluster
from config.fingerprint import TRAINER_CODE, code_fingerprint
from config.pod_cluster import complete_tf_config
from trainer.arguments import RunArguments
from trainer.chief import train_as_chief
from trainer.cluster_jobs.manifests import RETRY
from trainer.distributed.restarts import LostWorkerError
from trainer.distributed.training_process import Progress
from trainer.worker import train_with_chief

_FAILED, _REFUSED = 1, 2


def main(path: str) -> int:
    """Trains to the end and returns the exit code.

    Args:
        path: The file that `trainer.submit` has written.
    """
    try:
        _train(path)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return _REFUSED
    except LostWorkerError as error:
        print(f"error: {error}", file=sys.stderr)
        return RETRY
    except Exception as error:
        traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return _FAILED
    return 0


def _train(path: str) -> None:
    complete_tf_config(os.environ)
    cluster = Cluster.read(os.environ)
    print(f"{cluster} begins", flush=True)
    arguments = _read_arguments(path)
    if cluster.index == 0:
        train_as_chief(arguments, Progress())
    else:
        train_with_chief()


def _read_arguments(path: str) -> RunArguments:
    """Returns the chief's arguments, and enters the folder that their relative paths start from.

    Raises:
        ConfigError: The file is not there, or was written by other code.
    """
    try:
        with tf.io.gfile.GFile(path) as file:
            found = json.loads(file.read())
    except tf.errors.OpError as error:
        raise ConfigError(
            f"{path}: the arguments of the submitting step cannot be read: its storage should be mounted here under the"
            f" same path. Received: {error.message}"
        ) from error
    if Path(found["folder"]).is_dir():
        os.chdir(found["folder"])
    arguments = RunArguments(**found["arguments"])
    own, submitted = code_fingerprint(*TRAINER_CODE), arguments.custom_config["fingerprint"]
    if own != submitted:
        raise ConfigError(
            f"`training.job.image` should hold the code of the step that submits the job, whose digest is {submitted}."
            f" Received: {own}"
        )
    return arguments


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
