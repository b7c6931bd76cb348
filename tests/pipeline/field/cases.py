"""Small tables with the faults of real ones, given to `check` and to ingest's reader and cleaner."""

import contextlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from config import Config, load_config
from pipeline.cli.main import main
from pipeline.ingest.cleaning import Clean, clean_batch, clean_entities
from pipeline.ingest.columns import Plan
from pipeline.ingest.events import clean_events
from pipeline.ingest.reading import read_batches
from pipeline.ingest.shuffle import sort_events
from pipeline.ingest.tables import table_files

START = 1_600_000_000
HOUR = 3600
Rows = list[dict[str, Any]]
Content = str | bytes | pa.Table | Sequence[Any]


class Checked(NamedTuple):
    """The exit code of `check` and the text it printed."""

    code: int
    text: str


@dataclass(frozen=True)
class Case:
    """Tables and their configuration, and what is expected to be printed and read.

    Attributes:
      files: As `write_case` takes them.
      config: Its other arguments.
      printed: Parts of what `check` prints.
      code: Its exit code.
      warns: A part of a line that warns; empty where there is none, None where that does not matter.
      reads: The columns of the clean rows that are compared.
      rows: Their values in the first rows, as many as are here.
      table: Of which table.
    """

    files: Mapping[str, "Content"]
    config: Mapping[str, Any] = field(default_factory=dict)
    printed: Sequence[str] = ()
    code: int = 0
    warns: str | None = ""
    reads: str = ""
    rows: Sequence[Any] = ()
    table: str = "interactions"

    def assert_holds(self, folder: Path) -> None:
        """Writes the files and compares."""
        path = write_case(folder, self.files, **self.config)
        found = check(path)
        assert found.code == self.code, found.text
        for text in self.printed:
            assert text in found.text, found.text
        warnings = [line for line in found.text.splitlines() if line.startswith("warning: ")]
        if self.warns is not None and self.code == 0:
            assert any(self.warns in line for line in warnings) if self.warns else not warnings, found.text
        if self.reads:
            assert values(path, *self.reads.split(","), table=self.table)[: len(self.rows)] == list(self.rows)


def field_case(name: str) -> pytest.MarkDecorator:
    """Runs a test under the name of a case, which it gets as `name`, as a pipeline may be called."""
    return pytest.mark.parametrize("name", [pytest.param(f"case-{name}", id=name)])


def good(name: str, files: Mapping[str, "Content"], reads: str = "", rows: Sequence[Any] = (), **more: Any) -> Any:
    """A case that is read, as a parameter of a test."""
    return _case(name, files, more, reads=reads, rows=rows)


def warned(name: str, files: Mapping[str, "Content"], warns: str, *printed: str, **more: Any) -> Any:
    """A case that is read with a warning."""
    return _case(name, files, more, warns=warns, printed=printed)


def refused(name: str, files: Mapping[str, "Content"], *printed: str, **more: Any) -> Any:
    """A case that exits with 2."""
    return _case(name, files, more, printed=printed, code=2)


def _case(name: str, files: Mapping[str, "Content"], more: dict[str, Any], **own: Any) -> Any:
    own |= {key: more.pop(key) for key in ("printed", "reads", "rows", "table", "warns") if key in more}
    return pytest.param(Case(files, more, **own), id=name)


