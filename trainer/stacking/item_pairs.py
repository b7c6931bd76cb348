"""From events to each item's neighbours, in sparse matrices: no array of all pairs of the catalogue."""

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import lapack

_BLOCK_PAIRS = 1 << 24
"""About so many pairs of items are looked at once."""


def cosine_links(users: sp.csr_matrix, per_item: int) -> sp.csr_matrix:
    """The cosine of two items' users (Deshpande and Karypis 2004), where the item of the row is among the `per_item`
    nearest of that of the column.

    Args:
        users: float32 [U, V] of 0 and 1.
        per_item: the number of neighbours.

    Returns:
        float32 [V, V], by row: what an item of the history adds to the scores.
    """
    norm = np.sqrt(np.maximum(np.asarray(users.sum(axis=0)).ravel(), 1)).astype(np.float32)
    unit = (users @ sp.diags(1 / norm)).astype(np.float32).tocsc()
    blocks = [top_of_rows(products, per_item) for _, products in item_products(unit)]
    return sp.vstack(blocks, format="csr").T.tocsr()


def regression_links(users: sp.csr_matrix, per_item: int, items: int, l2: float) -> sp.csr_matrix:
    """The coefficients of the items in the regression of each on all others (Steck 2019), where the item of the row has
    one of the `per_item` greatest for that of the column.

    Args:
        users: float32 [U, V] of 0 and 1.
        per_item: the number of neighbours.
        items: so many take part, the most frequent.
        l2: the regularisation.

    Returns:
        float32 [V, V], by row: what an item of the history adds to the scores.
    """
    size = users.shape[1]
    count = np.asarray(users.sum(axis=0)).ravel()
    chosen = np.sort(np.argsort(-count, kind="stable")[:items])
    row, column, value = _greatest_of_columns(_regression(users.tocsc()[:, chosen], l2), per_item)
    return sp.csr_matrix((value, (chosen[row], chosen[column])), shape=(size, size))


def _regression(users: sp.csc_matrix, l2: float) -> NDArray[np.float32]:
    """float32 [M, M], by column: an item on all others."""
    gram = np.asfortranarray((users.T @ users).toarray())
    gram[np.diag_indices_from(gram)] += l2
    # Positive definite, so neither of these fails; only the upper halves are read and written.
    inverse, _ = lapack.spotri(lapack.spotrf(gram, overwrite_a=True)[0], overwrite_c=True)
    inverse = np.triu(inverse) + np.triu(inverse, 1).T
    coefficients = inverse / -np.diag(inverse)
    np.fill_diagonal(coefficients, 0)
    return coefficients


def _greatest_of_columns(
    matrix: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Rows, columns and values of each column's greatest entries by size; those of 0 are left out."""
    count = min(count, len(matrix))
    row = np.argpartition(-np.abs(matrix), count - 1, axis=0)[:count]
    column = np.broadcast_to(np.arange(matrix.shape[1]), row.shape)
    value = matrix[row, column]
    kept = value != 0
    return row[kept], column[kept], value[kept]


def transition_links(followed: sp.csr_matrix, users: sp.csr_matrix, per_item: int, damping: float) -> sp.csr_matrix:
    """The share of what followed an item, divided by the frequency of where it leads to, to the power `damping`.

    Args:
        followed: float32 [V, V], as in `TrainLog`.
        users: float32 [U, V] of 0 and 1.
        per_item: so many are kept for each item, the greatest.
        damping: in [0, 1].

    Returns:
        float32 [V, V], by row: what an item of the history adds to the scores.
    """
    leaving = np.maximum(np.asarray(followed.sum(axis=1)).ravel(), 1e-9)
    arriving = np.maximum(np.asarray(users.sum(axis=0)).ravel(), 1) ** damping
    return top_of_rows((sp.diags(1 / leaving) @ followed @ sp.diags(1 / arriving)).astype(np.float32).tocsr(), per_item)


def top_of_rows(matrix: sp.csr_matrix, count: int) -> sp.csr_matrix:
    """Keeps the `count` greatest entries of each row; of equal ones those of the smaller columns."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, row))
    kept = order[np.arange(len(order)) - matrix.indptr[row] < count]
    return sp.csr_matrix((matrix.data[kept], (row[kept], matrix.indices[kept])), shape=matrix.shape)


def item_products(matrix: sp.csc_matrix) -> Iterator[tuple[slice, sp.csr_matrix]]:
    """The products of a [U, V] matrix's columns with each other but not themselves, by blocks of rows."""
    size = matrix.shape[1]
    rows = max(1, _BLOCK_PAIRS // size)
    for start in range(0, size, rows):
        block = slice(start, start + rows)
        yield block, _without_diagonal((matrix[:, block].T @ matrix).tocsr(), start)


def _without_diagonal(rows: sp.csr_matrix, start: int) -> sp.csr_matrix:
    entries = rows.tocoo()
    others = entries.row + start != entries.col
    return sp.csr_matrix((entries.data[others], (entries.row[others], entries.col[others])), shape=rows.shape)
