"""JSON that begins with other lines, and data sets as they are published."""

import gzip
import json

import pyarrow as pa
import pytest

from tests.pipeline.field.cases import (
    AS_READ,
    LOG,
    READ_ROWS,
    ROWS,
    csv_text,
    good,
    json_lines,
    refused,
)

LINES = json_lines("u,i,t", ROWS)
OBJECTS = [{"u": u, "i": i, "t": t} for u, i, t in ROWS]
JSONL = {"path": "log.jsonl"}


def _json(name, content, **interactions):
    return good(name, {"log.jsonl": content}, AS_READ, READ_ROWS, interactions=JSONL | interactions)


JSON = [
    _json("10a-json-bom", "\ufeff" + LINES),
    _json("10c-json-pretty", json.dumps(OBJECTS, indent=2)),
    _json("10d-json-utf16", LINES.encode("utf-16"), encoding="utf-16"),
    _json("a-mark-of-utf16-and-no-encoding", LINES.encode("utf-16")),
    _json("blank-lines-between-and-before", "\n \n" + LINES.replace("\n", "\r\n\r\n")),
    _json(
        "files-with-marks-put-together", "\ufeff" + LINES[: LINES.index("\n") + 1] + "\ufeff" + LINES.split("\n", 1)[1]
    ),
    _json("commas-behind-the-lines", LINES.replace("}\n", "},\n")),
    _json("objects-over-several-lines", "\n".join(json.dumps(row, indent=1) for row in OBJECTS)),
    good(
        "a-mark-and-windows-line-ends-in-gzip",
        {"log.CSV.GZ": gzip.compress(b"\xef\xbb\xbf" + LOG.replace("\n", "\r\n").encode())},
        AS_READ,
        READ_ROWS,
        interactions={"path": "log.CSV.GZ"},
    ),
    good("blank-lines-above-the-header", {"log.csv": "\n\r\n" + LOG.replace("\n", "\n\n")}, AS_READ, READ_ROWS),
    good(
        "35b-file-json",
        {"log.json": json.dumps(OBJECTS)},
        AS_READ,
        READ_ROWS,
        interactions={"path": "log.json", "format": "jsonl"},
    ),
]


@pytest.mark.parametrize("case", JSON)
def test_json_and_csv_that_begin_otherwise_are_read_whole(case, tmp_path):
    case.assert_holds(tmp_path)


def _no_rows(name, path, content, printed, **interactions):
    return refused(name, {path: content}, printed, interactions={"path": path} | interactions)


NO_JSON = [
    _no_rows(
        "utf16-without-a-mark",
        "log.jsonl",
        LINES.encode("utf-16-le"),
        "holds zero bytes: is it UTF-16? Then set `encoding",
    ),
    _no_rows("python-in-place-of-json", "log.jsonl", LINES.replace('"', "'"), """Line 1: "{'u': 1, 'i': 1, 't': """),
    _no_rows("an-empty-array", "log.jsonl", "[]", "log.jsonl: has no rows"),
    _no_rows("blank-lines-alone", "log.csv", "\n\n", "log.csv: has no rows"),
    _no_rows(
        "json-that-is-called-csv",
        "log.csv",
        LINES,
        "The first line is JSON: is that the table's `format`, `jsonl`? Columns",
    ),
    _no_rows(
        "gzip-that-is-not-called-so",
        "log.csv",
        gzip.compress(LOG.encode()),
        "is not text but compressed with gzip: its name should end in .gz",
    ),
    _no_rows(
        "parquet-that-is-called-csv",
        "log.csv",
        pa.table({"u": ["é"] * 99}),
        "is not text but Parquet: set `format: parquet`",
    ),
    _no_rows(
        "columns-in-place-of-rows",
        "log.jsonl",
        json.dumps({"u": [1, 2], "i": [1, 2], "t": [1, 2]}),
        "line 1: u is '[1, 2]', expected one id",
    ),
    _no_rows("half-an-array", "log.jsonl", json.dumps(OBJECTS, indent=1)[:-9], "is not JSON (", format="jsonl"),
]


@pytest.mark.parametrize("case", NO_JSON)
def test_what_cannot_be_read_is_called_what_it_is(case, tmp_path):
    case.assert_holds(tmp_path)


RATED = [(u, i, 1 + (u + i) % 5, t) for u, i, t in ROWS]
NAMES = ["u", "i", "stars", "t"]
STARS = {"tasks": {"retrieval": {"kind": "retrieval"}, "stars": {"kind": "regression", "label": "stars"}}}
AS_RATED = [(*row, 1 + (u + i) % 5) for row, (u, i, _) in zip(READ_ROWS, ROWS, strict=True)]


