"""Runs of the real Evaluator on hand-written events, for the tests of its metrics and verdicts."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from config import Config, parse_config
from tests.pipeline.evaluation.fake_model import save_model


@dataclass(frozen=True)
class Event:
    """One example of `eval` or `test`, and what the fake model answers for it."""

    user: int
    rank: float
    popularity: float
    count: int = 1
    cold: int = 0
    weight: float = 1.0
    gender: str | None = "F"
    device: str = ""
    top: tuple[int, int] = (0, 1)
    popular: tuple[int, int] = (0, 1)
    like: float = 0.5
    stars: float = 3.0
    liked: float = 0.0
    rated: float = 3.0
    labelled: float = 1.0


def make_config(evaluation: str, extra: str = "") -> Config:
    return parse_config(f"""
        name: toy
        data: {{folder: toy, interactions: {{path: events.csv}}}}
        features:
          user: [{{name: gender, kind: categorical}}]
          context: [{{name: device, kind: categorical}}]
        tasks:
          retrieval: {{kind: retrieval}}
          like: {{kind: binary, label: liked}}
          stars: {{kind: regression, label: stars}}
          order: {{kind: pairwise, label: liked}}
          genre: {{kind: multiclass, attribute: genres}}
        evaluation: {evaluation}
        {extra}
        """)


def write_examples(folder: Path, splits: dict[str, Iterable[Event]]) -> Path:
    for split, events in splits.items():
        path = folder / f"Split-{split}" / "data-00000-of-00001.gz"
        path.parent.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for event in events:
                writer.write(_example(event, split).SerializeToString())
    return folder


def evaluate(
    config: Config, examples: Path, model: Path, folder: Path, baseline: Path | None = None, beam: tuple[str, ...] = ()
) -> tuple[str, bool]:
    """Runs the Evaluator's executor with the component's own properties. Returns the artifact's folder, and blessed."""
    from tfx import v1 as tfx
    from tfx.components.evaluator import executor

    from pipeline.evaluation.eval_config import make_evaluator

    types = tfx.types.standard_artifacts
    channel = tfx.dsl.Channel
    component = make_evaluator(config, channel(types.Examples), channel(types.Model), channel(types.Model))
    inputs = {"examples": [_artifact(types.Examples(), examples)], "model": [_artifact(types.Model(), model)]}
    inputs["examples"][0].split_names = json.dumps([path.name[6:] for path in sorted(examples.iterdir())])
    if baseline is not None:
        inputs["baseline_model"] = [_artifact(types.Model(), baseline)]
    evaluation, blessing = folder / "evaluation", folder / "blessing"
    outputs = {
        "evaluation": [_artifact(types.ModelEvaluation(), evaluation)],
        "blessing": [_artifact(types.ModelBlessing(), blessing)],
    }
    context = executor.Executor.Context(beam_pipeline_args=list(beam), tmp_dir=str(folder / "tmp"), unique_id="1")
    executor.Executor(context).Do(inputs, outputs, _properties(component))
    return str(evaluation), (blessing / "BLESSED").exists()


def save(folder: Path, shift: float = 0.0) -> Path:
    """The folder of a Model artifact."""
    save_model(folder / "Format-Serving", tasks=("like", "stars", "order"), classes="genre", shift=shift)
    return folder


def _properties(component: Any) -> dict[str, Any]:
    return {name: value for name, value in component.exec_properties.items() if value is not None}


def _artifact(artifact: Any, uri: Path) -> Any:
    uri.mkdir(parents=True, exist_ok=True)
    artifact.uri = str(uri)
    return artifact


def _example(event: Event, split: str) -> tf.train.Example:
    features: dict[str, list[Any]] = {
        "user_id": [str(event.user).encode()],
        "item_id": [b"before", b"target"],
        "split": [split.encode()],
        "is_cold_user": [event.cold],
        "context_device": [b"tv", event.device.encode()],
        "label_like": [1.0, event.liked],
        "weight_like": [1.0, event.labelled],
        "label_stars": [9.0, event.rated],
        "weight_stars": [1.0, event.labelled],
        "answer_user_key": [event.user],
        "answer_target_rank": [float(event.rank)],
        "answer_popularity_rank": [float(event.popularity)],
        "answer_retrieval_weight": [float(event.weight)],
        "answer_target_count": [float(event.count)],
        "answer_is_cold_user": [float(event.cold)],
        "answer_catalogue_size": [4.0],
        "answer_top_items": list(event.top),
        "answer_popularity_top_items": list(event.popular),
        "label_order": [1.0, event.liked],
        "weight_order": [1.0, event.labelled],
        "label_genre": [event.liked, 1 - event.liked],
        "weight_genre": [1.0, event.labelled],
        "answer_like": [event.like],
        "answer_order": [event.like],
        "answer_genre": [event.like, 1 - event.like],
        "answer_stars": [event.stars],
    }
    if event.gender is not None:
        features["user_gender"] = [event.gender.encode()]
    return tf.train.Example(features=tf.train.Features(feature={k: _feature(v) for k, v in features.items()}))


def _feature(values: list[Any]) -> tf.train.Feature:
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
