"""The Beam graph: files of PredictionLogs and of interactions in, sums by version out."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsSingleton, TaggedOutput

from config import Config, feature_names
from config.load import changed_config
from pipeline.ingest.columns import Plan
from pipeline.ingest.dividing import divided
from pipeline.ingest.events import ITEM, POSITIVE, TIME, USER, clean_events
from pipeline.ingest.findings import ERRORS, Findings
from pipeline.ingest.shuffle import bucket_count, from_bytes
from pipeline.ingest.steps import COUNTS, ROWS, Reading, read_table
from pipeline.online.answers import Answer, read_answers
from pipeline.online.measures import probability_tasks
from pipeline.online.sums import Event, Joining, Sums, User, add, sums_of_user
from pipeline.online.training import Training, measured_features

SKIPPED: Final = "skipped"
"""The first part of the keys of requests that were not used; the second says why."""
Times = tuple[int, int]
"""The first and the last, seconds since 1970."""
_NO_TIMES: Final[Times] = (2**62, 0)


def write_sums(
    config: Config, logs: Sequence[str], interactions: Sequence[str], trainings: Mapping[int, Training], path: str
) -> None:
    """Runs the graph on `pipeline.beam`.

    Args:
      config: The configuration, whose `data.interactions` says how the interactions are read.
      logs: Files of PredictionLogs.
      interactions: Files of the interactions.
      trainings: What the versions were trained on.
      path: The file to write, see `read_sums`.
    """
    # Only ids, times and what positives and labels are computed of have to be in these files.
    plan = Plan(changed_config(config, {"features": {}}))
    joining = Joining(3600 * config.online.window_hours, trainings)
    tasks, features = probability_tasks(config), tuple(measured_features(config))
    with beam.Pipeline(options=PipelineOptions(config.pipeline.beam.arguments)) as pipeline:
        answers = (
            pipeline
            | "Logs" >> beam.Create(list(logs))
            | "SpreadLogs" >> beam.Reshuffle()
            | "ReadLogs" >> beam.FlatMap(_read_log, tasks, features).with_outputs(SKIPPED, main="answers")
        )
        served = _times(answers.answers | "Times[answers]" >> beam.Map(lambda pair: _point(pair[1].time)), "answers")
        tables, errors = _read_interactions(pipeline, plan, interactions)
        ended = _times(tables | "Times[events]" >> beam.Map(_table_times), "events")
        events = tables | "Events" >> beam.FlatMap(_events, tasks, AsSingleton(served), joining.window)
        by_user = {"answers": answers.answers, "events": events} | "Join" >> beam.CoGroupByKey()
        sums = by_user | "SumsOfUsers" >> beam.FlatMap(_sums_of_user, AsSingleton(ended), joining)
        items = (
            answers.answers
            | "Items" >> beam.FlatMap(lambda pair: [(pair[1].version, item) for item in pair[1].items])
            | "Distinct" >> beam.Distinct()
            | "CountItems" >> beam.Map(lambda found: Counter({(found[0], "items"): 1}))
        )
        parts = [sums, items, answers[SKIPPED], errors]
        total = parts | "AllSums" >> beam.Flatten() | "Sum" >> beam.CombineGlobally(_add)
        _ = total | "Write" >> beam.Map(_write, path)


def read_sums(path: str) -> Sums:
    """Reads what `write_sums` wrote: JSON, a list of [key, number]."""
    with FileSystems.open(path) as file:
        return Counter({tuple(key): number for key, number in json.load(file)})


def _read_log(path: str, tasks: Sequence[str], features: Sequence[str]) -> Iterator[Any]:
    """Yields (user, answer) of a file. Tagged output: `skipped`, sums of the reasons."""
    skipped: Sums = Counter()
    for number, found in enumerate(read_answers(path, tasks, features)):
        if isinstance(found, str):
            skipped[SKIPPED, found] += 1
        else:
            yield (found.user, "" if found.user else f"{path} {number}"), found
    yield TaggedOutput(SKIPPED, skipped)


def _read_interactions(pipeline: Any, plan: Plan, paths: Sequence[str]) -> tuple[Any, Any]:
    """Returns the clean events as bytes of Arrow tables, and sums of the files that cannot be read."""
    table = plan.config.data.interactions
    reading = Reading(plan.event_sources, partial(clean_events, plan), USER)
    read = (
        pipeline
        | "Bundles" >> beam.Create([(n, tuple(bundle)) for n, bundle in enumerate(divided(paths, table))])
        | "SpreadBundles" >> beam.Reshuffle()
        | "ReadInteractions"
        >> beam.FlatMap(read_table, "interactions", table, reading, bucket_count(paths)).with_outputs(
            COUNTS, ROWS, main="tables"
        )
    )
    errors = read[COUNTS] | "Errors" >> beam.Map(_errors)
    return read.tables | "Bytes" >> beam.Values(), errors


def _errors(findings: Any) -> Any:
    counts = findings.counts if isinstance(findings, Findings) else findings
    return Counter({key: number for key, number in counts.items() if key[0] == ERRORS})


def _add(parts: Iterable[Any]) -> Any:
    """Adds sums. Beam would take a `Counter` for a mapping to integers, and encode it so."""
    return add(parts)


def _times(points: Any, name: str) -> Any:
    return points | f"AllTimes[{name}]" >> beam.CombineGlobally(_all_times)


def _point(time: int) -> Times:
    return time, time


def _all_times(times: Iterable[Times]) -> Times:
    found = list(times)
    return min((t[0] for t in found), default=_NO_TIMES[0]), max((t[1] for t in found), default=_NO_TIMES[1])


def _table_times(table: bytes) -> Times:
    times = from_bytes([table])[TIME].to_numpy()
    return int(times.min()), int(times.max())


def _events(table: bytes, tasks: Sequence[str], served: Times, window: float) -> Iterator[tuple[User, Event]]:
    """Yields (user, event) for the events that may follow an answer."""
    rows = from_bytes([table])
    times = rows[TIME].to_numpy()
    rows = rows.filter((times >= served[0]) & (times <= served[1] + window))
    labels = {t: (rows[feature_names.label(t)].to_pylist(), rows[feature_names.weight(t)].to_pylist()) for t in tasks}
    columns = (rows[name].to_pylist() for name in (USER, TIME, ITEM, POSITIVE))
    for n, (user, time, item, is_positive) in enumerate(zip(*columns, strict=True)):
        known = {task: float(label[n]) for task, (label, weight) in labels.items() if weight[n]}
        yield (user, ""), Event(time, item, is_positive, known)


def _sums_of_user(group: tuple[User, Mapping[str, Iterable[Any]]], ended: Times, joining: Joining) -> Iterator[Any]:
    user, found = group
    answers: list[Answer] = list(found["answers"])
    if answers:
        yield sums_of_user(user, answers, found["events"], ended[1], joining)


def _write(sums: Sums, path: str) -> None:
    with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        file.write(json.dumps([[list(key), number] for key, number in sorted(sums.items(), key=str)]).encode())