def _published(name, path, content, **interactions):
    keys = {"path": path, "format": "csv", "columns": NAMES} | interactions
    return good(name, {path: content}, "user,item,time,label_stars", AS_RATED, interactions=keys, **STARS)


PUBLISHED = [
    _published("04-no-header", "u.data", csv_text("", RATED, "\t"), separator="\t"),
    _published("05-double-colon", "ratings.dat", csv_text("", RATED, "::"), separator="::"),
    _published("a-tsv-without-header", "ratings.tsv", csv_text("", RATED, "\t"), format=None),
    _published("blanks-between-values", "ratings.txt", csv_text("", RATED, " "), separator=" "),
    good(
        "book-crossing",
        {
            "log.csv": '"User-ID";"ISBN";"Book-Rating"\n'
            + csv_text("", [(f'"{u}"', f'"03{i}X"', '"5"') for u, i, _ in ROWS], ";")
        },
        "user,item",
        [(user, f"03{item}X") for user, item, _ in READ_ROWS],
        interactions={"separator": ";", "user": "User-ID", "item": "ISBN", "time": None},
    ),
    good(
        "a-column-of-row-numbers",
        {"log.csv": csv_text(",u,i,t", [(n, *row) for n, row in enumerate(ROWS)])},
        AS_READ,
        READ_ROWS,
    ),
]


@pytest.mark.parametrize("case", PUBLISHED)
def test_data_sets_are_read_as_they_are_published(case, tmp_path):
    case.assert_holds(tmp_path)


def _unlike(name, content, *printed, **interactions):
    return refused(name, {"log.csv": content}, *printed, interactions=interactions)


NO_HEADER = [
    _unlike(
        "04-no-header",
        csv_text("", RATED, "\t"),
        "`data.interactions.user`: no such column: 'u'. The first line looks like data ('1', '1', '3'): name "
        "the columns of a file without header in `columns`. ",
        separator="\t",
    ),
    _unlike(
        "05-double-colon", csv_text("", RATED, "::"), "The first line looks like data ('1', '1', '3')", separator="::"
    ),
    _unlike(
        "another-separator",
        LOG.replace(",", ";"),
        'The first line is one value that holds ";": is that the table\'s `separator`? ',
    ),
    _unlike("blanks-that-were-not-announced", LOG.replace(",", " "), 'The first line is one value that holds " "'),
    _unlike(
        "a-separator-beside-columns",
        csv_text("", RATED, "::"),
        'line 1 has 1 values, `columns` 4, and so on. Is `separator` "::"?',
        columns=NAMES,
    ),
    _unlike(
        "half-a-separator",
        csv_text("", RATED, "::"),
        'line 1 has 7 values, `columns` 4, and so on. Is `separator` "::"?',
        columns=NAMES,
        separator=":",
    ),
    _unlike(
        "too-few-columns", csv_text("", RATED), "line 1 has 4 values, `columns` 3, and so on.\n", columns=NAMES[:3]
    ),
    _unlike(
        "a-header-in-another-case-beside-columns",
        csv_text("U, I,T", ROWS),
        "its first line is a header. `columns` is for files without one: leave it out",
        columns=["u", "i", "t"],
    ),
    _unlike(
        "36-trailing-separator",
        LOG.replace("\n", ",\n").replace("t,\n", "t\n"),
        "line 2 has 4 values, the header 3, and so on. Do the rows end with ','?",
    ),
    _unlike(
        "row-names-of-r",
        csv_text("u,i,t", [(n, *row) for n, row in enumerate(ROWS)]),
        "line 2 has 4 values, the header 3, and so on. Do the rows begin with their names or numbers, "
        "which the header leaves out? Then write it there",
    ),
    _unlike(
        "a-title-above-the-header",
        "# of today\n" + LOG,
        "line 2 has 3 values, the header 1, and so on. Is the first line a header?",
    ),
    _unlike(
        "the-first-line-is-for-a-spreadsheet",
        "sep=;\n" + LOG.replace(",", ";"),
        "its first line, 'sep=', is for Excel alone: remove it, and set `separator`",
        separator=";",
    ),
]


@pytest.mark.parametrize("case", NO_HEADER)
def test_headers_and_rows_that_do_not_fit_are_reported_with_what_may_be_meant(case, tmp_path):
    case.assert_holds(tmp_path)


def test_some_rows_with_one_value_too_many_are_shown(tmp_path):
    rows = [(*row, "") if n % 10 == 0 else row for n, row in enumerate(ROWS)]
    printed = ["4 of 40 rows of the table `interactions` are bad (10.0%)", "malformed row: 4"]
    case = _unlike(
        "", csv_text("u,i,t", rows), *printed, "log.csv, line 12 has 4 values, the header 3: '3,2,1600036000,'"
    )
    case.values[0].assert_holds(tmp_path)
