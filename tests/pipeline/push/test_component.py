"""Infra validation and push as TFX runs and compiles them."""

import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tfx import v1 as tfx
from tfx.orchestration import metadata
from tfx.types import standard_artifacts

from config import Config, parse_config, paths
from pipeline.infra.component import make_infra_validator
from pipeline.lineage import read_history
from pipeline.metadata import open_store, sqlite_connection
from pipeline.push.component import Executor, make_pusher
from serving.manifest import manifest_fault
from tests.pipeline.infra.conftest import CONFIG, window, write_model_and_answers, write_split


def _importer(name: str, kind: type[Any], folder: Path, **properties: Any) -> Any:
    return tfx.dsl.Importer(source_uri=str(folder / name), artifact_type=kind, **properties).with_id(name)


def _pipeline(folder: Path, config: Config) -> Any:
    model = _importer("model", standard_artifacts.Model, folder)
    examples = _importer("examples", standard_artifacts.Examples, folder, properties={"split_names": '["eval"]'})
    model_run = _importer("model_run", standard_artifacts.ModelRun, folder)
    evaluated = _importer("evaluated", standard_artifacts.ModelBlessing, folder, custom_properties={"blessed": 1})
    result = "result"
    validator = make_infra_validator(config, *(importer.outputs[result] for importer in (model, model_run, examples)))
    pusher = make_pusher(config, model.outputs[result], evaluated.outputs[result], validator.outputs["blessing"])
    return tfx.dsl.Pipeline(
        pipeline_name="tiny",
        pipeline_root=str(folder / "artifacts"),
        components=[model, model_run, examples, evaluated, validator, pusher],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(str(folder / "db")),
    )


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return parse_config(CONFIG + f"pipeline: {{root: {tmp_path}}}\n")


def test_a_local_run_validates_and_pushes(tmp_path: Path, config: Config) -> None:
    write_model_and_answers(tmp_path)
    write_split(tmp_path / "examples", [window(["a", "b"])])
    pipeline = _pipeline(tmp_path, config)
    tfx.orchestration.LocalDagRunner().run(pipeline)
    (version,) = Path(paths.serving(config)).iterdir()
    assert (version / "saved_model.pb").exists()
    with metadata.Metadata(pipeline.metadata_connection_config) as store:
        (pushed,) = store.store.get_artifacts_by_type("PushedModel")
    assert pushed.custom_properties["pushed"].int_value == 1
    assert pushed.custom_properties["pushed_version"].string_value == version.name
    assert [path.name for path in Path(pushed.uri).iterdir()] == ["manifest.sha256"]
    assert Path(pushed.uri, "manifest.sha256").read_text() == (version / "manifest.sha256").read_text()
    assert manifest_fault(str(version)) == ""
    (known,) = read_history(open_store(sqlite_connection(tmp_path / "db")), "tiny")
    assert (known.version, known.evaluated, known.validated) == (int(version.name), True, True)
    assert (known.model, known.run) == (str(tmp_path / "model"), _run_id(tmp_path / "db"))
    assert (known.examples, known.span, known.code) == ("", None, "")  # imported, not made: nothing leads further back


def _run_id(database: Path) -> str:
    with sqlite3.connect(database) as connection:
        query = "select Context.name from Context join Type on type_id = Type.id where Type.name = 'pipeline_run'"
        (name,) = connection.execute(query).fetchone()
        return str(name)


def test_kubeflow_compiles_both(tmp_path: Path, config: Config) -> None:
    output = tmp_path / "pipeline.json"
    settings = tfx.orchestration.experimental.KubeflowV2DagRunnerConfig(default_image="image")
    runner = tfx.orchestration.experimental.KubeflowV2DagRunner(settings, output_filename=str(output))
    runner.run(_pipeline(tmp_path, config))
    text = json.dumps(json.loads(output.read_text()))
    assert "pipeline.infra.component.InfraValidator_Executor" in text
    assert "pipeline.push.component.Executor" in text


def _push(folder: Path, evaluated: int | None, validated: int | None) -> standard_artifacts.PushedModel:
    model, pushed = standard_artifacts.Model(), standard_artifacts.PushedModel()
    model.uri, pushed.uri = str(folder / "model"), str(folder / "pushed")
    inputs: dict[str, list[Any]] = {"model": [model]}
    for name, kind, blessed in (
        ("model_blessing", standard_artifacts.ModelBlessing, evaluated),
        ("infra_blessing", standard_artifacts.InfraBlessing, validated),
    ):
        if blessed is not None:
            artifact = kind()
            artifact.set_int_custom_property("blessed", blessed)
            inputs[name] = [artifact]
    destination = json.dumps({"filesystem": {"base_directory": str(folder / "serving")}})
    Executor().Do(inputs, {"pushed_model": [pushed]}, {"push_destination": destination})
    return pushed


@pytest.mark.parametrize(("evaluated", "validated"), [(0, 1), (1, 0), (0, 0)])
def test_an_unblessed_model_is_not_pushed(tmp_path: Path, evaluated: int, validated: int) -> None:
    assert _push(tmp_path, evaluated, validated).get_int_custom_property("pushed") == 0
    assert not (tmp_path / "serving").exists()


@pytest.mark.parametrize(("evaluated", "validated", "name"), [(None, 1, "model_blessing"), (1, None, "infra_blessing")])
def test_a_missing_blessing_is_refused(tmp_path: Path, evaluated: int | None, validated: int | None, name: str) -> None:
    with pytest.raises(ValueError, match=f"Missing: {name}"):
        _push(tmp_path, evaluated, validated)


@pytest.mark.parametrize("copies", range(2))
def test_a_push_that_fails_leaves_servers_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copies: int
) -> None:
    _write_saved_model(tmp_path / "model" / "Format-Serving")
    linked: list[Path] = []
    link = os.link

    def full_disk(source: Path, target: Path) -> None:
        if len(linked) == copies:
            raise OSError(28, "No space left on device")
        linked.append(target)
        link(source, target)

    monkeypatch.setattr(os, "link", full_disk)
    monkeypatch.setattr(shutil, "copyfile", full_disk)
    with pytest.raises(OSError, match="No space left"):
        _push(tmp_path, evaluated=1, validated=1)
    monkeypatch.undo()
    assert not any((tmp_path / "serving").glob("*"))
    pushed = _push(tmp_path, evaluated=1, validated=1)
    (version,) = (tmp_path / "serving").iterdir()
    assert pushed.get_string_custom_property("pushed_version") == version.name


def _write_saved_model(folder: Path) -> None:
    """What a push copies: files whose content it does not look at."""
    folder.mkdir(parents=True)
    for name in ("saved_model.pb", "fingerprint.pb"):
        (folder / name).write_text(name)
