"""Files, folders and globs that a path names, and files of no format."""

import pyarrow as pa
import pytest

from tests.pipeline.field.cases import (
    AS_READ,
    LOG,
    READ_ROWS,
    ROWS,
    csv_text,
    good,
    refused,
)


def _parquet(rows):
    users, items, times = zip(*rows, strict=True)
    return pa.table({"u": list(users), "i": list(items), "t": list(times)})


PARTS = {"part-00000-c000.snappy.parquet": _parquet(ROWS[:20]), "part-00001-c000.snappy.parquet": _parquet(ROWS[20:])}


def _in(folder, **more):
    return {f"{folder}/{name}": part for name, part in (PARTS | more).items()}


OTHER = csv_text("u,i,t", [(99, 99, ROWS[0][2])])
PATHS = [
    good(
        "24b-spark-folder",
        _in("events.parquet", _SUCCESS="", **{".part-00000.crc": b"crc"}),
        AS_READ,
        READ_ROWS,
        interactions={"path": "events.parquet"},
    ),
    good(
        "a-folder-that-no-extension-names",
        _in("events", **{"_temporary/0.parquet": b"half"}),
        AS_READ,
        READ_ROWS,
        interactions={"path": "events/"},
    ),
    good(
        "folders-by-a-glob",
        {f"d{n}/log.csv": csv_text("u,i,t", ROWS[20 * n : 20 * n + 20]) for n in (0, 1)} | {"d0/.DS_Store": b"\xff"},
        AS_READ,
        READ_ROWS,
        interactions={"path": "d*"},
    ),
    good(
        "brackets-in-a-name",
        {"log[1].csv": LOG, "log1.csv": OTHER},
        AS_READ,
        READ_ROWS,
        interactions={"path": "log[1].csv"},
    ),
    good(
        "brackets-in-a-folder-before-a-glob",
        {"[a]/part-0.csv": LOG, "a/part-0.csv": OTHER},
        AS_READ,
        READ_ROWS,
        interactions={"path": "[a]/part-*.csv"},
    ),
    good(
        "a-star-in-a-name", {"log*.csv": LOG, "log2.csv": OTHER}, AS_READ, READ_ROWS, interactions={"path": "log*.csv"}
    ),
    good(
        "44-glob-mixed-headers",
        {
            "part-0.csv": csv_text("u,i,t", ROWS[:20]),
            "part-1.csv": csv_text("t,u,i", [(t, u, i) for u, i, t in ROWS[20:]]),
        },
        AS_READ,
        READ_ROWS,
        interactions={"path": "part-*.csv"},
    ),
    good(
        "24c-hive",
        {
            "events/date=2020-09-01/p.parquet": _parquet(ROWS[:20]),
            "events/date=2020-09-02/p.parquet": _parquet(ROWS[20:]),
        },
        "item,context_date",
        [(item, f"2020-09-0{1 + (n >= 20)}") for n, (_, item, _) in enumerate(READ_ROWS)],
        interactions={"path": "events/date=*/*.parquet"},
        features={"context": [{"name": "date", "kind": "categorical"}]},
    ),
]


@pytest.mark.parametrize("case", PATHS)
def test_a_path_is_what_it_names(case, tmp_path):
    case.assert_holds(tmp_path)
    assert len(case.rows) == 40


COUNTRY = {"features": {"context": [{"name": "country", "kind": "categorical"}]}}
NO_PATHS = [
    refused(
        "24c-hive",
        {
            "e/date=1/p.parquet": _parquet(ROWS).append_column("country", [["NA"] * 40]),
            "e/date=2/p.parquet": _parquet(ROWS),
        },
        "e/date=2/p.parquet: has no column 'country'. Columns: u, i, t, date",
        interactions={"path": "e/date=*/*.parquet"},
        **COUNTRY,
    ),
    refused(
        "44-glob-mixed-headers",
        {"part-0.csv": LOG, "part-1.csv": csv_text("", ROWS)},
        "part-1.csv: has no column 'u', 'i', 't'. The first line looks like data ('1', '1', '1600000000'): ",
        interactions={"path": "part-*.csv"},
    ),
    refused(
        "a-folder-of-marks",
        {"e/_SUCCESS": "", "e/.x": ""},
        "data/e: holds no files. ",
        "holds: e/",
        interactions={"path": "e"},
    ),
    refused("another-case", {"Log.csv": LOG}, "log.csv: no such file. ", "holds: Log.csv"),
    refused(
        "a-folder-that-is-not-there", {"log.csv": LOG}, "There is not a folder ", interactions={"path": "logs/log.csv"}
    ),
    refused(
        "a-delta-table",
        {"e/_delta_log/0.json": "{}", "e/p.parquet": _parquet(ROWS)},
        "is a Delta table, whose files hold deleted rows too",
        interactions={"path": "e"},
    ),
    refused(
        "a-readme-among-the-parts",
        {"e/README.md": "hi", **_in("e")},
        "e (README.md): the extension '.md' names no format. Use one of .csv,",
        interactions={"path": "e"},
    ),
]


@pytest.mark.parametrize("case", NO_PATHS)
def test_paths_that_cannot_be_read_are_reported_with_what_is_there(case, tmp_path):
    case.assert_holds(tmp_path)


FILES = [
    (
        "35b-file-json",
        "log.json",
        "`format: jsonl` reads JSON lines, an array of objects and objects over several lines",
    ),
    ("35c-file-xlsx", "log.xlsx", "save the sheet as CSV"),
    ("35d-file-csv-zip", "log.csv.zip", "unpack it"),
    ("35e-file-txt", "log.txt", "for text of one row a line `format: csv` with its `separator`"),
    ("an-orc-file", "log.orc", "write it as Parquet"),
    ("a-file-without-extension", "log", "for text of one row a line `format: csv` with its `separator`"),
]


@pytest.mark.parametrize(("path", "remedy"), [pytest.param(*rest, id=name) for name, *rest in FILES])
def test_files_of_no_format_are_reported_with_the_way_out(path, remedy, tmp_path):
    extension = "." + path.rpartition(".")[2] if "." in path else ""
    allowed = "Use one of .csv, .tsv, .parquet, .jsonl, .ndjson, .tfrecord, or set `format` to one of "
    allowed += "csv, parquet, jsonl, tfrecord"
    printed = f"{path}: the extension '{extension}' names no format. {allowed}: {remedy}\n"
    refused("", {path: b"PK"}, printed, interactions={"path": path}).values[0].assert_holds(tmp_path)
