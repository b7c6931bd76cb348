"""The steps of the Beam graph: each unpacks a bucket, calls a pure function on whole columns and packs its result."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.pvalue import TaggedOutput

from config import feature_names
from config.data import Table
from pipeline.ingest.assembly import EVENTS, PART, Assembly, Rows
from pipeline.ingest.bundles import Bundle, in_files
from pipeline.ingest.cleaning import ID, Clean, clean_batch, distinct
from pipeline.ingest.columns import Column, Plan
from pipeline.ingest.events import ITEM, TIME
from pipeline.ingest.examples import encode_items
from pipeline.ingest.findings import ERRORS, Counts, Extent, Findings, merge
from pipeline.ingest.reading import BundleReader
from pipeline.ingest.report import as_json, as_report
from pipeline.ingest.shuffle import ORDINAL, from_bytes, partition, sort_events, to_bytes
from pipeline.ingest.splits import SplitTimes
from pipeline.ingest.tables import TableError

Group = tuple[int, Iterable[bytes]]
"""A bucket's number, and its rows in parts."""
JoinedGroup = tuple[int, Mapping[str, Iterable[bytes]]]
"""A bucket's number, and its rows in parts by table."""

COUNTS: Final = "counts"
ROWS: Final = "bundle_rows"
ITEMS: Final = "log_items"
NAMESPACE: Final = "pipeline.ingest"
"""Of Beam's counters."""


class Reading(NamedTuple):
    """How rows of a table become buckets.

    Attributes:
      columns: The columns to read.
      clean: Cleans a batch.
      key: The column of the clean rows whose hash is the bucket.
    """

    columns: Sequence[str]
    clean: Clean
    key: str


def tagged_counts(findings: Findings | Counts) -> TaggedOutput:
    """Returns findings under the tag `counts`, and adds them to Beam's counters, which its runners show.

    Counters are named `interactions.dropped.duplicate` and the like. To be called in a DoFn.
    """
    counts = findings if isinstance(findings, Counter) else findings.counts
    for path, number in counts.items():
        if path[0] != ERRORS:
            beam.metrics.Metrics.counter(NAMESPACE, ".".join(path)).inc(number)
    return TaggedOutput(COUNTS, findings)


def read_table(
    element: tuple[int, tuple[str, int, int | None]], name: str, table: Table, read: Reading, buckets: int
) -> Iterator[Any]:
    """Reads a bundle, (index, its parts), into buckets of clean rows, (bucket, bytes).

    Tagged outputs: `counts`, and `bundle_rows`, (index of the bundle, number of its rows). A file that cannot be read
    is an entry in the counts, so that the run ends with one clear error instead of a worker's retries and tracebacks.
    """
    index, bundle = element[0], Bundle(*element[1])
    rows, lines = 0, None
    try:
        reader = BundleReader(bundle, table, read.columns)
        for batch in reader:
            cleaned, findings = clean_batch(read.clean, bundle.path, batch, index, rows)
            rows += len(batch.rows)
            yield from partition(cleaned, read.key, buckets)
            yield tagged_counts(findings)
        lines = reader.lines
    except TableError as error:
        yield TaggedOutput(COUNTS, Counter({(ERRORS, str(error)): 1}))
    findings = Findings()
    findings.extents[name, index] = Extent(rows, lines)
    yield TaggedOutput(COUNTS, findings)
    yield TaggedOutput(ROWS, (index, rows))


def sort_bucket(
    group: Group, rows: Rows, drop_duplicates: bool, tie_seed: int | None, duplicate_columns: Sequence[str]
) -> Iterator[Any]:
    """Sorts a group of clean events into one bucket, see `sort_events`. Tagged output: `counts`."""
    bucket, parts = group
    table, counts = sort_events(from_bytes(parts), rows.offsets, drop_duplicates, tie_seed, duplicate_columns)
    yield tagged_counts(counts)
    yield bucket, to_bytes(table)


