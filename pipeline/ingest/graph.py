"""The Beam graph: files of tables in, serialized tf.Examples by split and a report out."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import AsSingleton

from config import feature_names
from config.data import EntityTable
from pipeline.ingest.assembly import Rows
from pipeline.ingest.cleaning import ID, clean_entities
from pipeline.ingest.columns import Column, Plan
from pipeline.ingest.dividing import divided
from pipeline.ingest.events import USER, clean_events
from pipeline.ingest.findings import merge
from pipeline.ingest.k_core import KeepCore
from pipeline.ingest.shuffle import bucket_count
from pipeline.ingest.split_times import FindSplitTimes
from pipeline.ingest.steps import (
    COUNTS,
    ITEMS,
    ROWS,
    Reading,
    assemble,
    count_items,
    encode_catalogue,
    read_table,
    sort_bucket,
    time_keys,
    write_report,
)

Files = Mapping[str, Sequence[str]]
"""The files of each configured table: `interactions`, `items`, `users`."""


class Ingest(beam.PTransform):
    """Makes serialized tf.Examples of the splits `train`, `eval`, `test` and `items` from tables.

    Args:
      plan: What to read and write.
      files: The files of each table.
      report: The path of the report to write.
    """

    def __init__(self, plan: Plan, files: Files, report: str) -> None:
        super().__init__()
        self._plan, self._report = plan, report
        self._bundles = {name: divided(paths, getattr(plan.config.data, name)) for name, paths in files.items()}
        self._buckets = bucket_count([path for paths in files.values() for path in paths])
        self._counts: list[Any] = []

    def expand(self, pipeline: Any) -> Any:
        """Builds the graph; returns a PCollection of examples for each split."""
        events, rows = self._sorted_events(pipeline)
        if core := self._plan.config.cleaning.core:
            events, counts = events | "Core" >> KeepCore(core, self._plan.config.data.max_side_table_rows)
            self._counts.append(counts)
        windows = (
            {"events": events, "users": self._users(pipeline)}
            | "JoinUsers" >> beam.CoGroupByKey()
            | "Assemble"
            >> beam.FlatMap(
                assemble, AsSingleton(rows), self._split_times(events), self._plan, self._buckets
            ).with_outputs(COUNTS, ITEMS, *feature_names.WINDOW_SPLITS)
        )
        self._counts.append(windows[COUNTS])
        splits = {split: windows[split] for split in feature_names.WINDOW_SPLITS}
        splits[feature_names.ITEMS_SPLIT] = self._items(pipeline, windows[ITEMS])
        counts = self._counts | "AllCounts" >> beam.Flatten() | "Sum" >> beam.CombineGlobally(merge)
        _ = counts | "WriteReport" >> beam.Map(write_report, self._report, self._bundles)
        return splits

    def _sorted_events(self, pipeline: Any) -> tuple[Any, Any]:
        """Returns buckets of sorted events, and the `Rows`."""
        bundles, config = self._bundles["interactions"], self._plan.config
        reading = Reading(self._plan.event_sources, partial(clean_events, self._plan), USER)
        read = self._read(pipeline, "interactions", reading)
        rows = (
            read[ROWS]
            | "RowsByBundle" >> beam.combiners.ToDict()
            | "Rows" >> beam.Map(partial(Rows.of, self._plan), bundles=len(bundles))
        )
        tie_seed = config.split.seed if config.split.ties == "random" else None
        sort = (config.cleaning.duplicates == "drop", tie_seed, self._plan.duplicate_columns)
        events = (
            read.rows
            | "GroupByUser" >> beam.GroupByKey()
            | "Sort" >> beam.FlatMap(sort_bucket, AsSingleton(rows), *sort).with_outputs(COUNTS, main="events")
        )
        self._counts.append(events[COUNTS])
        return events.events, rows

    def _split_times(self, events: Any) -> Any:
        split = self._plan.config.split
        if split.method != "global_time":
            return None
        return AsSingleton(events | "Keys" >> beam.Map(time_keys) | "FindSplitTimes" >> FindSplitTimes(split))

    def _users(self, pipeline: Any) -> Any:
        table = self._plan.config.data.users
        if table is None:
            return pipeline | "NoUsers" >> beam.Create([])
        return self._read_entities(pipeline, "users", table, self._plan.user)

    def _items(self, pipeline: Any, pairs: Any) -> Any:
        """Returns the catalogue: the items table, or without one the items of the log."""
        table = self._plan.config.data.items
        counted = (
            pairs
            | "GroupByItem" >> beam.GroupByKey()
            | "CountItems" >> beam.FlatMap(count_items, table is None).with_outputs(COUNTS, main="items")
        )
        self._counts.append(counted[COUNTS])
        if table is None:
            return counted["items"]
        drop_unseen = self._plan.config.cleaning.unseen_items == "drop"
        items = (
            {"items": self._read_entities(pipeline, "items", table, self._plan.item), "log": pairs}
            | "GroupById" >> beam.CoGroupByKey()
            | "EncodeItems"
            >> beam.FlatMap(encode_catalogue, self._plan.item, drop_unseen).with_outputs(COUNTS, main="items")
        )
        self._counts.append(items[COUNTS])
        return items["items"]

    def _read_entities(self, pipeline: Any, name: str, table: EntityTable, columns: tuple[Column, ...]) -> Any:
        clean = partial(clean_entities, columns, table.id, name)
        return self._read(pipeline, name, Reading(self._plan.entity_sources(table, columns), clean, ID)).rows

    def _read(self, pipeline: Any, name: str, reading: Reading) -> Any:
        table = getattr(self._plan.config.data, name)
        read = (
            pipeline
            | f"Bundles[{name}]" >> beam.Create([(n, tuple(bundle)) for n, bundle in enumerate(self._bundles[name])])
            | f"Spread[{name}]" >> beam.Reshuffle()
            | f"Read[{name}]"
            >> beam.FlatMap(read_table, name, table, reading, self._buckets).with_outputs(COUNTS, ROWS, main="rows")
        )
        self._counts.append(read[COUNTS])
        return read
