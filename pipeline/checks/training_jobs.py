"""Whether `training.job` goes with the rest of the configuration, and whether its cluster can be reached."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from config import Config, ConfigError
from config.cluster_jobs import CustomJobConfig
from config.errors import Problem

_MOUNTED_BUCKETS: Final = "/gcs/"
"""Where Vertex AI mounts buckets in the workers of a CustomJob."""


def check_training_job(config: Config) -> Iterator[Problem]:
    """Returns what in the configuration contradicts `training.job`."""
    job, root, key = config.training.job, config.pipeline.root, ("training", "job")
    if job is None:
        return
    if config.training.strategy != "multi_worker":
        yield key, f"needs the strategy `multi_worker`. Received: {config.training.strategy!r}"
    if "://" in root:
        return
    if isinstance(job, CustomJobConfig):
        if not root.startswith(_MOUNTED_BUCKETS):
            allowed = f"should be a gs:// URI, or below {_MOUNTED_BUCKETS}, which the workers of `training.job` find"
            yield ("pipeline", "root"), f"{allowed}. Received: {root!r}"
    elif job.storage is None:
        yield (
            (*key, "storage"),
            f"is needed, so that the workers' pods find `pipeline.root` ({root!r}), which is no URI",
        )


def check_cluster(config: Config) -> None:
    """Checks, before any work, that a job that this process submits can run.

    Raises:
        ConfigError: The workers would not find the pipeline's folder, or the cluster or its kind of job is not there.
    """
    job = config.training.job
    if job is None:
        return
    from trainer.cluster_jobs.waiting import ClusterJobError, SilentApiError

    try:
        if isinstance(job, CustomJobConfig):
            from trainer.cluster_jobs.vertex_job import VertexApi

            VertexApi.connect(job)
            return
        from trainer.cluster_jobs.kubernetes_api import Kubernetes
        from trainer.cluster_jobs.kubernetes_job import require_kind

        root = Path(config.pipeline.root).absolute()
        if job.storage is not None and not root.is_relative_to(job.storage.path):
            raise ConfigError(
                f"`pipeline.root` should be below `training.job.storage.path` ({job.storage.path}), where the workers'"
                f" pods find it. Received: {root}"
            )
        require_kind(Kubernetes.connect(job.namespace), job)
    except (ClusterJobError, SilentApiError) as error:
        raise ConfigError(f"`training.job`: {error}") from error
