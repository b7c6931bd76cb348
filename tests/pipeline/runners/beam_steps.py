"""The steps of the pipeline that run on Beam, on small data, and what they write in a form that can be compared."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_data_validation.utils.stats_util import load_stats_binary
from tfx import v1 as tfx

from config import Config
from config.load import changed_config
from pipeline.evaluation.results import read_metrics
from pipeline.ingest.component import InteractionExampleGen
from pipeline.runners.local import run_pipeline
from pipeline.runners.workers import share_package
from pipeline.validation.components import make_validation
from pipeline.validation.reference import statistics_before
from tests.pipeline.evaluation.runs import Event, evaluate, make_config, save, write_examples
from transform.component import make_transform

EVENTS = {
    "eval": [Event(0, 1, 2), Event(1, 3, 1, like=0.9, liked=1.0)],
    "test": [Event(n, 1 + n % 4, 1 + n % 3, gender="FM"[n % 2], liked=float(n % 2), like=n / 9) for n in range(9)],
}
_DIGITS = re.compile(r"\d+\.\d+(?:e[-+]?\d+)?")
EVALUATION = "{ks: [1, 2], slices: [user_gender], gates: [{metric: recall@2, min: 0.1}]}"


def run_steps(config: Config, beam: Any, folder: Path) -> dict[str, Any]:
    """Runs ingest, statistics, Transform and the evaluation on a runner.

    Args:
      config: Of small tables.
      beam: `pipeline.beam`.
      folder: What is written.

    Returns:
      What the steps wrote, each step's by its name: the same on all runners. Floats of statistics and metrics have 8
      digits, since sums in another order differ in the last ones.
    """
    config = changed_config(config, {"pipeline.beam": beam})
    share_package()

    def build() -> tfx.dsl.Pipeline:
        ingest = InteractionExampleGen(config)
        examples = ingest.outputs["examples"]
        validation = make_validation(config, examples, statistics_before)
        transform = make_transform(config, examples, validation.schema)
        components = [ingest, *validation.components, transform]
        return tfx.dsl.Pipeline(
            "steps", str(folder / "root"), components=components, beam_pipeline_args=config.pipeline.beam.arguments
        )

    outcome = run_pipeline(build, folder / "home")
    assert outcome.failed is None, f"{outcome.failed}: {outcome.message}\n{outcome.log.read_text()[-4000:]}"
    outputs = {name: Path(found[0].uri) for step in outcome.outputs.values() for name, found in step.items()}
    evaluation, is_blessed = evaluate(
        make_config(EVALUATION),
        write_examples(folder / "events", EVENTS),
        save(folder / "model"),
        folder,
        beam=config.pipeline.beam.arguments,
    )
    return {
        "ingest": [_records(outputs["examples"]), (outputs["examples"] / "ingest.json").read_text()],
        "statistics": {path.parent.name: _statistics(path) for path in outputs["statistics"].glob("*/*.pb")},
        "transform": [_records(outputs["transformed_examples"]), _vocabularies(outputs["transform_graph"])],
        "evaluation": [
            sorted(f"{m.split} {m.slice} {m.metric} {m.value:.8g}" for m in read_metrics(evaluation)),
            is_blessed,
        ],
    }


def _records(folder: Path) -> dict[str, list[str]]:
    """The digests of each split's examples; their order and files are the runner's choice."""
    return {split.name: sorted(map(_digest, _read(sorted(split.glob("*.gz"))))) for split in folder.glob("Split-*")}


def _read(files: Sequence[Path]) -> list[bytes]:
    return list(tf.data.TFRecordDataset([str(file) for file in files], "GZIP").as_numpy_iterator())


def _digest(data: bytes) -> str:
    canonical = tf.train.Example.FromString(data).SerializeToString(deterministic=True)
    return hashlib.sha256(canonical).hexdigest()


def _statistics(path: Path) -> dict[str, str]:
    """The statistics of each feature."""
    (dataset,) = load_stats_binary(str(path)).datasets
    return {str(feature.path): _DIGITS.sub(_rounded, str(feature)) for feature in dataset.features}


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.8g}"


def _vocabularies(folder: Path) -> dict[str, str]:
    assets = folder / "transform_fn" / "assets"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(assets.iterdir())}
