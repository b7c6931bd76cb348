"""Item-to-item links from the train log, as sparse matrices: a dense [V, V] array of all pairs is never built."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import lapack

_BLOCK_PAIRS: Final = 1 << 24
"""About the number of item pairs that are computed at once."""
_CORRELATION_SHRINKAGE: Final = 50.0
"""A correlation over n users is shrunk by the factor n / (n + 50) (Koren 2010, section 2.2)."""


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
    unit = (interactions @ sp.diags(1 / norm)).astype(np.float32).tocsr()
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
    residuals = residuals.tocsr()
    labelled, squares = residuals.copy(), residuals.power(2)
    labelled.data[:] = 1
    labelled_by_item, squares_by_item = labelled.T.tocsr(), squares.T.tocsr()
    blocks = []
    for rows, products in _item_products(residuals):
        common = labelled_by_item[rows] @ labelled
        left, right = squares_by_item[rows] @ labelled, labelled_by_item[rows] @ squares
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
        transitions: n, float32 [V, V], as in `trainer.stacking.train_log.TrainLog`.
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


def _item_products(matrix: sp.csr_matrix) -> Iterator[tuple[slice, sp.csr_matrix]]:
    """Yields blocks of rows of M^T M without its diagonal, for a matrix [U, V]."""
    by_item = matrix.T.tocsr()
    for block in _row_blocks(by_item, np.diff(matrix.indptr)):
        products = (by_item[block] @ matrix).tocoo()
        others = products.row + block.start != products.col
        cells = products.row[others], products.col[others]
        yield block, sp.csr_matrix((products.data[others], cells), shape=products.shape)


def _row_blocks(by_item: sp.csr_matrix, per_user: NDArray[np.integer]) -> Iterator[slice]:
    """Divides the items into blocks of neighbours that have about `_BLOCK_PAIRS` pairs, at least one item each.

    A block costs time in proportion to V besides its pairs, so a sparse log should have few blocks: an item has at most
    as many pairs as its users have events, and at most V. For example, if 4 pairs are computed at once, items with 3,
    1, 2, 9 and 1 pairs form the blocks [0, 2), [2, 3), [3, 4) and [4, 5).

    Args:
        by_item: [V, U].
        per_user: int [U], the users' numbers of events.
    """
    size = by_item.shape[0]
    events = np.append(0, np.cumsum(per_user[by_item.indices], dtype=np.int64))
    pairs = np.minimum(np.diff(events[by_item.indptr]), size)
    ends = np.append(0, np.cumsum(pairs))
    start = 0
    while start < size:
        stop = max(start + 1, int(np.searchsorted(ends, ends[start] + _BLOCK_PAIRS, side="right")) - 1)
        yield slice(start, stop)
        start = stop
