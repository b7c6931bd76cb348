"""The validation against real server processes."""

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from config import Config, dump_config
from pipeline.infra import component
from pipeline.infra.component import REPORT_FILE, InfraValidator
from pipeline.infra.validation import Verdict
from tests.pipeline.infra.conftest import window, write_model_and_answers, write_split


def _validate(folder: Path, config: Config) -> tuple[dict[str, Any], standard_artifacts.InfraBlessing]:
    """Runs the executor on the artifacts in the folder."""
    write_split(folder / "examples", [window(["a", "b"]), window(["c", "d", "e"], user_age=[30.0])])
    examples, blessing = standard_artifacts.Examples(), standard_artifacts.InfraBlessing()
    examples.split_names = '["eval"]'
    inputs = {"model": standard_artifacts.Model(), "model_run": standard_artifacts.ModelRun(), "examples": examples}
    for name, artifact in {**inputs, "blessing": blessing}.items():
        artifact.uri = str(folder / name)
    wrapped = {name: [artifact] for name, artifact in inputs.items()}
    properties = {"config": dump_config(config), "fingerprint": ""}
    InfraValidator.EXECUTOR_SPEC.executor_class().Do(wrapped, {"blessing": [blessing]}, properties)
    return json.loads((folder / "blessing" / REPORT_FILE).read_text()), blessing


def test_a_good_model_is_blessed(tmp_path: Path, config: Config) -> None:
    write_model_and_answers(tmp_path)
    report, blessing = _validate(tmp_path, config)
    assert (report["reason"], report["blessed"], report["server"]) == ("", True, "embedded")
    assert (report["requests"], report["signatures"]) == (3, 8)
    assert 0 < report["p50_milliseconds"] <= report["p99_milliseconds"]
    assert blessing.get_int_custom_property("blessed") == 1
    assert (tmp_path / "blessing" / "INFRA_BLESSED").exists()


def test_the_index_that_was_built_says_how_batches_are_judged(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*arguments: Any) -> Verdict:
        return Verdict(f"approximate: {arguments[-1]}", "none")

    monkeypatch.setattr(component, "validate", found)
    for kind, reason in ((None, False), ("exact", False), ("int8", True), ("ivf", True)):
        folder = tmp_path / str(kind)
        write_model_and_answers(folder)
        if kind is not None:
            (folder / "model_run" / "index.json").write_text(json.dumps({"kind": kind}))
        assert _validate(folder, config)[0]["reason"] == f"approximate: {reason}"


def test_a_model_that_answers_other_than_the_trainers_is_not_blessed(tmp_path: Path, config: Config) -> None:
    write_model_and_answers(tmp_path, offset=0.01)
    report, _ = _validate(tmp_path, config)
    assert report["blessed"] is False
    assert "`like` differs from the Trainer's" in report["reason"]


def test_a_model_that_cannot_be_loaded_is_not_blessed(tmp_path: Path, config: Config) -> None:
    write_model_and_answers(tmp_path)
    (variables,) = tf.io.gfile.glob(str(tmp_path / "model" / "Format-Serving" / "variables" / "*.data-*"))
    Path(variables).write_bytes(b"")
    report, blessing = _validate(tmp_path, config)
    assert report["blessed"] is False
    assert "could not load the model" in report["reason"]
    assert "\n" not in report["reason"]
    assert blessing.get_int_custom_property("blessed") == 0
    assert (tmp_path / "blessing" / "INFRA_NOT_BLESSED").exists()
