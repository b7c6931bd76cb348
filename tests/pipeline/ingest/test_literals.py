"""Lists in the cells of a CSV file, and columns of JSON whose values differ in type."""

import json

import pyarrow as pa
import pytest

from pipeline.ingest.literals import ListError, as_array
from pipeline.ingest.values import as_list, as_text
from tests.pipeline.ingest.read_tables import config, items


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("['Comedy', 'Drama']", ["Comedy", "Drama"]),
        ('["co-op", "indie, \\u00e9"]', ["co-op", "indie, é"]),
        ("['it\\'s', \"O'Neil\"]", ["it's", "O'Neil"]),
        ("['a, b', 'c|d']", ["a, b", "c|d"]),  # the separator is part of a value
        ("[1, 2.0, 2.5, true, null]", ["1", "2", "2.5", "true"]),
        ("[1, 2.0, True, None, nan]", ["1", "2", "true"]),
        ("['a' 'b'\n 'c']", ["a", "b", "c"]),  # NumPy's
        (" ['x'] ", ["x"]),
        ("[]", None),
        ("['']", None),
        ("[a, b]", ["[a", "b]"]),  # no list of any language
        ("[Live] Song, Pop", ["[Live] Song", "Pop"]),
        ("x, y", ["x", "y"]),
        (None, None),
    ],
)
def test_a_cell_that_is_a_list(cell, expected):
    column = pa.array(["first", cell, "last, one"])
    assert as_list(column, ",").to_pylist() == [["first"], expected, ["last", "one"]]


@pytest.mark.parametrize("cell", ['[{"id": 16, "name": "Animation"}]', "[{'id': 16}]", "[['a'], ['b']]"])
def test_lists_of_objects_are_refused(cell):
    with pytest.raises(ListError, match=r"a list holds (dict|list)s, not values"):
        as_list(pa.array([cell]), "|")


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["x", True, 6.0, 2.5, 7, None, False], ["x", "true", "6", "2.5", "7", None, "false"]),
        ([6.0, "6", 6], ["6", "6", "6"]),
        ([True, 1], ["true", "1"]),
        ([2**70, "a"], [str(2**70), "a"]),
        ([{"b": 1, "a": "é"}, "x"], ['{"a": "é", "b": 1}', "x"]),
        ([["a", 1.0], "", "b", None], ["a", None, "b", None]),
    ],
)
def test_values_of_several_types_are_spelt_as_a_column_of_each(values, texts):
    assert as_text(as_array(values)).to_pylist() == texts


def test_values_and_lists_in_one_column_are_lists():
    values = [["a", 6.0, None], "", "b|c", True, None, []]
    assert as_list(as_array(values), "|").to_pylist() == [["a", "6"], None, ["b|c"], ["true"], None, None]


def test_a_column_of_lists_and_texts_as_a_shop_publishes_it(tmp_path):
    lines = [
        {"i": "B1", "also": ["B2", "B3"], "description": ["First part.", "Second one."]},
        {"i": "B2", "also": "", "description": ""},
        {"i": "B3", "also": [], "description": "Whole."},
    ]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, lines)))
    features = {"item": [{"name": "also", "kind": "multi_valued"}, {"name": "description", "kind": "text"}]}
    found = items(config(tmp_path, {}, {"path": "items.jsonl"}, features=features))
    assert [row["item_also"] for row in found] == [["B2", "B3"], None, None]
    assert [row["item_description"] for row in found] == ["First part. Second one.", None, "Whole."]
