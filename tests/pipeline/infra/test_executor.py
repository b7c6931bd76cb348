"""The validation against real server processes."""

import json
from pathlib import Path

import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from pipeline.config import Config, dump_config
from pipeline.infra.executor import REPORT_FILE, Executor
from tests.pipeline.infra.conftest import window, write_split
from tests.serving.models import save_model


def _artifacts(
    folder: Path,
) -> tuple[standard_artifacts.Model, standard_artifacts.Examples, standard_artifacts.InfraBlessing]:
    model, examples, blessing = (
        standard_artifacts.Model(),
        standard_artifacts.Examples(),
        standard_artifacts.InfraBlessing(),
    )
    model.uri, examples.uri, blessing.uri = (str(folder / name) for name in ("model", "examples", "blessing"))
    examples.split_names = '["eval"]'
    (folder / "model").mkdir()
    write_split(folder / "examples", [window(["a", "b"]), window(["c", "d", "e"], user_age=[30.0])])
    return model, examples, blessing


def _validate(folder: Path, config: Config, model: object, examples: object, blessing: object) -> dict[str, object]:
    Executor().Do({"model": [model], "examples": [examples]}, {"blessing": [blessing]}, {"config": dump_config(config)})
    report: dict[str, object] = json.loads((folder / "blessing" / REPORT_FILE).read_text())
    return report


def test_a_good_model_is_blessed(tmp_path: Path, config: Config) -> None:
    model, examples, blessing = _artifacts(tmp_path)
    save_model(tmp_path / "model" / "Format-Serving")
    report = _validate(tmp_path, config, model, examples, blessing)
    assert (report["reason"], report["blessed"], report["requests"]) == ("", True, 3)
    assert blessing.get_int_custom_property("blessed") == 1
    assert (tmp_path / "blessing" / "INFRA_BLESSED").exists()


def test_a_model_that_cannot_be_loaded_is_not_blessed(
    tmp_path: Path, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    model, examples, blessing = _artifacts(tmp_path)
    save_model(tmp_path / "model" / "Format-Serving")
    (variables,) = tf.io.gfile.glob(str(tmp_path / "model" / "Format-Serving" / "variables" / "*.data-*"))
    Path(variables).write_bytes(b"")
    report = _validate(tmp_path, config, model, examples, blessing)
    assert report["blessed"] is False
    assert "could not load the model" in str(report["reason"])
    assert "\n" not in str(report["reason"])
    assert blessing.get_int_custom_property("blessed") == 0
    assert (tmp_path / "blessing" / "INFRA_NOT_BLESSED").exists()
