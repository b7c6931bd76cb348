"""Trains in a job on a cluster: hands the arguments over, submits the job, and waits for the model."""

import hashlib
import json
import os
import posixpath
from typing import Final

import tensorflow as tf

from config.cluster_jobs import AnyJob, CustomJobConfig, TfJobConfig
from trainer.arguments import RunArguments
from trainer.cluster_jobs.waiting import ClusterJob, ClusterJobError, run_job

ARGUMENTS_FILE: Final = "job.json"
"""The arguments in the `model_run` artifact, which the workers read: the folder of relative paths, and the arguments of
the Trainer."""
PROGRAM: Final = ("python", "-m", "trainer.job_process")
_NAME_LENGTH: Final = 36
_DIGEST_LENGTH: Final = 12


def train_in_job(arguments: RunArguments, settings: AnyJob) -> None:
    """Submits the job and returns when the model is exported.

    Args:
        arguments: Of the Trainer. Its files and folders have to be found under the same paths by the workers.
        settings: The job's.

    Raises:
        ClusterJobError: The job failed, or there is no model where it should be.
    """
    text = json.dumps({"folder": os.getcwd(), "arguments": json.loads(arguments.to_json())}, sort_keys=True)
    path = posixpath.join(arguments.model_run_dir, ARGUMENTS_FILE)
    tf.io.gfile.makedirs(arguments.model_run_dir)
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(text)
    command = (*PROGRAM, path if "://" in path else os.path.abspath(path))
    job = make_job(settings, job_name(arguments.config.name, text), command)
    run_job(job, settings.start_minutes * 60)
    if not tf.io.gfile.exists(posixpath.join(arguments.serving_model_dir, "saved_model.pb")):
        raise ClusterJobError(
            f"{job} has succeeded, and {arguments.serving_model_dir} holds no model: the workers and this step should"
            " find the same storage under this path"
        )


def job_name(pipeline: str, arguments: str) -> str:
    """Returns a name that the same arguments have again, so that a second try of the step finds the job of the first.

    Args:
        pipeline: The pipeline's name.
        arguments: All that the job depends on.
    """
    digest = hashlib.sha256(arguments.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{pipeline[:_NAME_LENGTH].rstrip('-')}-{digest}"


def make_job(settings: AnyJob, name: str, command: tuple[str, ...]) -> ClusterJob:
    """Returns the job of a name and a command. Raises `ClusterJobError` where there is no access to the cluster."""
    if isinstance(settings, CustomJobConfig):
        from trainer.cluster_jobs.vertex_job import CustomJob, VertexApi

        return CustomJob(VertexApi.connect(settings), settings, name, command)
    from trainer.cluster_jobs.kubernetes_api import Kubernetes
    from trainer.cluster_jobs.kubernetes_job import KubernetesJob
    from trainer.cluster_jobs.manifests import tf_job, train_job

    kubernetes = Kubernetes.connect(settings.namespace)
    if isinstance(settings, TfJobConfig):
        manifest = tf_job(settings, name, command)
    else:
        manifest = train_job(settings, name, command)
    return KubernetesJob(kubernetes, manifest, settings.workers)
