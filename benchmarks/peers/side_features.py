"""The examples' user and item features as sparse matrices of ones."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from benchmarks.peers.examples import Log
from config import feature_names

MIN_COUNT: Final = 5
"""Values of fewer rows say little; unique ones (titles) are but another id."""
BINS: Final = 10
"""Numbers are cut at so many quantiles."""


def user_features(log: Log) -> sp.csr_matrix:
    """One row per user, one column per value of a user feature: float32 [U, F]. Users without features: zeros."""
    return _features(log.user_rows, feature_names.USER_ID, feature_names.user_feature(""), log.users)


def item_features(log: Log) -> sp.csr_matrix:
    """One row per item, one column per value of a catalogue feature: float32 [V, F]. Unknown items: zeros."""
    return _features(log.item_rows, feature_names.CATALOGUE_ID, feature_names.item_feature(""), log.items)


def _features(table: pa.Table, key: str, prefix: str, ids: pa.Array) -> sp.csr_matrix:
    owner = pc.index_in(pc.list_flatten(table[key].combine_chunks()), value_set=ids).to_numpy()
    owners, first = np.unique(owner, return_index=True)  # a user's features are the same in all windows
    columns = [
        name for name in table.column_names if name.startswith(prefix) and name not in (key, feature_names.ITEM_ID)
    ]
    blocks = [_one_hot(table[name].combine_chunks().take(first), owners, len(ids)) for name in columns]
    return sp.hstack([sp.csr_matrix((len(ids), 0), dtype=np.float32), *blocks], format="csr")


def _one_hot(lists: pa.Array, rows: np.ndarray, height: int) -> sp.csr_matrix:
    row = np.repeat(rows, pc.list_value_length(lists).fill_null(0).to_numpy())
    values = pc.list_flatten(lists)
    column = _binned(values.to_numpy()) if pa.types.is_floating(values.type) else _codes(values)
    count = np.bincount(column) if len(column) else np.zeros(0, np.int64)
    matrix = sp.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(height, len(count)))
    return matrix[:, np.flatnonzero(count >= MIN_COUNT)]


def _codes(values: pa.Array) -> np.ndarray:
    return values.dictionary_encode().indices.to_numpy()


def _binned(values: np.ndarray) -> np.ndarray:
    return np.searchsorted(np.unique(np.quantile(values, np.arange(1, BINS) / BINS)), values, "right")
