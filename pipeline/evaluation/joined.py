"""Records of aligned arrays, the first of them the user, as one."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Record = TypeVar("Record", bound=tuple)


def joined(kind: type[Record], parts: Sequence[Record]) -> Record:
    """All rows of the parts, which may be none.

    Args:
      kind: A named tuple of arrays [N]: users int64, then floats.
      parts: Any number of them.
    """
    none = (np.empty(0, np.int64), *(np.empty(0) for _ in kind._fields[1:]))  # type: ignore[attr-defined]
    return kind(*(np.concatenate(columns) for columns in zip(none, *parts, strict=True)))
