"""Item-to-item links from the train log, as sparse matrices: a dense [V, V] array of all pairs is never built."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import lapack

from config import feature_names
from trainer.data.dataset import WindowData
from trainer.data.windows import MASK

_READ_BATCH: Final = 256
_BLOCK_PAIRS: Final = 1 << 24
"""About the number of item pairs that are computed at once."""
_CORRELATION_SHRINKAGE: Final = 50.0
"""A correlation over n users is shrunk by the factor n / (n + 50) (Koren 2010, section 2.2)."""


class TrainLog(NamedTuple):
    """The positive train events of known items.

    Attributes:
        interactions: float32 [U, V], 1 where a user interacted with an item.
        transitions: float32 [V, V], the weighted number of times that the column's item followed the row's.
    """

    interactions: sp.csr_matrix
    transitions: sp.csr_matrix


def read_log(data: WindowData, size: int, user_count: int, window: int, decay: float) -> TrainLog:
    """Reads all train windows once.

    Every train event is a target of exactly one window, with its context before it, so no transition counts twice. A
    user's events 5, 2, 7 give the transitions 5 -> 2 and 2 -> 7 with the weight 1, and 5 -> 7 with the weight `decay`.

    Args:
        data: The train split.
        size: V.
        user_count: The number of known users. Each window of an unknown user counts as a user of its own.
        window: The greatest distance of a transition, in events.
        decay: A transition over n events has the weight decay ** (n - 1).
    """
    users, items = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    transitions, windows = sp.csr_matrix((size, size), dtype=np.float32), 0
    for batch in data.evaluation_batches(_READ_BATCH):
        values = {name: column.numpy() for name, column in batch.items()}
        item, user_id = values[feature_names.ITEM_ID], values[feature_names.USER_ID]
        row, position = np.nonzero(values[MASK] & values[feature_names.IS_POSITIVE] & (item < size))
        is_target, item = values[feature_names.IS_TARGET][row, position], item[row, position]
        user = np.where(user_id[row] >= user_count, user_count + windows + row, user_id[row])
        windows += int(row.max(initial=-1)) + 1
        users.append(user[is_target])
        items.append(item[is_target])
        transitions += _transitions(row, item, is_target, size, window, decay)
    known, user = np.unique(np.concatenate(users), return_inverse=True)
    pairs = user, np.concatenate(items)
    interactions = sp.csr_matrix((np.ones(len(user), np.float32), pairs), shape=(len(known), size))
    interactions.data[:] = 1  # of repeated pairs, which are summed, too
    return TrainLog(interactions, transitions)


def _transitions(
    row: NDArray[np.int64], item: NDArray[np.int64], is_target: NDArray[np.bool_], size: int, window: int, decay: float
) -> sp.csr_matrix:
    """Counts the transitions to targets of events [E] that are sorted by row and time: float32 [V, V]."""
    sources, targets, weights = [], [], []
    for distance in range(1, min(window, len(row) - 1) + 1):
        counts = (row[distance:] == row[:-distance]) & is_target[distance:]
        sources.append(item[:-distance][counts])
        targets.append(item[distance:][counts])
        weights.append(np.full(len(sources[-1]), decay ** (distance - 1), np.float32))
    if not sources:
        return sp.csr_matrix((size, size), dtype=np.float32)
    pairs = np.concatenate(sources), np.concatenate(targets)
    return sp.csr_matrix((np.concatenate(weights), pairs), shape=(size, size))


def cosine_links(interactions: sp.csr_matrix, per_item: int) -> sp.csr_matrix:
    """Computes the cosine of two items' users (Deshpande and Karypis, "Item-based top-N recommendation algorithms",
    2004).

    Args:
        interactions: float32 [U, V] of 0 and 1.
        per_item: The number of neighbours of an item.

    Returns:
        float32 [V, V], with the row's item among the `per_item` nearest neighbours of the column's: what an item of the
        history adds to the scores, by row.
    """
    norm = np.sqrt(np.maximum(np.asarray(interactions.sum(axis=0)).ravel(), 1)).astype(np.float32)
    unit = (interactions @ sp.diags(1 / norm)).astype(np.float32).tocsc()
    blocks = [top_of_rows(products, per_item) for _, products in _item_products(unit)]
    return sp.vstack(blocks, format="csr").T.tocsr()


def correlation_links(residuals: sp.csr_matrix, per_item: int) -> sp.csr_matrix:
    """Computes the shrunk Pearson correlation of two items' labels (Koren 2010, section 2.2), where it is positive.

    n / (n + 50) * sum_u r_ui r_uj / sqrt(sum_u r_ui^2 sum_u r_uj^2) over the n users that labelled both items.

    Args:
        residuals: float32 [U, V], labels less their bias terms; cells that are not stored have no label.
        per_item: The number of neighbours of an item.

    Returns:
        float32 [V, V], as of `cosine_links`.
    """
    residuals = residuals / max(np.abs(residuals.data).max(initial=0), 1e-30)  # or the squares of large ones overflow
    labelled, squares = residuals.copy(), residuals.power(2).tocsc()
    labelled.data[:] = 1
    values, labelled = residuals.tocsc(), labelled.tocsc()
    blocks = []
    for rows, products in _item_products(values):
        common = (labelled[:, rows].T @ labelled).tocsr()
        left, right = (squares[:, rows].T @ labelled).tocsr(), (labelled[:, rows].T @ squares).tocsr()
        blocks.append(top_of_rows(_shrunk_correlations(products, common, left, right), per_item))
    return sp.vstack(blocks, format="csr").T.tocsr()


def _shrunk_correlations(
    products: sp.csr_matrix, common: sp.csr_matrix, left: sp.csr_matrix, right: sp.csr_matrix
) -> sp.csr_matrix:
    """Computes the positive correlations of item pairs from sums over their common users, each [rows, V].

    Args:
        products: The sum of r_ui r_uj.
        common: The number of users.
        left: The sum of r_ui^2.
        right: The sum of r_uj^2.
    """
    for matrix in (common, left, right):
        matrix.sum_duplicates()  # sorted rows are indexed by binary search
    pairs = products.tocoo()
    positive = pairs.data > 0
    if not positive.any():  # SciPy returns a sparse matrix, not an array, where no cell is indexed
        return sp.csr_matrix(products.shape, dtype=np.float32)
    row, column, product = pairs.row[positive], pairs.col[positive], pairs.data[positive]
    count, of_row, of_column = (np.asarray(matrix[row, column]).ravel() for matrix in (common, left, right))
    value = product / np.sqrt(np.maximum(of_row * of_column, 1e-12)) * count / (count + _CORRELATION_SHRINKAGE)
    return sp.csr_matrix((value.astype(np.float32), (row, column)), shape=products.shape)


def regression_links(interactions: sp.csr_matrix, per_item: int, items: int, l2: float) -> sp.csr_matrix:
    """Regresses each item on all others, as EASE does (Steck, "Embarrassingly shallow autoencoders for sparse data",
    2019).

    With P = (X^T X + l2 I)^-1 the coefficient of item i for item j is -P_ij / P_jj.

    Args:
        interactions: X, float32 [U, V] of 0 and 1.
        per_item: The number of coefficients that are kept for each item, the greatest by absolute value.
        items: The number of items that take part, the most frequent ones.
        l2: The ridge penalty.

    Returns:
        float32 [V, V], the coefficients of the rows' items for the columns' items.
    """
    size = interactions.shape[1]
    count = np.asarray(interactions.sum(axis=0)).ravel()
    chosen = np.sort(np.argsort(-count, kind="stable")[:items])
    users = interactions.tocsc()[:, chosen]
    gram = np.asfortranarray((users.T @ users).toarray())
    gram[np.diag_indices_from(gram)] += l2
    # Positive definite, so neither of these fails; only the upper triangles are read and written.
    inverse, _ = lapack.spotri(lapack.spotrf(gram, overwrite_a=True)[0], overwrite_c=True)
    inverse = np.triu(inverse) + np.triu(inverse, 1).T
    coefficients = inverse / -np.diag(inverse)
    np.fill_diagonal(coefficients, 0)
    kept = min(per_item, len(chosen))
    row = np.argpartition(-np.abs(coefficients), kept - 1, axis=0)[:kept]
    column = np.broadcast_to(np.arange(len(chosen)), row.shape)
    value = coefficients[row, column]
    row, column, value = row[value != 0], column[value != 0], value[value != 0]
    return sp.csr_matrix((value, (chosen[row], chosen[column])), shape=(size, size))


def transition_links(
    transitions: sp.csr_matrix, interactions: sp.csr_matrix, per_item: int, damping: float
) -> sp.csr_matrix:
    """Computes the share of each item among those that followed another, damped by popularity.

    n_ij / sum_k n_ik / f_j^damping, with the number of users f_j of item j.

    Args:
        transitions: n, float32 [V, V], as in `TrainLog`.
        interactions: float32 [U, V] of 0 and 1.
        per_item: The number of links that are kept from each item, the greatest.
        damping: In [0, 1].

    Returns:
        float32 [V, V]: what an item of the history adds to the scores, by row.
    """
    leaving = np.maximum(np.asarray(transitions.sum(axis=1)).ravel(), 1e-9)
    arriving = np.maximum(np.asarray(interactions.sum(axis=0)).ravel(), 1) ** damping
    shares = (sp.diags(1 / leaving) @ transitions @ sp.diags(1 / arriving)).astype(np.float32)
    return top_of_rows(shares.tocsr(), per_item)


def top_of_rows(matrix: sp.csr_matrix, count: int) -> sp.csr_matrix:
    """Keeps the `count` greatest entries of each row; of equal ones those of the smaller columns.

    With a count of 2, [[3, 1, 2], [0, 5, 0]] becomes [[3, 0, 2], [0, 5, 0]].
    """
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, row))
    kept = order[np.arange(len(order)) - matrix.indptr[row] < count]
    return sp.csr_matrix((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape)


def _item_products(matrix: sp.csc_matrix) -> Iterator[tuple[slice, sp.csr_matrix]]:
    """Yields blocks of rows of M^T M without its diagonal, for a matrix [U, V]."""
    size = matrix.shape[1]
    rows = max(1, _BLOCK_PAIRS // size)
    for start in range(0, size, rows):
        block = slice(start, start + rows)
        products = (matrix[:, block].T @ matrix).tocoo()
        others = products.row + start != products.col
        cells = products.row[others], products.col[others]
        yield block, sp.csr_matrix((products.data[others], cells), shape=products.shape)
