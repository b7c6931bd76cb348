from pathlib import Path
from typing import Any

import pytest
import yaml
from tfx import types
from tfx.components.example_validator.executor import ARTIFACT_PROPERTY_BLESSED_KEY
from tfx.dsl.components.base import base_component
from tfx.types import standard_artifacts

from config import Config, parse_config
from pipeline.validation import schema_gen, validator
from pipeline.validation.anomalies import AnomaliesError
from pipeline.validation.components import Validation, make_validation
from tests.pipeline.validation.conftest import Statistics, statistics_artifact
from tests.synthetic import default_config


def config(**pipeline: Any) -> Config:
    return parse_config(yaml.safe_dump({**default_config("data"), "pipeline": pipeline}))


def make(**pipeline: Any) -> Validation:
    return make_validation(config(**pipeline), types.Channel(type=standard_artifacts.Examples))


def properties(component: base_component.BaseComponent) -> dict[str, Any]:
    return dict(component.exec_properties)


def run(executor: Any, inputs: dict, output_type: type[types.Artifact], name: str, folder: Path, **given: Any) -> Any:
    artifact = output_type()
    artifact.uri = str(folder)
    executor.Do({key: [value] for key, value in inputs.items()}, {name: [artifact]}, given)
    return artifact


@pytest.fixture
def inferred(clean: dict[str, Statistics], tmp_path: Path) -> standard_artifacts.Schema:
    inputs = {"statistics": statistics_artifact(tmp_path / "clean", clean)}
    return run(schema_gen.Executor(), inputs, standard_artifacts.Schema, "schema", tmp_path / "schema")


def validate(by_split: dict[str, Statistics], schema: standard_artifacts.Schema, folder: Path, *, stop: int) -> Any:
    inputs = {"statistics": statistics_artifact(folder / "statistics", by_split), "schema": schema}
    given = {"stop_on_anomalies": stop, "schema_file": "curated.pbtxt"}
    kind = standard_artifacts.ExampleAnomalies
    return run(validator.Executor(), inputs, kind, "anomalies", folder / "anomalies", **given)


def blessed(anomalies: Any) -> dict[str, int]:
    return anomalies.get_json_value_custom_property(ARTIFACT_PROPERTY_BLESSED_KEY)


def test_the_inferred_schema_finds_nothing_in_its_own_data(
    clean: dict[str, Statistics], inferred: standard_artifacts.Schema, tmp_path: Path
) -> None:
    anomalies = validate(clean, inferred, tmp_path, stop=1)
    assert blessed(anomalies) == {"train": 1, "eval": 1, "items": 1, "test": 1}


def test_anomalies_stop_the_run_and_say_where(
    clean: dict[str, Statistics], inferred: standard_artifacts.Schema, tmp_path: Path
) -> None:
    swapped = {**clean, "train": clean["items"]}
    with pytest.raises(AnomaliesError, match=r"(?s)train: `user_id`: Column dropped.*curated\.pbtxt"):
        validate(swapped, inferred, tmp_path, stop=1)


def test_anomalies_are_written_where_they_do_not_stop_the_run(
    clean: dict[str, Statistics], inferred: standard_artifacts.Schema, tmp_path: Path
) -> None:
    anomalies = validate({**clean, "train": clean["items"]}, inferred, tmp_path, stop=0)
    assert blessed(anomalies) == {"train": 0, "eval": 1, "items": 1, "test": 1}
    assert (tmp_path / "anomalies" / "Split-train" / "SchemaDiff.pb").stat().st_size > 0


def test_without_a_schema_file_the_schema_is_inferred() -> None:
    made = make()
    assert [c.id for c in made.components] == ["StatisticsGen", "SchemaGen", "ExampleValidator"]
    assert isinstance(made.components[1], schema_gen.SchemaGen)
    assert made.validator is made.components[2]
    assert properties(made.validator)["stop_on_anomalies"] == 1
    assert properties(make(stop_on_anomalies=False).validator)["stop_on_anomalies"] == 0


def test_an_edited_schema_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "schema.pbtxt"
    path.write_text('feature { name: "user_id" type: BYTES }')
    first = make(schema_file=str(path))
    assert [c.id for c in first.components] == ["StatisticsGen", "SchemaGen", "ExampleValidator"]
    assert properties(first.validator)["schema_file"] == str(path)
    path.write_text('feature { name: "user_id" type: INT }')
    second = make(schema_file=str(path))
    assert properties(first.components[1])["digest"] != properties(second.components[1])["digest"]


def test_a_schema_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`pipeline.schema_file` should name .*Not found: .*none\.pbtxt"):
        make(schema_file=str(tmp_path / "none.pbtxt"))


def test_drift_adds_a_resolver_and_a_validator_that_is_the_last() -> None:
    made = make(drift={"threshold": 0.1})
    ids = ["StatisticsGen", "SchemaGen", "ExampleValidator", "reference_statistics", "DistributionValidator"]
    assert [c.id for c in made.components] == ids
    assert made.validator is made.components[-1]
    assert made.components[2] in made.validator.upstream_nodes
    assert "reference" in made.validator.inputs


def test_skew_alone_looks_for_nothing_earlier() -> None:
    made = make(skew={"threshold": 0.1})
    assert [c.id for c in made.components[3:]] == ["DistributionValidator"]
    assert "reference" not in made.validator.inputs
    again = make(skew={"threshold": 0.2})
    assert properties(made.validator)["config"] != properties(again.validator)["config"]
