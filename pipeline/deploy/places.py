"""Where the pods find what the configuration names: names of objects, and paths on the volume."""

import posixpath
from collections.abc import Iterator
from typing import Any, Final

from config import Config, paths
from config.cluster_jobs import TfJobConfig, TrainJobConfig
from config.errors import Location, Problem

_NAME_LENGTH: Final = 40
"""Kubernetes' names have at most 63 characters, and some get a suffix."""
_IMAGE: Final = "tfx-recommender:0.1.0"


def object_name(config: Config, part: str = "") -> str:
    """Returns the name of the pipeline's objects, or of one part of them."""
    name = config.name[:_NAME_LENGTH].rstrip("-")
    return f"{name}-{part}" if part else name


def metadata(config: Config, part: str) -> dict[str, Any]:
    """Returns the metadata of a part's object: its name, namespace and labels."""
    return {"name": object_name(config, part), "namespace": config.deploy.namespace, "labels": labels(config, part)}


def labels(config: Config, part: str) -> dict[str, str]:
    """Returns Kubernetes' recommended labels of a part."""
    return {
        "app.kubernetes.io/name": "tfx-recommender",
        "app.kubernetes.io/instance": object_name(config),
        "app.kubernetes.io/component": part,
    }


def in_pod(config: Config, path: str) -> str:
    """Returns a path of the configuration as the pods see it: relative ones start from the volume."""
    return path if "://" in path else posixpath.normpath(posixpath.join(config.deploy.storage.path, path))


def serves_from_storage(config: Config) -> bool:
    """Returns whether the pushed models are on the volume, and not on an object store."""
    return "://" not in paths.serving(config)


def image_of(config: Config) -> str:
    """Returns the name of the project's image."""
    job = config.training.job
    return config.deploy.image or (job.image if job is not None else _IMAGE)


def deployment_problems(config: Config) -> Iterator[Problem]:
    """Returns what in the configuration cannot be deployed as it is."""
    yield from _placement_problems(config)
    yield from _job_problems(config)
    if "://" in config.pipeline.root:
        allowed = "should be a path on the volume, where the daily run keeps its metadata"
        yield ("pipeline", "root"), f"{allowed}. Received: {config.pipeline.root!r}"
    batching, limit = config.deploy.serving.batching, config.serving.max_rows
    if batching is not None and batching.max_batch_size > limit:
        location = ("deploy", "serving", "batching", "max_batch_size")
        yield location, f"should be at most `serving.max_rows` ({limit}). Received: {batching.max_batch_size}"


def _job_problems(config: Config) -> Iterator[Problem]:
    """Returns where the job that the daily run submits differs from what is rendered for it."""
    job, deploy, key = config.training.job, config.deploy, ("training", "job")
    if job is None:
        return
    if deploy.image is not None and deploy.image != job.image:
        yield (*key, "image"), f"should be `deploy.image` ({deploy.image}). Received: {job.image!r}"
    if not isinstance(job, TrainJobConfig | TfJobConfig):
        return
    if job.namespace is not None and job.namespace != deploy.namespace:
        allowed = f"should be left out or be `deploy.namespace` ({deploy.namespace}), in which runs may submit jobs"
        yield (*key, "namespace"), f"{allowed}. Received: {job.namespace!r}"
    for name in ("claim", "path"):
        own, found = getattr(deploy.storage, name), getattr(job.storage, name, None)
        if found is not None and found != own:
            yield (*key, "storage", name), f"should be `deploy.storage.{name}` ({own}). Received: {found!r}"


def _placement_problems(config: Config) -> Iterator[Problem]:
    """Returns the local paths that are not on the volume: no pod would find what another wrote there."""
    root = config.deploy.storage.path
    distillation = config.training.distillation
    found: list[tuple[Location, str | None]] = [
        (("data", "folder"), config.data.folder),
        (("pipeline", "root"), config.pipeline.root),
        (("pipeline", "schema_file"), config.pipeline.schema_file),
        (("serving", "folder"), config.serving.folder),
        (("training", "distillation", "teacher"), distillation.teacher if distillation else None),
    ]
    for location, path in found:
        if path is not None and "://" not in path and not f"{in_pod(config, path)}/".startswith(f"{root}/"):
            allowed = f"should be relative, or below `deploy.storage.path` ({root}), the volume that all pods mount"
            yield location, f"{allowed}, or a URI. Received: {path!r}"
