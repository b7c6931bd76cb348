"""What the configuration's expressions say of the kept rows: how often they hold; where always or never, of what."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from config.expressions import Expression
from pipeline.ingest.findings import VALUES, Findings, shown
from pipeline.ingest.values import as_text


@dataclass(frozen=True)
class Judgement:
    """An expression that says of every row whether it holds: `positive` or a task's `where`.

    Attributes:
      key: Its position in the configuration, such as "tasks.like.where".
      expression: The expression.
      holds: Whether it does, bool [n].
    """

    key: str
    expression: Expression
    holds: np.ndarray

    def tell(self, findings: Findings, table: pa.Table, is_kept: np.ndarray) -> None:
        """Adds to the findings what holds among the kept rows of the table."""
        number = int(np.count_nonzero(self.holds & is_kept))
        is_constant = number in (0, int(np.count_nonzero(is_kept)))
        self._tell(findings, table, is_kept, is_kept if is_constant else None)

    def _tell(self, findings: Findings, table: pa.Table, rows: np.ndarray, shown_rows: np.ndarray | None) -> None:
        findings.expressions[self.key, "of"] += int(np.count_nonzero(rows))
        findings.expressions[self.key, "holds"] += int(np.count_nonzero(self.holds & rows))
        if shown_rows is not None and shown_rows.any():
            for column in self.expression.columns:
                findings.values[self.key, column] = _common_values(table[column], shown_rows)


@dataclass(frozen=True)
class LabelJudgement(Judgement):
    """A task's label, of the rows that have one.

    Attributes:
      is_labelled: Which rows have a label, bool [n].
      labels: The labels, float64 [n].
    """

    is_labelled: np.ndarray
    labels: np.ndarray

    def tell(self, findings: Findings, table: pa.Table, is_kept: np.ndarray) -> None:
        """As `Judgement.tell`; the least and the greatest label, too."""
        rows = is_kept & self.is_labelled
        labels = self.labels[rows]
        if len(labels):
            findings.widen(("label", self.key), float(labels.min()), float(labels.max()))
        if not len(labels):
            self._tell(findings, table, rows, is_kept)
        else:
            self._tell(findings, table, rows, rows if labels.min() == labels.max() else None)


def _common_values(column: pa.ChunkedArray, rows: np.ndarray) -> Counter[str]:
    """The most frequent values and their numbers; "" is missing."""
    counted = pc.value_counts(as_text(column).filter(pa.array(rows)))
    values, numbers = counted.field("values").to_pylist(), counted.field("counts").to_numpy()
    order = np.argsort(-numbers, kind="stable")[: 2 * VALUES].tolist()
    return Counter({shown(values[n]): int(numbers[n]) for n in order})
