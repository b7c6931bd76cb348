"""What a pushed version was trained on: the ids that it knows, and how its examples' features are distributed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final

import tensorflow as tf

from config import Config, feature_names
from pipeline.lineage import read_history
from pipeline.metadata import readable_store
from pipeline.online.answers import feature_values
from pipeline.online.skew import Bins, SkewSums, make_bins, user_sums
from pipeline.validation.measures import Measure, window_measures

WINDOWS: Final = 20_000
"""The windows of the train split that are read. Ingest orders them by a hash of the user, so they are a sample."""
_OF_REQUESTS: Final = (
    feature_names.user_feature(""),
    feature_names.context_feature(""),
    feature_names.outcome_feature(""),
)


@dataclass(frozen=True)
class Reference:
    """A feature of the training examples.

    Attributes:
      bins: Its bins.
      sums: Sums over users.
      missing: The share of windows without a value.
    """

    bins: Bins
    sums: SkewSums
    missing: float


@dataclass(frozen=True)
class Training:
    """What is known of a version.

    Attributes:
      transform_graph: The folder of its transform graph, whose vocabularies hold the ids that it knows.
      features: The measured features by name.
    """

    transform_graph: str
    features: Mapping[str, Reference]


def measured_features(config: Config) -> dict[str, Measure]:
    """Returns the measures of the features that requests bring, by their names in the examples; none of ids."""
    found = window_measures(config)
    return {n: m for n, m in found.items() if n.startswith(_OF_REQUESTS) and n != feature_names.USER_ID}


def read_trainings(config: Config) -> dict[int, Training]:
    """Returns by version what it was trained on, of the pushed versions whose artifacts still exist."""
    store = readable_store(config)
    history = [] if store is None else read_history(store, config.name)
    measures = measured_features(config)
    return {
        pushed.version: Training(pushed.transform_graph, read_references(f"{pushed.examples}/Split-train", measures))
        for pushed in history
        if _has_files(pushed.examples) and _has_files(pushed.transform_graph)
    }


@lru_cache
def known_ids(transform_graph: str) -> tuple[frozenset[str], frozenset[str]]:
    """Returns the ids of the users and of the items in the vocabularies of a transform graph."""
    import tensorflow_transform as tft

    from transform.features import ITEM_VOCABULARY, USER_VOCABULARY

    output = tft.TFTransformOutput(transform_graph)
    users, items = (output.vocabulary_by_name(name) for name in (USER_VOCABULARY, ITEM_VOCABULARY))
    return frozenset(i.decode(errors="replace") for i in users), frozenset(i.decode(errors="replace") for i in items)


def read_references(split: str, measures: Mapping[str, Measure]) -> dict[str, Reference]:
    """Returns the distributions of the features in the first `WINDOWS` examples of a split that have any value.

    Args:
      split: The folder of gzipped TFRecord files.
      measures: The features' measures by name.
    """
    files = sorted(tf.io.gfile.glob(f"{split}/*"))
    records = (record for file in files for record in tf.data.TFRecordDataset(file, "GZIP").as_numpy_iterator())
    windows = [tf.train.Example.FromString(record) for record in islice(records, WINDOWS)]
    found = {name: _reference(measure, list(_of_users(windows, name))) for name, measure in measures.items()}
    return {name: reference for name, reference in found.items() if reference.sums}


def _of_users(windows: Iterable[tf.train.Example], name: str) -> Iterator[tuple[bytes, tuple[str | float, ...]]]:
    """Yields the user of each window and the feature's values in it."""
    for window in windows:
        user = window.features.feature[feature_names.USER_ID].bytes_list.value
        yield (user[0] if user else b""), feature_values(window, name)


def _reference(measure: Measure, rows: list[tuple[bytes, tuple[str | float, ...]]]) -> Reference:
    """Returns the distribution of the values, in bins of half of the users' and counted on the other half's.

    Counts of the values that the bins were chosen by would be biased: none of them is in no bin.
    """
    half = {user for index, user in enumerate(dict.fromkeys(user for user, _ in rows)) if index % 2}
    bins = make_bins(measure, Counter(value for user, values in rows if user in half for value in values))
    by_user: dict[bytes, Counter[int]] = {}
    for user, values in rows:
        if user not in half:
            by_user.setdefault(user, Counter()).update(bins.counts(values))
    sums: SkewSums = Counter()
    for counts in by_user.values():
        sums.update(user_sums(counts))
    return Reference(bins, sums, sum(not values for _, values in rows) / max(len(rows), 1))


def _has_files(folder: str) -> bool:
    return bool(folder) and tf.io.gfile.isdir(folder)