def log_rows(size: int = 40, users: int = 8, items: int = 5) -> list[tuple[int, int, int]]:
    """User, item and time of a log: the users take turns, and so do the items; an event an hour."""
    return [(1 + n % users, 1 + (n + n // users) % items, START + HOUR * n) for n in range(size)]


def csv_text(header: str, rows: Iterable[Sequence[Any]], separator: str = ",") -> str:
    """Rows below their header, which may be empty: then there is none."""
    lines = [separator.join(map(str, row)) for row in rows]
    return "".join(f"{line}\n" for line in ([header] if header else []) + lines)


def json_lines(names: str, rows: Iterable[Sequence[Any]]) -> str:
    """The same rows as an object a line; the names stand in one text, with commas between them."""
    return "".join(json.dumps(dict(zip(names.split(","), row, strict=True))) + "\n" for row in rows)


ROWS = log_rows()
"""40 events of 8 users and 5 items."""
AS_READ = "user,item,time"
READ_ROWS = [(str(user), str(item), time) for user, item, time in ROWS]
"""The same as they are read."""
LOG = csv_text("u,i,t", ROWS)
ITEMS = csv_text("i,cat", [(item, f"c{item % 3}") for item in range(1, 6)])
CATEGORY = {"item": [{"name": "cat", "kind": "categorical"}]}


def write_case(
    folder: Path,
    files: Mapping[str, Content],
    interactions: Mapping[str, Any] | None = None,
    items: Mapping[str, Any] | None = None,
    users: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Path:
    """Writes tables and the configuration of them, whose path it returns.

    Args:
      folder: Where to.
      files: By path: text, bytes, an Arrow table (Parquet), or rows of JSON lines.
      interactions: Keys beside those of a `log.csv` with the columns `u`, `i` and `t`.
      items: Keys beside those of an `items.csv` with the id `i`; None: there is no such table.
      users: The same of a `users.csv` with the id `u`.
      **sections: Of the configuration.
    """
    for path, content in files.items():
        place = folder / "data" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pa.Table):
            pq.write_table(content, place)
        elif isinstance(content, bytes):
            place.write_bytes(content)
        else:
            text = content if isinstance(content, str) else "".join(f"{json.dumps(row)}\n" for row in content)
            place.write_bytes(text.encode())
    data: dict[str, Any] = {"folder": str(folder / "data")}
    data["interactions"] = {"path": "log.csv", "user": "u", "item": "i", "time": "t"} | dict(interactions or {})
    if items is not None:
        data["items"] = {"path": "items.csv", "id": "i"} | dict(items)
    if users is not None:
        data["users"] = {"path": "users.csv", "id": "u"} | dict(users)
    config = {"name": "field", "data": data, "pipeline": {"root": str(folder / "runs")}} | sections
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return path


def check(path: Path, *flags: str) -> Checked:
    """Runs `tfx_runner.py check` in this process."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = main(["check", str(path), *flags])
    return Checked(code, text.getvalue())


def read(path: Path, table: str = "interactions") -> pa.Table:
    """The rows of a table as ingest's reader and cleaner give them."""
    config = load_config(path)
    plan, source = Plan(config), getattr(config.data, table)
    columns, clean = _reading(plan, config, table)
    return pa.concat_tables(
        clean_batch(clean, name, batch, file, 0)[0]
        for file, name in enumerate(table_files(config.data.folder, source))
        for batch in read_batches(name, source, columns)
    )


def without_duplicates(path: Path) -> tuple[pa.Table, int]:
    """The events of one file as ingest sorts them, and how many it leaves out as duplicates."""
    plan = Plan(load_config(path))
    events, counts = sort_events(read(path), np.zeros(1, np.int64), True, duplicate_columns=plan.duplicate_columns)
    return events, counts["interactions", "dropped", "duplicate"]


def _reading(plan: Plan, config: Config, table: str) -> tuple[tuple[str, ...], Clean]:
    if table == "interactions":
        return plan.event_sources, lambda batch, file, row: clean_events(plan, batch, file, row)
    source, features = getattr(config.data, table), plan.item if table == "items" else plan.user
    key = source.id
    sources = plan.entity_sources(source, features)
    return sources, lambda batch, file, row: clean_entities(features, key, table, batch, file, row)


def values(path: Path, *names: str, table: str = "interactions") -> list[Any]:
    """Some columns of `read`: a value a row where one is named, else tuples."""
    rows = read(path, table).to_pylist()
    return [row[names[0]] if len(names) == 1 else tuple(row[name] for name in names) for row in rows]
