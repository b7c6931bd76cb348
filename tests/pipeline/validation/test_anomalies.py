import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.validation.anomalies import anomalies_message, describe_anomalies, find_anomalies
from pipeline.validation.inference import infer_schema
from tests.pipeline.validation.conftest import ITEMS, TRAIN, Statistics, statistics_of


@pytest.fixture(scope="module")
def schema(clean: dict[str, Statistics]) -> schema_pb2.Schema:
    """Inferred from clean data; here it serves as the curated one."""
    return infer_schema(clean)


def found(statistics: Statistics, schema: schema_pb2.Schema, split: str) -> list[str]:
    return describe_anomalies({split: find_anomalies(statistics, schema, split)})


@pytest.mark.parametrize("split", ["train", "eval", "test", "items"])
def test_clean_splits_have_no_anomaly(clean: dict[str, Statistics], schema: schema_pb2.Schema, split: str) -> None:
    assert found(clean[split], schema, split) == []


def test_a_value_outside_the_domain(schema: schema_pb2.Schema) -> None:
    (line,) = found(statistics_of([{**TRAIN[0], "user_gender": ["X"]}, *TRAIN[1:]]), schema, "train")
    assert line.startswith("train: `user_gender`: Unexpected string values. ")
    assert "X" in line


def test_a_missing_feature(schema: schema_pb2.Schema) -> None:
    rows = [{name: values for name, values in row.items() if name != "is_target"} for row in TRAIN]
    (line,) = found(statistics_of(rows), schema, "train")
    assert line.startswith("train: `is_target`: Column dropped. ")


def test_a_wrong_type(schema: schema_pb2.Schema) -> None:
    (line,) = found(statistics_of([{**row, "item_year": ["1990"]} for row in ITEMS]), schema, "items")
    assert line.startswith("items: `item_year`: ")
    assert "FLOAT" in line


def test_a_feature_that_the_schema_does_not_know(schema: schema_pb2.Schema) -> None:
    (line,) = found(statistics_of([{**row, "item_price": [1.0]} for row in ITEMS]), schema, "items")
    assert line.startswith("items: `item_price`: New column. ")


def test_a_split_without_examples(schema: schema_pb2.Schema) -> None:
    assert found(statistics_of([]), schema, "test") == ["test: has no example"]


def test_a_constraint_on_the_whole_split(clean: dict[str, Statistics], schema: schema_pb2.Schema) -> None:
    strict = schema_pb2.Schema()
    strict.CopyFrom(schema)
    strict.dataset_constraints.min_examples_count = 11
    assert found(clean["train"], strict, "train") == []
    (line,) = found(clean["eval"], strict, "eval")
    assert line.startswith("eval: ")


def test_environments_of_a_curated_schema_are_kept(clean: dict[str, Statistics], schema: schema_pb2.Schema) -> None:
    curated = schema_pb2.Schema()
    curated.CopyFrom(schema)
    curated.feature.add(
        name="label_like",
        type=schema_pb2.FLOAT,
        presence={"min_count": 1, "min_fraction": 1.0},
        not_in_environment=["eval"],
    )
    curated.default_environment.extend(["train", "eval", "test", "items"])
    assert found(clean["eval"], curated, "eval") == []
    (line,) = found(clean["test"], curated, "test")
    assert "label_like" in line


def test_the_message_says_what_to_do() -> None:
    one = anomalies_message(["train: `user_age`: Column dropped. Gone"], "schemas/films.pbtxt")
    assert one == (
        "The examples have 1 anomaly:\n  train: `user_age`: Column dropped. Gone\n"
        "Correct the data, or widen schemas/films.pbtxt; `pipeline.stop_on_anomalies: false` lets the run go on."
    )
    assert anomalies_message(["a", "b"], "").startswith("The examples have 2 anomalies:\n  a\n  b\nCorrect the data; ")
