"""What a condition on the items costs: a search among those that fit, by index and size of the catalogue.

    python -m benchmarks.filters
    python -m benchmarks.filters --items 1000000 --index exact

One request, the best 100 of items of 64 dimensions. `year`: half of the items fit; `genre`: a twentieth; `tag`: one in
a thousand; `allowed`: a list of 1,000 ids. Each metric is the median of the repeats, in milliseconds; the cases take
turns.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import numpy as np
from rich.table import Table

import trainer  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

import tensorflow as tf  # isort: skip

from benchmarks.console import wide_console
from benchmarks.index.data import clustered
from config import feature_names
from config.serving import ServingConfig
from trainer.data.attributes import Attributes, Numbers, Words
from trainer.export.index.build import build_index
from trainer.export.index.exact import Index
from trainer.export.signatures.filters import Filters, without_items
from trainer.export.signatures.inputs import Extras
from trainer.export.signatures.moments import Query
from trainer.export.signatures.retrieval import Retrieval
from trainer.model.query_tower import QueryState

DIMENSION, TOP, ALLOWED = 64, 100, 1000
_SERVING = {"filters": ["year", "genre", "tag"], "allow_list": True}
_CASES = ("no condition", "year", "genre", "tag", "allowed")


def main() -> None:
    """Prints the milliseconds of each case."""
    arguments = _parser().parse_args()
    table = Table("items", "index", *_CASES, title=f"milliseconds a request, the best {TOP}")
    for size in arguments.items:
        for kind in arguments.index:
            milliseconds = measure(size, kind, arguments.repeats)
            table.add_row(f"{size:,}", kind, *(f"{value:.2f}" for value in milliseconds))
    wide_console(100).print(table)


def measure(size: int, kind: str, repeats: int) -> list[float]:
    """The median milliseconds of the cases, in their order."""
    embeddings, queries = clustered(size, 64, DIMENSION)
    serving = ServingConfig(index=kind, **_SERVING)
    index, _ = build_index(np.concatenate([embeddings, np.zeros((1, DIMENSION), np.float32)]), queries, serving)
    ids = tf.constant([str(number) for number in range(size)])
    keys = tf.lookup.KeyValueTensorInitializer(ids, tf.range(size, dtype=tf.int64))
    filters = Filters(serving, made_attributes(size), tf.lookup.StaticHashTable(keys, size), size)
    cases = [dict(_nothing_asked(), **asked) for asked in _asked(size)]
    search, query = _served(Search(index, filters)), [tf.constant(row[np.newaxis]) for row in queries]
    seconds = [[_seconds(search.best, query[n % len(query)], case) for case in cases] for n in range(repeats + 2)]
    return list(np.median(seconds[2:], axis=0) * 1e3)


def made_attributes(size: int) -> Attributes:
    """A year in [1900, 2000) for each item, one of 20 genres and one of 1,000 tags."""
    rng = np.random.default_rng(0)
    years = Numbers(rng.integers(1900, 2000, size).astype(np.float32))
    return {"year": years, "genre": _words(rng, size, 20), "tag": _words(rng, size, 1000)}


def _words(rng: np.random.Generator, size: int, count: int) -> Words:
    values = np.array([f"{number:04}".encode() for number in range(count)], object)
    return Words(values, np.arange(size), rng.integers(0, count, size))


def _nothing_asked() -> Extras:
    words = [feature_names.any_of("genre"), feature_names.any_of("tag"), feature_names.ALLOW_ITEM_ID]
    numbers = [feature_names.at_least("year"), feature_names.at_most("year")]
    return dict.fromkeys(words, tf.constant([[""]])) | dict.fromkeys(numbers, tf.constant([float("nan")]))


def _asked(size: int) -> Iterator[Extras]:
    """What each case asks for."""
    allowed = np.random.default_rng(1).choice(size, min(ALLOWED, size), replace=False)
    yield {}
    yield {feature_names.at_least("year"): tf.constant([1950.0])}
    yield {feature_names.any_of("genre"): tf.constant([["0007"]])}
    yield {feature_names.any_of("tag"): tf.constant([["0007"]])}
    yield {feature_names.ALLOW_ITEM_ID: tf.constant([[str(number) for number in allowed]])}


class Search(tf.Module):
    """The best items that a request allows.

    Args:
        index: of the catalogue.
        filters: on its items.
    """

    def __init__(self, index: Index, filters: Filters) -> None:
        super().__init__()
        self.index = index
        self.filters = filters
        words, numbers = tf.TensorSpec([None, None], tf.string), tf.TensorSpec([None])
        extras = {name: words if value.dtype == tf.string else numbers for name, value in _nothing_asked().items()}
        self.best = tf.function(self._best, input_signature=[tf.TensorSpec([None, DIMENSION]), extras])

    def _best(self, query: tf.Tensor, extras: Extras) -> tf.Tensor:
        retrieval, nothing = Retrieval(self.index, None), tf.zeros([tf.shape(query)[0], 0], tf.int64)
        # Without neighbourhoods a search reads the query alone.
        state = cast(QueryState, SimpleNamespace(embedding=query))
        asked, k = Query(state, tf.zeros([tf.shape(query)[0]], tf.int64)), tf.constant(TOP)

        def among() -> tuple[tf.Tensor, tf.Tensor]:
            return retrieval.search_among(asked, k, without_items(self.filters.mask(extras), nothing))

        return tf.cond(self.filters.is_filtered(extras), among, lambda: retrieval.search(asked, k, nothing))[1]


def _served(search: Search) -> Search:
    """The search as a server loads it."""
    with tempfile.TemporaryDirectory(prefix="bench-filters-") as folder:
        tf.saved_model.save(search, folder)
        return tf.saved_model.load(folder)


def _seconds(search: Callable[[tf.Tensor, Extras], tf.Tensor], query: tf.Tensor, extras: Extras) -> float:
    start = time.perf_counter()
    search(query, extras).numpy()
    return time.perf_counter() - start


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--index", nargs="+", default=["exact", "ivf"], help="kinds of `serving.index`")
    parser.add_argument("--repeats", type=int, default=31)
    return parser


if __name__ == "__main__":
    main()