def assemble(
    group: JoinedGroup, rows: Rows, split_times: SplitTimes | None, plan: Plan, buckets: int
) -> Iterator[TaggedOutput]:
    """Makes the examples of a joined group, `events` and `users`, tagged by their split.

    Other tagged outputs: `counts`, and `log_items`, buckets of the distinct pairs of item and split.
    """
    events, users = list(group[1]["events"]), list(group[1]["users"])
    if not events:
        return
    assembly = Assembly(plan, from_bytes(events), from_bytes(users) if users else None, rows, split_times)
    for split, example in assembly.examples():
        yield TaggedOutput(split, example)
    for bucket in partition(assembly.items(), ITEM, buckets):
        yield TaggedOutput(ITEMS, bucket)
    yield tagged_counts(assembly.findings)


def count_items(group: Group, is_catalogue: bool) -> Iterator[Any]:
    """Counts the distinct items of each split in a group of pairs of item and split. Tagged output: `counts`.

    Where `is_catalogue` holds, the main output has a catalogue example for every item.
    """
    pairs = from_bytes(group[1]).group_by([ITEM, PART]).aggregate([])
    numbers = np.bincount(pairs[PART].to_numpy(), minlength=len(feature_names.WINDOW_SPLITS)).tolist()
    names = (("splits", split, "items") for split in feature_names.WINDOW_SPLITS)
    counts: Counts = Counter(dict(zip(names, numbers, strict=True)))
    if is_catalogue:
        items = pa.table({ID: np.unique(pairs[ITEM].to_numpy())})
        counts["splits", feature_names.ITEMS_SPLIT, "examples"] = len(items)
        yield from encode_items(items, ())
    yield tagged_counts(counts)


def encode_catalogue(group: JoinedGroup, columns: Sequence[Column], drop_unseen: bool) -> Iterator[Any]:
    """Encodes a joined group, `items` and `log`, the pairs of item and split, as catalogue examples.

    Where `drop_unseen` holds, items that are not in the log are left out. Tagged output: `counts`.
    """
    rows, log = list(group[1]["items"]), list(group[1]["log"])
    known = from_bytes(rows)[ID].combine_chunks() if rows else pa.array([], pa.string())
    ids, events = pa.array([], pa.string()), np.array([], np.int64)
    if log:
        pairs = from_bytes(log).group_by(ITEM).aggregate([(EVENTS, "sum")])
        ids, events = pairs[ITEM].combine_chunks(), pairs[f"{EVENTS}_sum"].to_numpy()
    overlap = Findings()
    overlap.add_overlap("items", ids, events, known)
    yield tagged_counts(overlap)
    if not rows:
        return
    items, counts = distinct(from_bytes(rows), "items")
    if drop_unseen:
        size = len(items)
        items = items.filter(pc.is_in(items[ID], ids))
        counts["items", "dropped", "unseen"] = size - len(items)
        counts["items", "kept"] -= size - len(items)
    counts["splits", feature_names.ITEMS_SPLIT, "examples"] = len(items)
    yield from encode_items(items, columns)
    yield tagged_counts(counts)


def time_keys(bucket: tuple[int, bytes]) -> np.ndarray:
    """Returns the times and ordinals of a bucket's events: int64 [2, n]."""
    table = from_bytes([bucket[1]])
    return np.stack([table[TIME].to_numpy(), table[ORDINAL].to_numpy()])


def write_report(findings: Findings, path: str, bundles: Mapping[str, Sequence[Bundle]]) -> None:
    """Writes the report as JSON. Bad rows are those of bundles before, and of files in it."""
    whole = merge([findings])  # Beam lets no function change its input
    for (table, _), samples in whole.samples.items():
        extents = {index: extent for (name, index), extent in findings.extents.items() if name == table}
        samples[:] = in_files(samples, bundles[table], extents)
    files = {name: [bundle.path for bundle in found if bundle.start == 0] for name, found in bundles.items()}
    with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        file.write(as_json(as_report(whole, files)).encode())
