from pathlib import Path
from typing import Any

import pytest
import yaml
from tfx import types
from tfx.components.schema_gen.executor import DEFAULT_FILE_NAME
from tfx.dsl.components.base import base_component
from tfx.types import standard_artifacts

from config import Config, parse_config
from pipeline.validation.components import Validation, make_validation
from tests.pipeline.validation.conftest import Statistics, statistics_artifact
from tests.synthetic import default_config


def config(**pipeline: Any) -> Config:
    return parse_config(yaml.safe_dump({**default_config("data"), "pipeline": pipeline}))


def make(**pipeline: Any) -> Validation:
    return make_validation(config(**pipeline), types.Channel(type=standard_artifacts.Examples))


def properties(component: base_component.BaseComponent) -> dict[str, Any]:
    return dict(component.exec_properties)


IDS = ["StatisticsGen", "SchemaGen", "ExampleValidator"]


def write_schema(made: Validation, statistics: dict[str, Statistics], folder: Path) -> str:
    """Runs the SchemaGen and returns the schema's text."""
    schema = standard_artifacts.Schema()
    schema.uri = str(folder / "schema")
    inputs = {"statistics": [statistics_artifact(folder / "statistics", statistics)]}
    gen = made.components[1]
    gen.EXECUTOR_SPEC.executor_class().Do(inputs, {"schema": [schema]}, properties(gen))
    return Path(schema.uri, DEFAULT_FILE_NAME).read_text()


def test_without_a_schema_file_the_schema_is_inferred(clean: dict[str, Statistics], tmp_path: Path) -> None:
    made = make()
    assert [c.id for c in made.components] == [*IDS, "AnomalyGate"]
    assert made.gate is made.components[-1]
    assert 'name: "user_gender"' in write_schema(made, clean, tmp_path)
    assert properties(made.gate)["settings"] != properties(make(stop_on_anomalies=False).gate)["settings"]


def test_an_edited_schema_file_is_read_again(clean: dict[str, Statistics], tmp_path: Path) -> None:
    path = tmp_path / "schema.pbtxt"
    path.write_text('feature { name: "user_id" type: BYTES }')
    first = make(schema_file=str(path))
    assert [c.id for c in first.components] == [*IDS, "AnomalyGate"]
    assert str(path) in properties(first.gate)["settings"]
    assert "user_gender" not in write_schema(first, clean, tmp_path)
    path.write_text('feature { name: "user_id" type: INT }')
    second = make(schema_file=str(path))
    assert properties(first.components[1])["digest"] != properties(second.components[1])["digest"]


def test_comparators_of_the_schema_file_are_used(tmp_path: Path) -> None:
    path = tmp_path / "schema.pbtxt"
    path.write_text('feature { name: "item_title" type: BYTES drift_comparator { infinity_norm { threshold: 0.4 } } }')
    made = make(schema_file=str(path), drift={})
    assert '"item_title": ["L-infinity distance", 0.4]' in properties(made.gate)["settings"]


def test_a_schema_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`pipeline.schema_file` should name .*Not found: .*none\.pbtxt"):
        make(schema_file=str(tmp_path / "none.pbtxt"))


def test_drift_adds_a_resolver_and_a_validator() -> None:
    made = make(drift={"threshold": 0.1})
    assert [c.id for c in made.components] == [*IDS, "reference_statistics", "DriftValidator", "AnomalyGate"]
    assert {"anomalies", "reference", "drift"} <= set(made.gate.inputs)


def test_skew_alone_looks_for_nothing_earlier() -> None:
    made = make(skew={"threshold": 0.1})
    assert [c.id for c in made.components[3:]] == ["SkewValidator", "AnomalyGate"]
    assert "reference" not in made.gate.inputs
    again = make(skew={"threshold": 0.2})
    assert properties(made.gate)["settings"] != properties(again.gate)["settings"]
