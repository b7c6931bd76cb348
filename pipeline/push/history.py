"""What ML Metadata knows of every pushed version: its blessings, its evaluation, and what it was made of."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.lineage import Lineage, custom_config, open_store, value_of


@dataclass(frozen=True)
class Pushed:
    """A pushed version. What the metadata lack is None or empty."""

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


def read_history(metadata_path: Path) -> list[Pushed]:
    """The versions that a pipeline pushed, oldest first; none where there are no metadata."""
    if not metadata_path.exists():
        return []
    lineage = Lineage(open_store(metadata_path))
    found = {artifact.id: artifact for artifact in lineage.store.get_artifacts_by_type("PushedModel")}
    pushed = [a for _, a in sorted(found.items()) if "pushed_version" in a.custom_properties]
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
    )


def _uri(artifact: Any) -> str:
    return "" if artifact is None else str(artifact.uri)
