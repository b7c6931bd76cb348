"""The command of a worker of a run elsewhere, and of all pods of a job in which a run trains with several workers."""

import argparse
import os
import sys

from config import ConfigError
from config.cluster import Cluster
from config.load import changed_config
from config.pod_cluster import complete_tf_config
from pipeline.cli.common import OK, CommandError, LostWorkerCommandError
from pipeline.cli.run import finished_run, report_run


def add_worker(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `worker`."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the YAML file of the pipeline that the chief runs, where the chief is started by this command, too",
    )


def worker(arguments: argparse.Namespace) -> int:
    """Train with a pipeline that runs elsewhere, where `training.strategy` names several processes.

    The environment variable TF_CONFIG names all workers, and this one. The chief (`chief`, or the first `worker`) runs
    the pipeline with `run`; every other machine runs this command, before or after, where the pipeline's files are
    found under the same paths. It waits for the chief's training, gets all settings from it and ends with it: once for
    each training, so also once for each fold of a cross-validation. When one worker is lost all end, and go on from the
    last checkpoint when they are started again. Where TF_CONFIG names servers (`ps`), this command is a worker or a
    server that does what the chief asks until it is ended: a worker that is lost may be started again alone.

    With `--config` one command serves all pods of a job: the chief's runs the pipeline, with `multi_worker` whatever
    the file says. In the pods of an indexed job, CLUSTER_HOSTS names all addresses in place of TF_CONFIG. After the
    loss of another worker the exit code is 138, by which jobs start a pod again.
    """
    from trainer.cluster_jobs.manifests import RETRY

    complete_tf_config(os.environ)
    if arguments.config is None:
        return _follow_chief()
    try:
        return _follow_chief() if Cluster.read(os.environ).index else _run_as_chief(arguments.config)
    except LostWorkerCommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return RETRY


def _run_as_chief(path: str) -> int:
    """Runs the pipeline with the workers that `TF_CONFIG` names."""
    from pipeline.checks.configuration import checked_config
    from pipeline.runners.pods import tell_end

    config = checked_config(path, writes=True)
    if config.training.strategy == "tpu":
        raise ConfigError(f"{path}: `training.strategy` should not be `tpu` in a job of several workers")
    several = {"training.strategy": "multi_worker", "training.replicas": None, "training.job": None}
    outcome = finished_run(changed_config(config, several), verbose=False)
    if outcome.states.get("Trainer") == "cached":
        tell_end(Cluster.of_chief(os.environ))
    return report_run(outcome)


def _follow_chief() -> int:
    """Trains as a worker that is not the chief."""
    from pipeline.runners.pods import wait_for_training

    cluster = Cluster.of_worker(os.environ)
    if cluster.servers:
        from trainer.server import serve

        print(f"{cluster} serves the chief, {cluster.addresses[0]}, until it is ended", flush=True)
        serve()
        return OK
    print(f"{cluster} waits for the chief, {cluster.addresses[0]}", flush=True)
    if not wait_for_training(cluster):
        print("the chief's run has ended without a training")
        return OK
    from trainer.distributed.restarts import LostWorkerError
    from trainer.worker import train_with_chief

    try:
        result = train_with_chief()
    except LostWorkerError as error:
        raise LostWorkerCommandError(str(error)) from error
    except (RuntimeError, OSError, ArithmeticError, ValueError) as error:
        raise CommandError(str(error)) from error
    print(f"trained {result.epochs} epochs, {result.steps} steps, in {result.seconds:.0f} s")
    return OK
