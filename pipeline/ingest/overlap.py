"""How many ids of the log stand in the table of items or users: keys of two tables meet as texts, or do not."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingest.findings import Findings

OVERLAP = "overlap"


def add_overlap(findings: Findings, table: str, ids: pa.Array, events: np.ndarray, known: pa.Array) -> None:
    """Counts ids and events of the log, and those whose id is in a table, and keeps an id of each side without fellow.

    Args:
      findings: Get `of` and `met` (distinct ids), `of_events` and `met_events`, and the examples `log` and `table`.
      table: "items" or "users".
      ids: Distinct ids of the log, text [n].
      events: The number of events of each, int64 [n].
      known: The table's ids, text [m].
    """
    is_met = np.asarray(pc.is_in(ids, known).to_numpy(zero_copy_only=False), bool)
    numbers = {"of": len(ids), "met": is_met.sum(), "of_events": events.sum(), "met_events": events[is_met].sum()}
    for name, number in numbers.items():
        findings.counts[OVERLAP, table, name] += int(number)
    if not is_met.all():
        _exemplify(findings, (OVERLAP, table, "log"), ids.filter(pa.array(~is_met)))
    if not is_met.any():
        _exemplify(findings, (OVERLAP, table, "table"), known)


def _exemplify(findings: Findings, path: tuple[str, ...], ids: pa.Array) -> None:
    """The first of the shortest ids."""
    lengths = pc.utf8_length(ids)
    shortest = ids.filter(pc.equal(lengths, pc.min(lengths)))
    if len(shortest):
        findings.exemplify(path, pc.min(shortest).as_py())
