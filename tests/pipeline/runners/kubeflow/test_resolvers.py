"""What runs find of earlier ones by the records of pushed versions."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts

from config import dump_config, parse_config
from config.dump import INGEST, TRAINER
from pipeline.evaluation.baseline import BaselineError
from pipeline.push.records import write_record
from pipeline.runners.kubeflow.ingest import resolve
from pipeline.runners.kubeflow.resolvers import BaselineDriver, ReferenceDriver, ReferenceStatistics
from serving.manifest import make_manifest

DATA = "name: shop\ndata: {folder: data, interactions: {path: events.csv}}\n"


class _Model(tf.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = tf.Variable(value)

    @tf.function(input_signature=[])
    def evaluate(self) -> dict[str, tf.Tensor]:
        return {"rank": self.value + 1.0}


@dataclass(frozen=True)
class Pushes:
    """Versions in `serving`, with their records; statistics and model of a version have its number in them."""

    folder: Path

    def model(self, version: int) -> Path:
        folder = self.folder / f"model-{version}" / "Format-Serving"
        if not folder.exists():
            made = _Model(float(version))
            tf.saved_model.save(made, str(folder), {"evaluate": made.evaluate})
        return folder.parent

    def statistics(self, version: int) -> Path:
        folder = self.folder / f"statistics-{version}"
        (folder / "Split-train").mkdir(parents=True, exist_ok=True)
        (folder / "Split-train" / "FeatureStats.pb").write_text(str(version))
        return folder

    def push(self, version: int, config: str = DATA) -> str:
        path = self.folder / "serving" / str(version)
        shutil.copytree(self.model(version) / "Format-Serving", path)
        text = dump_config(parse_config(config), *TRAINER)
        statistics, manifest = str(self.statistics(version)), make_manifest(str(path))
        write_record(str(self.folder / "records"), version, str(path), manifest, statistics, text)
        return str(path)

    def baseline(self, candidate: int, required: int = 0) -> str:
        """The folder that the candidate is compared with."""
        model = standard_artifacts.Model()
        model.uri = str(self.model(candidate))
        config = dump_config(parse_config(DATA), *TRAINER)
        return self._found(BaselineDriver, {"candidate": [model]}, {"config": config, "required": required})

    def reference(self, current: int) -> str:
        statistics = standard_artifacts.ExampleStatistics()
        statistics.uri = str(self.statistics(current))
        return self._found(ReferenceDriver, {"statistics": [statistics]}, {})

    def _found(self, component: Any, inputs: dict[str, Any], properties: dict[str, Any]) -> str:
        result = standard_artifacts.String()
        result.uri = str(self.folder / "result")
        properties |= {"records": str(self.folder / "records"), "run": "1"}
        component.EXECUTOR_SPEC.executor_class().Do(inputs, {"folder": [result]}, properties)
        return str(result.read())


@pytest.fixture
def pushes(tmp_path: Path) -> Pushes:
    return Pushes(tmp_path)


def test_a_first_run_is_compared_with_nothing(pushes: Pushes) -> None:
    assert pushes.baseline(1, required=1) == ""
    assert pushes.reference(1) == ""


def test_a_run_is_compared_with_the_newest_version_before_it(pushes: Pushes) -> None:
    first, second = pushes.push(1), pushes.push(2)
    assert pushes.baseline(3) == second
    assert pushes.reference(3) == str(pushes.folder / "records" / "2")
    # Runs from the cache find what they found before: not themselves, and nothing newer.
    assert (pushes.baseline(2), pushes.baseline(1)) == (first, "")
    assert (pushes.reference(2), pushes.reference(1)) == (str(pushes.folder / "records" / "1"), "")


def test_a_version_that_was_withdrawn_is_no_baseline(pushes: Pushes) -> None:
    first, second = pushes.push(1), pushes.push(2)
    shutil.move(second, pushes.folder / "serving.withdrawn")
    assert pushes.baseline(3) == first


def test_a_version_that_means_something_else_is_no_baseline(pushes: Pushes) -> None:
    first = pushes.push(1)
    pushes.push(2, DATA + "evaluation: {ks: [7]}\n")
    assert pushes.baseline(3) == first
    shutil.rmtree(first)
    assert pushes.baseline(3) == ""
    with pytest.raises(BaselineError, match=r"version 2: it was trained with evaluation\.ks \[7\], not"):
        pushes.baseline(3, required=1)


def test_statistics_are_copied_with_the_names_of_their_splits(pushes: Pushes) -> None:
    reference = standard_artifacts.ExampleStatistics()
    reference.uri = str(pushes.folder / "copy")
    properties = {"folder": str(pushes.statistics(4))}
    ReferenceStatistics.EXECUTOR_SPEC.executor_class().Do({}, {"reference": [reference]}, properties)
    assert artifact_utils.decode_split_names(reference.split_names) == ["train"]
    assert Path(reference.uri, "Split-train", "FeatureStats.pb").read_text() == "4"


def test_the_parameter_span_selects_the_files(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        (tmp_path / f"day-{day}.csv").write_text(f"user_id,item_id\nu,{day}\n")
    spans = f"name: shop\ndata: {{folder: {tmp_path}, interactions: {{path: 'day-{{SPAN}}.csv', time: null}}}}\n"
    config = dump_config(parse_config(spans), *INGEST)
    newest, second = json.loads(resolve(config, "")), json.loads(resolve(config, "2"))
    assert (newest["span"], second["span"]) == (3, 2)
    assert newest["input_fingerprint"] != second["input_fingerprint"]
    with pytest.raises(ValueError, match=r"the parameter `span` needs `\{SPAN\}` or a date in the path of the log"):
        resolve(dump_config(parse_config(DATA), *INGEST), "2")
