import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils

from pipeline.validation.gate import anomalies_message, describe_anomalies
from pipeline.validation.schema import belongs, example_count, infer_schema, split_schema, validate_split
from tests.pipeline.validation.conftest import EVAL, ITEMS, TRAIN, Statistics, statistics_of


@pytest.fixture(scope="module")
def schema(clean: dict[str, Statistics]) -> schema_pb2.Schema:
    return infer_schema(clean)


def test_every_feature_of_every_split_is_read_with_variable_length(schema: schema_pb2.Schema) -> None:
    spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    assert set(spec) == {name for row in TRAIN + EVAL + ITEMS for name in row}
    assert all(isinstance(feature, tf.io.VarLenFeature) for feature in spec.values())
    assert (spec["user_id"].dtype, spec["is_target"].dtype, spec["item_year"].dtype) == (
        tf.string,
        tf.int64,
        tf.float32,
    )


def test_domains_unite_the_splits_and_leave_ids_free(schema: schema_pb2.Schema) -> None:
    domains = {d.name: set(d.value) for d in schema.string_domain}
    assert domains["context_device"] == {"tv", "pc", "phone"}
    assert domains["item_genres"] == {"war", "drama"}
    assert not domains.keys() & {"user_id", "item_id", "seen_item_id", "catalogue_id", "session_page"}


def test_lengths_of_windows_do_not_bind(schema: schema_pb2.Schema) -> None:
    features = {f.name: f for f in schema.feature}
    assert not any(
        features[name].HasField("value_count") for name in ("item_id", "seen_item_id", "context_device", "session_page")
    )
    assert features["user_age"].value_count.max == 1


def test_splits_without_examples_are_passed_over(clean: dict[str, Statistics], schema: schema_pb2.Schema) -> None:
    empty = statistics_of([])
    assert example_count(empty) == 0
    assert {f.name for f in infer_schema({**clean, "test": empty}).feature} == {f.name for f in schema.feature}
    with pytest.raises(ValueError, match=r"at least one row.*train, items"):
        infer_schema({"train": empty, "items": empty})


@pytest.mark.parametrize(
    ("feature", "splits"),
    [
        ("user_id", "train eval test"),
        ("item_id", "train eval test"),
        ("user_age", "train eval test"),
        ("label_like", "train eval test"),
        ("seen_item_id", "eval test"),
        ("split", "eval test"),
        ("catalogue_id", "items"),
        ("item_title", "items"),
    ],
)
def test_a_feature_belongs_to_its_splits(feature: str, splits: str) -> None:
    assert [s for s in ("train", "eval", "test", "items") if belongs(feature, s)] == splits.split()


def test_the_keys_are_required_where_the_schema_does_not_name_them() -> None:
    schema = schema_pb2.Schema(feature=[schema_pb2.Feature(name="user_id", type=schema_pb2.BYTES)])
    windows = {f.name: f for f in split_schema(schema, "train").feature}
    assert set(windows) == {"user_id", "item_id", "is_positive", "is_target"}
    assert windows["item_id"].presence.min_fraction == 1
    assert not windows["user_id"].HasField("presence")  # the schema's own word stands
    assert [f.name for f in split_schema(schema, "items").feature] == ["catalogue_id"]


def found(statistics: Statistics, schema: schema_pb2.Schema, split: str) -> list[str]:
    return describe_anomalies([(split, validate_split(statistics, schema, split))])


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
