"""Items whose labels rise and fall together."""

import numpy as np
import scipy.sparse as sp

from trainer.stacking.item_pairs import item_products, top_of_rows

_SHRINK = 50.0
"""A correlation seen by n users counts n / (n + 50) (Koren 2010, section 2.2)."""


def correlation_links(residuals: sp.csr_matrix, per_item: int) -> sp.csr_matrix:
    """The shrunk correlation of two items' labels over the users of both, where it is positive.

    Args:
        residuals: float32 [U, V], labels without their bias_terms; what is not stored was not labelled.
        per_item: so many are kept for each item, the greatest.

    Returns:
        float32 [V, V], where the item of the row is among the `per_item` nearest of that of the column.
    """
    residuals = residuals / max(np.abs(residuals.data).max(initial=0), 1e-30)  # or the squares of large ones overflow
    labelled, squares = residuals.copy(), residuals.power(2).tocsc()
    labelled.data[:] = 1
    values, labelled = residuals.tocsc(), labelled.tocsc()
    blocks = []
    for rows, both in item_products(values):
        common = (labelled[:, rows].T @ labelled).tocsr()
        own, other = (squares[:, rows].T @ labelled).tocsr(), (labelled[:, rows].T @ squares).tocsr()
        blocks.append(top_of_rows(_shrunk(both, common, own, other), per_item))
    return sp.vstack(blocks, format="csr").T.tocsr()


def _shrunk(both: sp.csr_matrix, common: sp.csr_matrix, own: sp.csr_matrix, other: sp.csr_matrix) -> sp.csr_matrix:
    for matrix in (common, own, other):
        matrix.sum_duplicates()  # sorted, pairs are found by halving
    pairs = both.tocoo()
    positive = pairs.data > 0
    if not positive.any():  # SciPy gives no array of no cells but a sparse matrix
        return sp.csr_matrix(both.shape, dtype=np.float32)
    row, column, product = pairs.row[positive], pairs.col[positive], pairs.data[positive]
    count, left, right = (np.asarray(matrix[row, column]).ravel() for matrix in (common, own, other))
    value = product / np.sqrt(np.maximum(left * right, 1e-12)) * count / (count + _SHRINK)
    return sp.csr_matrix((value.astype(np.float32), (row, column)), shape=both.shape)
