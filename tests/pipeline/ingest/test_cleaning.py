import pyarrow as pa

from pipeline.ingest.batches import Batch
from pipeline.ingest.cleaning import clean_entities, distinct
from pipeline.ingest.columns import Column

COLUMNS = (Column("item_year", "year", "number"), Column("item_genres", "genres", "list", "|"))


def _clean(rows, malformed=0):
    table = pa.table([pa.array(column) for column in zip(*rows, strict=True)], names=("id", "year", "genres"))
    kept, findings = clean_entities(COLUMNS, "id", "items", Batch(table, malformed), 0, 5)
    return kept, findings.counts


def test_a_value_that_cannot_be_read_is_missing_and_its_row_stays():
    table, counts = _clean([("a", "1999", "x|y"), ("b", "MCM", ""), ("", "MCM", "x")], malformed=1)
    assert table.to_pylist() == [
        {"id": "a", "file": 0, "row": 5, "item_year": 1999.0, "item_genres": ["x", "y"]},
        {"id": "b", "file": 0, "row": 6, "item_year": None, "item_genres": None},
    ]
    assert counts == {
        ("items", "rows"): 4,
        ("items", "dropped", "malformed row"): 1,
        ("items", "dropped", "missing id"): 1,
        ("items", "unparsable", "year"): 1,
        ("items", "bad_rows"): 3,
    }


def test_the_first_row_of_an_id_stays():
    table = pa.table({"id": ["a", "b", "a", "a"], "file": [1, 0, 0, 0], "row": [0, 0, 9, 2], "x": [1, 2, 3, 4]})
    kept, counts = distinct(table, "items")
    assert {row["id"]: row["x"] for row in kept.to_pylist()} == {"a": 4, "b": 2}
    assert counts == {("items", "dropped", "duplicate"): 2, ("items", "kept"): 2}


def test_ids_and_values_with_line_ends_are_refused():
    rows = [("a", "1999", "x|y\nz"), ("b\nc", "2000", "x"), ("d\re", "2001", "x"), ("e", "2002", "x")]
    columns = (COLUMNS[0], Column("item_genres", "genres", "list", "|", is_token=True))
    table = pa.table([pa.array(column) for column in zip(*rows, strict=True)], names=("id", "year", "genres"))
    kept, findings = clean_entities(columns, "id", "items", Batch(table, 0), 0, 5)
    assert kept["id"].to_pylist() == ["a", "e"]
    assert kept["item_genres"].to_pylist() == [None, ["x"]]
    assert findings.counts == {
        ("items", "rows"): 4,
        ("items", "dropped", "line end in id"): 2,
        ("items", "unparsable", "genres"): 1,
        ("items", "bad_rows"): 3,
    }
    assert findings.samples["items", "line end in id"] == [
        (0, 6, None, "id", "b\nc", "an id in one line"),
        (0, 7, None, "id", "d\re", "an id in one line"),
    ]
