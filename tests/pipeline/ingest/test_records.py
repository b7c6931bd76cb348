"""JSON in its common forms: lines, an array, indented objects, byte order marks, UTF-16."""

import json

import pytest

from config.data import Table
from pipeline.ingest import records
from pipeline.ingest.tables import TableError
from tests.pipeline.ingest.read_tables import batches, rows

ROWS = [{"u": f"u{n}", "i": n, "t": 1600000000 + n} for n in range(30)]
LINES = "\n".join(map(json.dumps, ROWS))
EXPECTED = [tuple(row.values()) for row in ROWS]


@pytest.mark.parametrize(
    ("text", "encoding", "configured"),
    [
        (LINES, "utf-8-sig", "utf-8"),
        (LINES, "utf-16", "utf-16"),
        (LINES, "utf-16", "utf-8"),  # the mark tells
        ("\ufeff" + LINES, "utf-16-be", "utf-16-be"),
        (LINES, "utf-32", "utf-8"),
        (LINES, "latin-1", "latin-1"),
        ("\n\n" + LINES.replace("\n", "\n \n\r\n") + "\n\n", "utf-8", "utf-8"),
        (json.dumps(ROWS), "utf-8", "utf-8"),
        (json.dumps(ROWS, indent=2), "utf-8-sig", "utf-8"),
        (json.dumps(ROWS, indent=2), "utf-16", "utf-16"),
        ("[\n" + LINES.replace("\n", ",\n") + "\n]\n", "utf-8", "utf-8"),
        (LINES.replace("\n", ",\n"), "utf-8", "utf-8"),
        ("\n".join(json.dumps(row, indent=4) for row in ROWS), "utf-8", "utf-8"),
        (LINES.replace("\n", ""), "utf-8", "utf-8"),  # one after the other
    ],
)
@pytest.mark.parametrize("part", [100, 1 << 20])
def test_all_rows_are_read(tmp_path, monkeypatch, text, encoding, configured, part):
    monkeypatch.setattr(records, "_PART", part)
    (tmp_path / "log.jsonl").write_bytes(text.encode(encoding))
    assert rows(tmp_path, "log.jsonl", encoding=configured) == EXPECTED


def test_lines_of_values_over_several_lines(tmp_path):
    (tmp_path / "log.jsonl").write_text("\n" + json.dumps([{"a": 1}, 7, {"a": "[2]"}], indent=1))
    (batch,) = batches(tmp_path, Table(path="log.jsonl"))
    assert (batch.rows["a"].to_pylist(), batch.lines.tolist()) == (["1", "[2]"], [3, 7])
    assert [tuple(sample) for sample in batch.samples] == [(6, "7", "is not a JSON object")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n\n", "has no rows"),
        ("u,i,t\n1,2,3\n", "holds no object such as .* in its first 2 rows. Line 1: 'u,i,t"),
        ('["u", "i"]\n["a", "b"]\n', "holds no object such as .* Line 1: '\"u\"'"),
        (
            '[\n {"a": 1},\n {"a": oops},\n {"a": 3}\n]',
            "line 3: is not JSON .*, and the rows after it cannot be read",
        ),
        ('[{"a": 1},\n{"a": ', "line 2: is not JSON"),
    ],
)
def test_what_is_no_json_is_reported(tmp_path, text, message):
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(TableError, match=message):
        rows(tmp_path, "log.jsonl")
