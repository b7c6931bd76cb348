"""Which features a split has: one schema describes all splits, each split is held to its own part of it."""

from typing import Final

from tensorflow_metadata.proto.v0 import schema_pb2

from config import feature_names

_BYTES, _INT = schema_pb2.BYTES, schema_pb2.INT
_WINDOW_KEYS: Final = {
    feature_names.USER_ID: _BYTES,
    feature_names.ITEM_ID: _BYTES,
    feature_names.IS_POSITIVE: _INT,
    feature_names.IS_TARGET: _INT,
}
_CATALOGUE_KEYS: Final = {feature_names.CATALOGUE_ID: _BYTES}
_EVALUATION_ONLY: Final = frozenset(
    (feature_names.SEEN_ITEM_ID, feature_names.IS_COLD_USER, feature_names.TARGET_COUNT, feature_names.SPLIT)
)
_ITEM_PREFIX: Final = feature_names.item_feature("")


def belongs(feature: str, split: str) -> bool:
    """Whether a split has a feature by the layout of the examples."""
    of_catalogue = feature == feature_names.CATALOGUE_ID or (
        feature.startswith(_ITEM_PREFIX) and feature != feature_names.ITEM_ID
    )
    if split == feature_names.ITEMS_SPLIT:
        return of_catalogue
    return not of_catalogue and not (split == "train" and feature in _EVALUATION_ONLY)


def split_schema(schema: schema_pb2.Schema, split: str) -> schema_pb2.Schema:
    """The part of a schema that a split is held to.

    Args:
      schema: Of all splits.
      split: `train`, `eval`, `test` or `items`.

    Returns:
      A copy with the split's features only. The keys without which nothing works (`user_id`, `item_id`,
      `is_positive` and `is_target` of windows, `catalogue_id` of items) are required in every example, also where the
      schema does not name them.
    """
    own = schema_pb2.Schema()
    own.CopyFrom(schema)
    del own.feature[:]
    own.feature.extend(f for f in schema.feature if belongs(f.name, split))
    keys = _CATALOGUE_KEYS if split == feature_names.ITEMS_SPLIT else _WINDOW_KEYS
    present = {f.name for f in own.feature}
    for name, kind in keys.items():
        if name not in present:
            own.feature.add(name=name, type=kind, presence={"min_fraction": 1.0, "min_count": 1})
    return own
