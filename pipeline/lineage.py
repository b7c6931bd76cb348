"""From artifacts in ML Metadata to what made them, and the history of pushed versions."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pipeline.metadata import pipeline_artifacts
from pipeline.push.withdraw import is_withdrawn

REFRESH_OF: Final = "refresh_of"
"""The property of a pushed model with the version whose catalogue a refresh replaced."""

_COMPARED: Final = "baseline_"


class Lineage:
    """Walks from artifacts to the executions that made them; None leads to None or an empty mapping.

    Args:
      store: The `ml_metadata.MetadataStore`.
    """

    def __init__(self, store: Any) -> None:
        from ml_metadata.proto import metadata_store_pb2

        event: Any = metadata_store_pb2.Event  # type: ignore[attr-defined]
        self.store = store
        self._input, self._output = event.INPUT, event.OUTPUT

    def producer(self, artifact: Any) -> Any:
        """Returns the execution that made the artifact; later ones took it from the cache."""
        ids = [] if artifact is None else self._makers(artifact)
        return self.store.get_executions_by_id([min(ids)])[0] if ids else None

    def runs(self, artifact: Any) -> set[str]:
        """Returns the runs that made the artifact or took it from the cache; not those whose resolvers found it."""
        executions = self.store.get_executions_by_id(self._makers(artifact))
        return {run for execution in executions if (run := self.run(execution))}

    def inputs(self, execution: Any) -> Mapping[str, Any]:
        """Returns the execution's input artifacts by key, the last where there are several."""
        return dict(self._linked(execution, self._input))

    def outputs(self, execution: Any) -> Mapping[str, Any]:
        """Returns the execution's output artifacts by key."""
        return dict(self._linked(execution, self._output))

    def linked(self, execution: Any) -> Iterator[Any]:
        """Yields the artifacts that the execution read and made."""
        for kind in (self._input, self._output):
            yield from (artifact for _, artifact in self._linked(execution, kind))

    def made_from(self, ids: Iterable[int], artifacts: Iterable[Any]) -> list[Any]:
        """Returns the artifacts with the ids, and those that were made from them through any number of steps.

        What an artifact was only compared with (inputs named `baseline_...`) did not make it.

        Args:
          ids: The first ones.
          artifacts: All of the pipeline, oldest first, so that each comes after what it was made from.
        """
        found, made = set(ids), []
        for artifact in artifacts:
            inputs = self._linked(self.producer(artifact), self._input)
            if artifact.id in found or any(a.id in found for key, a in inputs if not key.startswith(_COMPARED)):
                found.add(artifact.id)
                made.append(artifact)
        return made

    def run(self, execution: Any) -> str:
        """Returns the id of the run that the execution belongs to."""
        contexts = [] if execution is None else self.store.get_contexts_by_execution(execution.id)
        return next((context.name for context in contexts if context.type == "pipeline_run"), "")

    def _makers(self, artifact: Any) -> list[int]:
        """Returns the ids of the executions that made the artifact or took it from the cache."""
        events = self.store.get_events_by_artifact_ids([artifact.id])
        return [event.execution_id for event in events if event.type == self._output]

    def _linked(self, execution: Any, kind: int) -> Iterator[tuple[str, Any]]:
        if execution is None:
            return
        events = [e for e in self.store.get_events_by_execution_ids([execution.id]) if e.type == kind]
        artifacts = {a.id: a for a in self.store.get_artifacts_by_id([event.artifact_id for event in events])}
        for event in events:
            yield event.path.steps[0].key, artifacts[event.artifact_id]


def withdrawn_models(store: Any) -> set[int]:
    """Returns the ids of the models whose versions were all withdrawn: they were judged not good enough to serve."""
    lineage = Lineage(store)
    states: dict[int, list[bool]] = {}
    for pushed in store.get_artifacts_by_type("PushedModel"):
        destination = str(value_of(pushed, "pushed_destination") or "")
        model = lineage.inputs(lineage.producer(pushed)).get("model") if destination else None
        if model is not None:
            states.setdefault(model.id, []).append("://" not in destination and is_withdrawn(Path(destination)))
    return {model for model, found in states.items() if all(found)}


def value_of(node: Any, name: str) -> Any:
    """Returns a property of an artifact or execution, declared or custom; None where it is missing."""
    for properties in () if node is None else (node.custom_properties, node.properties):
        if name in properties:
            value = properties[name]
            return getattr(value, value.WhichOneof("value"))
    return None


def custom_config(execution: Any) -> dict[str, Any]:
    """Returns a Trainer's `custom_config` (`config`, `fingerprint`, ...); empty where it is not known."""
    values: dict[str, Any] = json.loads(value_of(execution, "custom_config") or "{}")
    return values


@dataclass(frozen=True)
class Pushed:
    """A pushed version. Values that the metadata lack are None or empty."""

    version: int
    time: datetime
    run: str
    """The run's id, by which its log is named."""
    evaluated: bool
    """The Evaluator blessed it."""
    validated: bool
    """The InfraValidator blessed it."""
    evaluation: str | None
    """The folder of its evaluation."""
    model: str
    examples: str
    span: int | None
    transform_graph: str
    code: str
    """The digest of the Trainer's code."""
    config: str
    """The Trainer's part of the configuration, as JSON."""
    refresh_of: int | None = None
    """The version whose catalogue a refresh replaced; None for a trained model."""


def read_history(store: Any, pipeline: str) -> list[Pushed]:
    """Reads the versions that a pipeline pushed from an `ml_metadata.MetadataStore`, oldest first."""
    lineage = Lineage(store)
    pushed = [a for a in pipeline_artifacts(store, pipeline) if "pushed_version" in a.custom_properties]
    return [_pushed(lineage, artifact) for artifact in pushed]


def _pushed(lineage: Lineage, artifact: Any) -> Pushed:
    pusher = lineage.producer(artifact)
    inputs = lineage.inputs(pusher)
    trainer = lineage.producer(inputs.get("model"))
    graph = lineage.inputs(trainer).get("transform_graph")
    examples = lineage.inputs(lineage.producer(graph)).get("examples")
    blessing = inputs.get("model_blessing")
    custom = custom_config(trainer)
    span = value_of(examples, "span")
    return Pushed(
        version=int(value_of(artifact, "pushed_version")),
        time=datetime.fromtimestamp(artifact.create_time_since_epoch / 1000, UTC),
        run=lineage.run(pusher),
        evaluated=value_of(blessing, "blessed") == 1,
        validated=value_of(inputs.get("infra_blessing"), "blessed") == 1,
        evaluation=_uri(lineage.outputs(lineage.producer(blessing)).get("evaluation")) or None,
        model=_uri(inputs.get("model")),
        examples=_uri(examples),
        span=None if span is None else int(span),
        transform_graph=_uri(graph),
        code=custom.get("fingerprint", ""),
        config=custom.get("config", ""),
        refresh_of=value_of(artifact, REFRESH_OF),
    )


def _uri(artifact: Any) -> str:
    return "" if artifact is None else str(artifact.uri)
