import pytest
from tensorflow_metadata.proto.v0 import schema_pb2

from pipeline.validation.scope import belongs, split_schema


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
