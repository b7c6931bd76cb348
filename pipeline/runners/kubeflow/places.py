"""Which paths a pod can reach: object stores, and folders in a volume that it mounts."""

from collections.abc import Iterator
from typing import Final, Literal

from config import Config

_OBJECT_STORES: Final = ("gs://", "s3://", "minio://")
"""Where KFP's launcher keeps artifacts."""
_FUSE: Final = "/gcs/"
"""Vertex AI mounts all buckets here."""


def is_object_store(path: str) -> bool:
    """Returns whether KFP can keep artifacts there."""
    return path.startswith(_OBJECT_STORES)


def place_problems(config: Config, target: Literal["kfp", "vertex"], pipeline_root: str | None) -> list[str]:
    """Returns what pods cannot reach, or not get, as sentences with a remedy.

    Args:
      config: The configuration.
      target: Who runs the pods.
      pipeline_root: Where artifacts go, if the command line says so.
    """
    return [*(_on_kfp if target == "kfp" else _on_vertex)(config, pipeline_root)]


def _paths(config: Config) -> dict[str, str]:
    """Returns the paths that components read and write beside artifacts, by key."""
    distillation = config.training.distillation
    found: dict[str, str | None] = {
        "data.folder": config.data.folder,
        "pipeline.root": config.pipeline.root,
        "pipeline.schema_file": config.pipeline.schema_file,
        "training.distillation.teacher": distillation.teacher if distillation else None,
        "serving.folder": config.serving.folder,
    }
    return {key: path for key, path in found.items() if path is not None and "://" not in path}


def _on_kfp(config: Config, pipeline_root: str | None) -> Iterator[str]:
    volumes = config.kubernetes.volumes
    mounted = ", ".join(volume.path for volume in volumes) or "none"
    for key, path in _paths(config).items():
        if not any(volume.holds(path) for volume in volumes):
            yield (
                f"`{key}` should be on an object store or in a volume of `kubernetes.volumes` (a persistent volume "
                f"claim that all pods mount; now: {mounted}): what a pod writes elsewhere is lost with it. "
                f"Received: {path!r}"
            )
    if pipeline_root is not None and not is_object_store(pipeline_root):
        yield (
            f"`--pipeline-root` should begin with {', '.join(_OBJECT_STORES)}: KFP keeps artifacts on object stores "
            f"only; without it, in its own. Received: {pipeline_root!r}"
        )


def _on_vertex(config: Config, pipeline_root: str | None) -> Iterator[str]:
    local = _paths(config)
    if pipeline_root is not None and "://" not in pipeline_root:
        local["--pipeline-root"] = pipeline_root
    for key, path in local.items():
        if not path.startswith(_FUSE):
            yield (
                f"`{key}` should be a gs:// URI, or in {_FUSE}, where Vertex AI mounts buckets: what a container "
                f"writes elsewhere is lost with it. Received: {path!r}"
            )
    settings = config.kubernetes
    own = {f"kubernetes.components.{name}": pod for name, pod in settings.components.items()}
    given = ["kubernetes.volumes"] if settings.volumes else []
    for place, pod in {"kubernetes": settings, **own}.items():
        given += [f"{place}.{key}" for key in ("node_selector", "secrets") if getattr(pod, key)]
    for key in given:
        yield f"`{key}` is of `--target kfp`: Vertex AI has no such setting. Leave it out"
