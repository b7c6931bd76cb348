import os
import shutil
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.orchestration import metadata

from config import load_config
from pipeline.ingest.component import InteractionExampleGen
from pipeline.ingest.executor import read_config, read_input
from tests.pipeline.ingest.conftest import read_examples, resolve
from tests.synthetic import write_config, write_tables


@pytest.fixture
def folder(tables, tmp_path):
    """The tables by span: interactions of spans 1 and 2, items of span 1, users of none."""
    for name in ("interactions-1", "interactions-2", "items-1"):
        shutil.copy(tables / f"{name[:-2]}.csv", tmp_path / f"{name}.csv")
    shutil.copy(tables / "users.csv", tmp_path)
    return tmp_path


def _patterns(properties):
    return {split.name: split.pattern for split in read_input(properties).splits}


def _spanned(folder, **overrides):
    data = {"interactions": {"path": "interactions-{SPAN}.csv"}, "items": {"path": "items-{SPAN}.csv"}}
    return load_config(write_config(folder, data=data, **overrides))


def test_every_table_has_its_own_span(folder):
    properties = resolve(_spanned(folder))
    assert properties["span"] == 2
    assert _patterns(properties) == {
        "interactions": "interactions-2.csv",
        "items": "items-1.csv",
        "users": "users.csv",
    }


def test_a_version_is_that_of_the_interactions(folder):
    for version in (3, 12):
        shutil.copy(folder / "interactions-1.csv", folder / f"log-7-v{version}.csv")
    data = {"interactions": {"path": "log-{SPAN}-v{VERSION}.csv"}, "items": {"path": "items-1.csv"}}
    properties = resolve(load_config(write_config(folder, data=data)))
    assert (properties["span"], properties["version"]) == (7, 12)
    assert _patterns(properties)["interactions"] == "log-7-v12.csv"


@pytest.mark.parametrize("name", ["interactions-2.csv", "items-1.csv", "users.csv"])
def test_a_change_of_any_table_changes_the_fingerprint(folder, name):
    before = resolve(_spanned(folder))["input_fingerprint"]
    assert resolve(_spanned(folder))["input_fingerprint"] == before
    os.utime(folder / name, (1, 1))
    assert resolve(_spanned(folder))["input_fingerprint"] != before


def test_a_missing_span_is_named(folder):
    (folder / "items-1.csv").unlink()
    with pytest.raises(ValueError, match=r"items-\{SPAN\}\.csv"):
        resolve(_spanned(folder))


def test_without_spans_all_tables_are_input_splits_of_tfx(tables):
    component = InteractionExampleGen(load_config(write_config(tables)))
    assert isinstance(component, FileBasedExampleGen)  # the Kubeflow runner has a driver for these
    assert list(_patterns(component.spec.exec_properties)) == ["interactions", "items", "users"]


def test_only_what_ingest_reads_enters_the_cache_key(tables):
    def key(**overrides):
        return resolve(load_config(write_config(tables, **overrides)))["custom_config"]

    assert key() == key(training={"epochs": 99}) == key(evaluation={"ks": [3]})
    assert (
        len({key(), key(split={"seed": 1}), key(model={"history": {"max_events": 9}}), key(positive="rating > 1")}) == 4
    )
    assert read_config(resolve(load_config(write_config(tables)))).split.method == "leave_last_out"


def _run(config, folder):
    """Runs a pipeline of this component alone, and returns the states of all its executions so far, oldest first."""
    database = metadata.sqlite_metadata_connection_config(str(folder / "mlmd.sqlite"))
    pipeline = tfx.dsl.Pipeline(
        pipeline_name="ingest",
        pipeline_root=str(folder / "root"),
        components=[InteractionExampleGen(config)],
        enable_cache=True,
        metadata_connection_config=database,
        beam_pipeline_args=config.pipeline.beam.arguments,
    )
    tfx.orchestration.LocalDagRunner().run(pipeline)
    with metadata.Metadata(database) as handler:
        executions = handler.store.get_executions()
        artifacts = handler.store.get_artifacts()
    names = [metadata_store_pb2.Execution.State.Name(e.last_known_state) for e in executions]
    return names, sorted(artifacts, key=lambda artifact: artifact.id)[-1]


def test_runs_under_tfx_and_again_only_when_a_table_changes(tmp_path):
    write_tables(tmp_path, users=20, items=20, events=200)
    for name in ("interactions", "items"):
        (tmp_path / f"{name}.csv").rename(tmp_path / f"{name}-1.csv")
    data = {"interactions": {"path": "interactions-{SPAN}.csv"}, "items": {"path": "items-1.csv"}}
    config = load_config(write_config(tmp_path, data=data))
    states, first = _run(config, tmp_path)
    assert states == ["COMPLETE"]
    assert first.custom_properties["span"].int_value == 1
    assert _run(config, tmp_path)[0] == ["COMPLETE", "CACHED"]
    with (tmp_path / "items-1.csv").open("a") as file:
        file.write("i999,A new one,2020,drama\n")
    states, second = _run(config, tmp_path)
    assert states == ["COMPLETE", "CACHED", "COMPLETE"]
    before, after = Path(first.uri), Path(second.uri)
    assert len(read_examples(after, "items")) == len(read_examples(before, "items")) + 1
    for split in ("train", "eval", "test"):  # what has not changed comes out the same, in the same order
        assert str(read_examples(after, split)) == str(read_examples(before, split))
