"""CPU seconds of ingest and Transform beside TFX's CsvExampleGen, by the rows of one CSV file.

    python -m benchmarks.beam
    python -m benchmarks.beam --rows 100000 1000000 10000000 --forms windows

`windows` is this project: rows are checked, cleaned, sorted by user, split and cut into windows, and Transform learns
the vocabularies of users, items and a context feature, and recent popularity. `rows` are TFX's own components:
CsvExampleGen makes an example of each row and splits by hash, and Transform learns the same three vocabularies. Each
figure is of a process of its own, which imports everything before; the peak is the most memory that it ever held, the
imports with it. The log is made, not recorded.

"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

import pipeline  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

from tfx import v1 as tfx  # isort: skip

from benchmarks.apart import measured_apart, megabytes
from benchmarks.console import plain_table, wide_console
from benchmarks.scale import make_log
from config import Config, parse_config
from pipeline.ingest.component import InteractionExampleGen
from pipeline.metadata import sqlite_connection
from pipeline.runners.node import compile_nodes
from transform.component import make_transform

ROWS: Final = (100_000, 1_000_000)
_EVENTS_OF_A_USER, _EVENTS_OF_AN_ITEM = 100, 400
_LEAST_USERS, _LEAST_ITEMS = 1000, 500
_GENERATORS: Final = ("InteractionExampleGen", "CsvExampleGen")


def main() -> None:
    """Prints CPU seconds and rows a second by form and rows."""
    arguments = _parser().parse_args()
    if arguments.form:
        print(json.dumps(measure(arguments.form, arguments.rows[0])))
        return
    table = plain_table(
        ["examples"], ["rows", "ingest, CPU s", "rows/s", "Transform, CPU s", "both", "of `rows`", "peak, MB"]
    )
    for rows in arguments.rows:
        found = {form: measured_apart("benchmarks.beam", form=form, rows=rows) for form in arguments.forms}
        for form, cost in found.items():
            both = cost["ingest"] + cost["transform"]
            stock = found.get("rows")
            ratio = f"{(stock['ingest'] + stock['transform']) / both:.1f}x" if stock else ""
            speed = f"{cost['rows'] / cost['ingest']:,.0f}"
            cells = (f"{cost['rows']:,.0f}", f"{cost['ingest']:.1f}", speed, f"{cost['transform']:.1f}", f"{both:.1f}")
            table.add_row(form, *cells, ratio, f"{cost['peak']:,.0f}")
    wide_console(120).print(table)


def measure(form: str, rows: int) -> dict[str, float]:
    """Runs one form in this process.

    Args:
      form: A key of `FORMS`.
      rows: Of the log, at most.

    Returns:
      `rows`; `ingest` and `transform`, in CPU seconds; `peak`, in MiB.
    """
    with tempfile.TemporaryDirectory(prefix="bench-beam-") as folder:
        size = write_log(Path(folder, "tables"), rows)
        config = configuration(Path(folder))
        dag = tfx.dsl.Pipeline(
            "bench",
            str(Path(folder, "root")),
            components=FORMS[form](config),
            beam_pipeline_args=[*config.pipeline.beam.arguments],
        )
        seconds = {}
        for node in compile_nodes(dag, sqlite_connection(Path(folder, "metadata.sqlite")), "bench"):
            start = _cpu_seconds()
            node.launch()
            seconds[node.name] = _cpu_seconds() - start
    ingest = next(seconds[name] for name in _GENERATORS if name in seconds)
    return {"rows": size, "ingest": ingest, "transform": seconds["Transform"], "peak": megabytes()[0]}


def write_log(folder: Path, rows: int) -> int:
    """Writes `log.csv` in the order of its times, and returns the number of its rows."""
    log = make_log(rows, max(rows // _EVENTS_OF_A_USER, _LEAST_USERS), max(rows // _EVENTS_OF_AN_ITEM, _LEAST_ITEMS))
    rng = np.random.default_rng(0)
    log["rating"] = rng.integers(1, 6, len(log))
    log["device"] = rng.choice(["phone", "desktop", "tv"], len(log))
    for name in ("user", "item"):
        log[name] = name[0] + log[name].astype(str)
    folder.mkdir()
    log.sort_values("time").to_csv(folder / "log.csv", index=False)
    return len(log)


def configuration(folder: Path) -> Config:
    """Returns the configuration of the log in `<folder>/tables`."""
    columns = {"path": "log.csv", "user": "user", "item": "item", "time": "time"}
    values = {
        "name": "bench",
        "data": {"folder": str(folder / "tables"), "interactions": columns},
        "features": {
            "context": [{"name": "device", "kind": "categorical"}],
            "outcome": [{"name": "rating", "kind": "numeric"}],
        },
        "tasks": {"retrieval": {"kind": "retrieval"}},
    }
    return parse_config(json.dumps(values), "the benchmark of Beam")


def _windows(config: Config) -> list[Any]:
    ingest = InteractionExampleGen(config)
    examples = ingest.outputs["examples"]
    statistics, schema = _schema(examples)
    return [ingest, statistics, schema, make_transform(config, examples, schema.outputs["schema"])]


def _rows(config: Config) -> list[Any]:
    ingest = tfx.components.CsvExampleGen(config.data.folder)
    examples = ingest.outputs["examples"]
    statistics, schema = _schema(examples)
    transform = tfx.components.Transform(
        examples=examples,
        schema=schema.outputs["schema"],
        preprocessing_fn="benchmarks.rows_transform.preprocessing_fn",
        disable_analyzer_cache=True,
        disable_statistics=True,
    )
    return [ingest, statistics, schema, transform]


def _schema(examples: Any) -> tuple[Any, Any]:
    statistics = tfx.components.StatisticsGen(examples)
    return statistics, tfx.components.SchemaGen(statistics.outputs["statistics"], infer_feature_shape=False)


FORMS: Final[dict[str, Callable[[Config], list[Any]]]] = {"windows": _windows, "rows": _rows}


def _cpu_seconds() -> float:
    times: Sequence[float] = os.times()
    return sum(times[:4])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument("--form", choices=FORMS, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
