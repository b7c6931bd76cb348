"""Ids are one text whatever wrote them: integers, floats, decimals, and what a float export left in a text column."""

import decimal
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.ingest.values import as_id, as_text
from tests.pipeline.ingest.read_tables import config, events, items


@pytest.mark.parametrize(
    "column",
    [
        pa.array([15, 0, None, -3], pa.int32()),
        pa.array([15, 0, None, -3], pa.float32()),
        pa.array([15.0, -0.0, None, -3.0]),
        pa.array([decimal.Decimal(v) if v else None for v in ("15.00", "0.00", None, "-3.00")], pa.decimal128(20, 2)),
        pa.array([decimal.Decimal(v) if v else None for v in ("15", "0", None, "-3")], pa.decimal256(60, 12)),
        pa.array(["15", " 0", "", "-3\t"]),
        pa.array(["15", "0", None, "-3"]).dictionary_encode(),
        pa.array([[15.0], [0.0], [], [-3.0]]),
    ],
    ids=lambda column: str(column.type),
)
def test_an_id_is_one_text_whatever_its_type(column):
    assert as_id(column).values.to_pylist() == ["15", "0", None, "-3"]
    assert not as_id(column).is_unparsable.any()


def test_decimals_that_are_not_whole_have_no_zeros_at_the_end():
    values = [decimal.Decimal("15.50"), decimal.Decimal("-0.25"), decimal.Decimal("100.00")]
    assert as_text(pa.array(values, pa.decimal128(20, 2))).to_pylist() == ["15.5", "-0.25", "100"]


@pytest.mark.parametrize(
    ("column", "rounded"),
    [
        (pa.array([2.0**53 - 1, 2.0**53, -(2.0**53), float("inf"), None]), [0, 1, 1, 1, 0]),
        (pa.array([2.0**24 - 1, 2.0**24], pa.float32()), [0, 1]),
        (pa.array([2**53, 2**63 - 1]), [0, 0]),
    ],
)
def test_floats_that_are_rounded_are_no_ids(column, rounded):
    read = as_id(column)
    assert read.is_unparsable.tolist() == [bool(r) for r in rounded]
    assert [value is None for value in read.values.to_pylist()] == [
        bool(r) or v is None for r, v in zip(rounded, column.to_pylist(), strict=True)
    ]


def _log(folder, users, item_ids):
    lines = [f"{u},{i},{n}" for n, (u, i) in enumerate(zip(users, item_ids, strict=True), start=1)]
    (folder / "log.csv").write_text("\n".join(["u,i,t", *lines]))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["17.0", "6.0", "", "1.0"], ["17", "6", None, "1"]),  # of a column of which one is missing
        (["17.00", "NaN", "6.000", " 1.0 "], ["17", None, "6", "1"]),
        (["1e+15", "6.0", "1.5e+3", "2.0"], ["1000000000000000", "6", "1500", "2"]),
        (["007", "7", "7.0", "1e5"], ["007", "7", "7.0", "1e5"]),  # text, each an id of its own
        (["1.0", "2.0", "2.1", "3.0"], ["1.0", "2.0", "2.1", "3.0"]),  # versions
    ],
)
def test_texts_in_the_form_of_floats_are_numbers_where_all_of_a_file_are(tmp_path, written, expected):
    _log(tmp_path, "abcd", written)
    found, counts = events(config(tmp_path, {}))
    assert [row["item"] for row in found] == [value for value in expected if value]
    assert counts["interactions", "dropped", "missing i"] == expected.count(None)


def test_the_whole_file_decides(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.ingest.csv_reading.CSV_BLOCK_BYTES", 64)
    _log(tmp_path, ["1.0"] * 40, [*(f"{n}.0" for n in range(39)), "39"])
    found, _ = events(config(tmp_path, {}))
    assert found[0]["user"] == "1"
    assert [row["item"] for row in found][-2:] == ["38.0", "39"]


def test_log_and_catalogue_meet(tmp_path):
    _log(tmp_path, ["1.0", "2.0"], ["29.0", "30.0"])
    pq.write_table(pa.table({"i": [29, 30], "cat": [" c1 ", "c2"]}), tmp_path / "items.parquet")
    features = {"item": [{"name": "cat", "kind": "categorical"}]}
    found = config(tmp_path, {}, {"path": "items.parquet"}, features=features)
    assert {row["item"] for row in events(found)[0]} == {row["id"] for row in items(found)} == {"29", "30"}
    assert [row["item_cat"] for row in items(found)] == ["c1", "c2"]


def test_blanks_at_the_ends_of_ids_and_categories_go(tmp_path):
    (tmp_path / "log.csv").write_text("u,i, kind,t\n1, 29, buy,1\n2 ,29\t,buy ,2\n1,x y,\u00a0buy,3\n")
    sections = {
        "positive": "` kind` == 'buy'",
        "features": {"context": [{"name": "kind", "column": " kind", "kind": "categorical"}]},
    }
    found, _ = events(config(tmp_path, {}, **sections))
    assert [(r["user"], r["item"], r["context_kind"], r["positive"]) for r in found] == [
        ("1", "29", "buy", True),
        ("2", "29", "buy", True),
        ("1", "x y", "buy", True),
    ]


def test_rounded_ids_are_bad_rows_of_their_own_reason(tmp_path):
    lines = [{"u": 1.0, "i": 9007199254740993.0, "t": 1}, {"u": 2.0, "i": 5.0, "t": 2}]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found, counts = events(config(tmp_path, {"path": "log.jsonl"}))
    assert [(row["user"], row["item"]) for row in found] == [("2", "5")]
    assert counts["interactions", "dropped", "rounded i"] == counts["interactions", "bad_rows"] == 1
    _log(tmp_path, ["1.0", "2.0"], ["9007199254740993.0", "5.0"])
    assert events(config(tmp_path, {}))[1]["interactions", "dropped", "rounded i"] == 1


def test_rounded_ids_of_items_too(tmp_path):
    (tmp_path / "items.csv").write_text("i\n1.6e+18\n5.0\n")
    assert [row["id"] for row in items(config(tmp_path, {}, {}))] == ["5"]
