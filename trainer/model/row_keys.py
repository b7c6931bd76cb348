"""What the rows of a model's variables stand for, so that they can be found again in a model of other data.

Vocabularies are made of a run's data: item 17 of one model is item 19 of the next. A row's key says which id, category
or feature it is of, whatever its number.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import feature_names
from trainer.layers.blocks import BatchNorm, FeatureEncoder
from trainer.layers.tables import SharedRows
from trainer.model.recommender import RecommenderModel

Start = Literal["content", "last", "mean", "fresh"]
Vocabularies = Mapping[str, Sequence[bytes] | NDArray[np.object_]]
"""The known values by `item_id`, `user_id` and the names of features in the examples, in the order of their numbers."""

_SPECIAL: Final = b"\n"
"""Begins the keys of rows that are of no value of a vocabulary; values have no line breaks."""


@dataclass(frozen=True, eq=False)
class RowKeys:
    """The keys of the entries of a variable along an axis.

    Attributes:
        table: What people know the variable by: `item_id`, `user_id`, `item_genres`, or its path.
        keys: bytes [n], distinct.
        axis: Of the n entries.
        start: What an entry with an unknown key starts from: the known items with the same categories (`content`), the
            last entry, which stands for all unknown values (`last`), all known entries (`mean`), or its initial value
            (`fresh`).
    """

    table: str
    keys: NDArray[np.object_]
    axis: int = 0
    start: Start = "mean"

    @property
    def is_of_ids(self) -> bool:
        """Whether the keys are ids of users or items."""
        return self.table in (feature_names.ITEM_ID, feature_names.USER_ID)


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of a model that a later training may start from.

    Attributes:
        variables: By the path of attributes that leads to them, such as `candidates.ids.embeddings`: all that are
            trained, and the moving averages of batch normalisation. What is made of the data (the catalogue, the
            trend), and counters, are none of them.
        rows: By path, the keys of those whose rows are numbered by vocabularies or by features.
        meanings: By the beginnings of paths, what their variables are where paths and shapes do not tell.
    """

    variables: Mapping[str, tf.Variable]
    rows: Mapping[str, RowKeys] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)


def is_special(key: bytes) -> bool:
    """Returns whether a key is that of unknown or missing values, or of a category that has no vocabulary."""
    return key.startswith(_SPECIAL)


def weights_of(model: RecommenderModel, vocabularies: Vocabularies) -> Weights:
    """Returns a model's weights with what their rows stand for."""
    averages = (v for part in model.submodules if isinstance(part, BatchNorm) for v in part.non_trainable_variables)
    wanted = {variable.ref() for variable in chain(model.trainable_variables, averages)}
    paths = {path: variable for path, variable in model.get_weight_paths().items() if variable.ref() in wanted}
    keys = {variable.ref(): keys for variable, keys in _row_keys(model, vocabularies)}
    rows = {path: keys[variable.ref()] for path, variable in paths.items() if variable.ref() in keys}
    return Weights(paths, rows, _meanings(model))


def _row_keys(model: RecommenderModel, vocabularies: Vocabularies) -> Iterator[tuple[tf.Variable, RowKeys]]:
    spec, candidates, queries = model.spec, model.candidates, model.queries
    items = _keys(vocabularies[feature_names.ITEM_ID], spec.item_count + 1)
    users = _keys(vocabularies[feature_names.USER_ID], spec.user_count + 1)
    known = {f.name: _keys(vocabularies.get(f.name, ()), f.size) for f in spec.features if f.size is not None}
    yield candidates.bias, RowKeys("item_id", items, start="fresh")
    for head in model.heads.values():
        yield head.item_bias.embeddings, RowKeys("item_id", items, start="content")
    for head in model.classifiers.values():
        classes = np.array(vocabularies[head.feature], object)
        yield head.project.kernel, RowKeys(head.feature, classes, axis=1)
        yield head.project.bias, RowKeys(head.feature, classes, start="fresh")
    tables: list[tuple[tf.keras.layers.Layer, RowKeys]] = [(candidates.ids, RowKeys("item_id", items, start="content"))]
    if queries.user_ids is not None:
        tables.append((queries.user_ids, RowKeys("user_id", users, start="last")))
    for encoder in (candidates.content, queries.event.features, queries.user, queries.context):
        if encoder is not None:
            tables += [(table, RowKeys(name, known[name])) for name, table in encoder.tables.items()]
            yield encoder.project.kernel, RowKeys(encoder.name, _feature_keys(encoder), start="fresh")
    yield from ((table.embeddings, keys) for table, keys in tables if not isinstance(table, SharedRows))
    shared = [(table, keys) for table, keys in tables if isinstance(table, SharedRows)]
    yield from _shared_row_keys(shared, model.config.training.seed)


def _shared_row_keys(tables: list[tuple[SharedRows, RowKeys]], seed: int) -> Iterator[tuple[tf.Variable, RowKeys]]:
    """Yields keys that are known again only where no number of any id that shares the rows has changed.

    The rows that an id shares follow from its number, and from the seed. So these tables move whole, or not at all.
    """
    sharing: dict[Any, list[RowKeys]] = {}
    for table, keys in tables:
        for part in table.parts:
            sharing.setdefault(part.embeddings.ref(), []).append(keys)
    for variable, users in sharing.items():
        digest = hashlib.sha256(str(seed).encode())
        for keys in users:
            digest.update(b"\0".join([keys.table.encode(), *keys.keys, b""]))
        prefix, rows = digest.hexdigest()[:16], variable.deref().shape[0]
        names = ", ".join(dict.fromkeys(keys.table for keys in users))
        shared = np.array([f"{prefix} {row}".encode() for row in range(rows)], object)
        yield variable.deref(), RowKeys(f"shared rows of {names}", shared, start="fresh")


def _keys(vocabulary: Sequence[bytes] | NDArray[np.object_], size: int) -> NDArray[np.object_]:
    """Returns the keys of a table's rows: known values, then those of unknown ones, then that of the missing one.

    Categories without a vocabulary, such as the hours of a day, are the same in every model: so are their numbers.
    """
    known = [bytes(value) for value in vocabulary]
    others = [_SPECIAL + str(number).encode() for number in range(size - len(known) - 1)]
    return np.array([*known, *others, _SPECIAL + b"last"], object)


def _feature_keys(encoder: FeatureEncoder) -> NDArray[np.object_]:
    """Returns the keys of the inputs of an encoder's projection: the features' embeddings, one after the other."""
    keys = []
    for feature in encoder.features:
        width = 1 if feature.size is None else encoder.width
        keys += [f"{feature.name} {feature.form} {number} of {width}".encode() for number in range(width)]
    return np.array(keys, object)


def _meanings(model: RecommenderModel) -> dict[str, str]:
    settings = model.config.model
    places = {**dict.fromkeys(model.config.ranking, "heads"), **dict.fromkeys(model.config.multiclass, "classifiers")}
    return {
        "queries.history.encoders": str(settings.history.encoder),
        "sharing": settings.sharing.method,
        **{f"{place}.{name}": model.config.tasks[name].kind for name, place in places.items()},
    }
