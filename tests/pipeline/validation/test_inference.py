import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils

from pipeline.validation.inference import example_count, infer_schema
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
