"""Batches: consecutive rows of a file as its reader returns them, with the lines that are not rows."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

MALFORMED_SAMPLES: Final = 5
"""The number of malformed lines of a file that are kept to be shown."""


class Malformed(NamedTuple):
    """A line of a file that is not a row.

    Attributes:
      line: Its number, counted from 1; None where it is not known.
      text: Its text.
      problem: Why it is not a row, such as "has 4 values, the header 3".
    """

    line: int | None
    text: str
    problem: str


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of one bundle.

    Attributes:
      rows: The columns that were asked for, in the file's types; from CSV all text. Null where a value is one of the
        table's `missing` words.
      malformed: The number of malformed lines among or before the rows: a wrong number of values, broken JSON.
      lines: The line of each row in its bundle, counted from 1, int64 [n]; None where a format has no lines, or rows
        and lines differ in number because values span lines or lines are blank.
      samples: Those of the first `MALFORMED_SAMPLES` malformed lines of the bundle that are among the rows.
      written: The rows as the file has them, before `missing` words became null; None: as `rows`.
    """

    rows: pa.Table
    malformed: int
    lines: np.ndarray | None = None
    samples: tuple[Malformed, ...] = ()
    written: pa.Table | None = None
