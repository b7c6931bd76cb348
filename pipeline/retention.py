"""Retention: which artifacts, versions and logs of a pipeline's runs stay, and the removal of all others.

What stays:

- the newest finished runs, as many as are asked for, and every run since the oldest of them;
- the run whose model is the newest blessed one: the next candidate is compared with that model, and its statistics;
- of the served versions as many, the newest first, and every withdrawn one, each with its model and its evaluation;
- what these runs read of earlier ones, such as the models that theirs were compared with.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from config import Config, paths
from pipeline.lineage import Lineage, value_of
from pipeline.metadata import connection, open_store, pipeline_artifacts, pipeline_context
from pipeline.push.withdraw import version_numbers, withdrawn_folder

_PUSHER: Final = "Pusher"
_REMOVED: Final = ".{}.removed"
"""A version that is being removed: servers ignore it, as it is no number."""


@dataclass(frozen=True)
class Plan:
    """What `remove` removes."""

    artifacts: list[Any]
    """Of ML Metadata; those that an earlier, killed, removal had marked and not deleted are among them."""
    executions: list[int]
    """The ids of the executions of removed runs."""
    versions: list[int]
    logs: list[Path]
    checkpoints: list[Path]
    """Of trainings that were killed or failed, and that no run has gone on from since the oldest run that stays."""


def plan_removal(config: Config, keep: int) -> Plan:
    """Finds what can be removed; call it while no run is under way.

    Args:
      config: The configuration, of a pipeline with a local root.
      keep: The number of finished runs, and of served versions, that stay.
    """
    home, serving = Path(paths.home(config)), paths.serving(config)
    store = open_store(connection(home, config.pipeline.metadata))
    there = [] if "://" in serving else version_numbers(serving)
    lineage, artifacts = Lineage(store), pipeline_artifacts(store, config.name)
    runs = _executions_by_run(store, config.name)
    finished = [name for name, executions in runs.items() if any(_has_pushed(store, e) for e in executions)]
    if not finished:
        return Plan([], [], [], [], [])
    oldest = finished[-keep:][0]
    old_logs = [log for log in sorted((home / "logs").glob("*.log")) if log.stem < oldest]
    blessed = lineage.run(lineage.producer(_newest_blessing(artifacts)))
    staying_runs = {name for name in runs if name >= oldest} | {blessed}
    staying = {a.id for name in staying_runs for e in runs.get(name, ()) for a in lineage.linked(e)}
    withdrawn = [] if "://" in serving else version_numbers(withdrawn_folder(serving))
    staying_versions = {str(version) for version in (*there[-keep:], *withdrawn)}
    for artifact in artifacts:
        if value_of(artifact, "pushed_version") in staying_versions:
            staying |= {a.id for a in _of_version(lineage, artifact)}
    root = paths.artifacts(config)
    return Plan(
        artifacts=[a for a in artifacts if a.id not in staying and a.uri.startswith(f"{root}/") and is_left(a, root)],
        executions=[e.id for name, executions in runs.items() if name not in staying_runs for e in executions],
        versions=there[:-keep],
        logs=[log for log in old_logs if log.stem not in staying_runs],
        checkpoints=_older(Path(paths.checkpoints(config)), runs[oldest][0].create_time_since_epoch / 1000),
    )


def remove(config: Config, plan: Plan) -> None:
    """Removes what a plan names; a removal that was killed is finished by the next.

    Artifacts are first marked as deleted in ML Metadata, so that no resolver and no cache finds them from then on.
    """
    from ml_metadata.proto import metadata_store_pb2

    root, serving = Path(paths.artifacts(config)), Path(paths.serving(config))
    for artifact in plan.artifacts:
        artifact.state = metadata_store_pb2.Artifact.DELETED  # type: ignore[attr-defined]
    if plan.artifacts:
        open_store(connection(Path(paths.home(config)), config.pipeline.metadata)).put_artifacts(plan.artifacts)
    for artifact in plan.artifacts:
        _remove_folder(_folder(artifact, root))
    for execution in plan.executions:
        for folder in root.glob(f"*/.system/*/{execution}"):
            _remove_folder(folder)
    for version in plan.versions:
        (serving / str(version)).rename(serving / _REMOVED.format(version))
    if "://" not in str(paths.serving(config)):
        for folder in serving.glob(_REMOVED.format("*")):
            _remove_folder(folder)
    for log in plan.logs:
        log.unlink()
    for folder in plan.checkpoints:
        _remove_folder(folder)


def disk_bytes(folder: Path) -> int:
    """Returns the bytes of the files below a folder; a file with several names (hard links) counts once."""
    found = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(os.path.join(parent, name))
            found[status.st_dev, status.st_ino] = status.st_size
    return sum(found.values())


def is_left(artifact: Any, root: str) -> bool:
    """Returns whether an artifact, of those in the folder `root`, is not yet removed, or not wholly."""
    return artifact.state != artifact.DELETED or _folder(artifact, Path(root)).exists()


def _executions_by_run(store: Any, pipeline: str) -> dict[str, list[Any]]:
    """Returns the executions of each run of a pipeline, the oldest run first: runs are named by their time."""
    context = pipeline_context(store, pipeline)
    runs: dict[str, list[Any]] = {}
    for execution in [] if context is None else store.get_executions_by_context(context.id):
        names = [c.name for c in store.get_contexts_by_execution(execution.id) if c.type == "pipeline_run"]
        for name in names:
            runs.setdefault(name, []).append(execution)
    return {name: sorted(runs[name], key=lambda execution: execution.id) for name in sorted(runs)}


def _has_pushed(store: Any, execution: Any) -> bool:
    """Returns whether it is a Pusher's that ended well, which is the end of a run."""
    contexts = store.get_contexts_by_execution(execution.id)
    is_pusher = any(c.type == "node" and c.name.endswith(f".{_PUSHER}") for c in contexts)
    return is_pusher and execution.last_known_state in (execution.COMPLETE, execution.CACHED)


def _of_version(lineage: Lineage, pushed: Any) -> Iterator[Any]:
    """Yields the artifacts that tell of a pushed version: its model, its blessings and its evaluation."""
    pusher = lineage.producer(pushed)
    yield from lineage.linked(pusher)
    evaluator = lineage.producer(lineage.inputs(pusher).get("model_blessing"))
    yield from lineage.outputs(evaluator).values()


def _newest_blessing(artifacts: Iterable[Any]) -> Any:
    blessings = [a for a in artifacts if a.type == "ModelBlessing" and value_of(a, "blessed") == 1]
    return blessings[-1] if blessings else None


def _folder(artifact: Any, root: Path) -> Path:
    """Returns an artifact's folder, `<root>/<component>/<output>/<execution>`: a value's URI is a file in it."""
    return root.joinpath(*Path(artifact.uri).relative_to(root).parts[:3])


def _older(folder: Path, time: float) -> list[Path]:
    """Returns the folders in a folder in which nothing was written since a time, in seconds since 1970."""
    found = [child for child in folder.iterdir() if child.is_dir()] if folder.is_dir() else []
    return sorted(c for c in found if all(path.stat().st_mtime < time for path in (c, *c.rglob("*"))))


def _remove_folder(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
