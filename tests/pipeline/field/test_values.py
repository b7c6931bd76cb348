"""Lists and mixed types, scripts without blanks, and numbers beyond float32."""

import decimal
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from tests.pipeline.field.cases import (
    LOG,
    ROWS,
    csv_text,
    good,
    refused,
    warned,
)

TAGS = {"items": {"path": "items.csv"}, "features": {"item": [{"name": "tags", "kind": "multi_valued"}]}}
JSON_TAGS = TAGS | {"items": {"path": "items.jsonl"}}


def _cells(*cells):
    """The log, and items with a cell of a CSV file each."""
    quoted = (cell.replace('"', '""') for cell in cells)
    return {
        "log.csv": LOG,
        "items.csv": csv_text("i,tags", [(n, f'"{cell}"') for n, cell in enumerate(quoted, start=1)]),
    }


def _json(*values):
    return {"log.csv": LOG, "items.jsonl": [{"i": n, "tags": value} for n, value in enumerate(values, start=1)]}


SHOP = [
    {"i": "1", "category": ["Home", "Kitchen"], "also_buy": ["2", "3"], "description": ["First part.", "Second one."]},
    {"i": "2", "category": ["Home", "Bath"], "also_buy": "", "description": ["First part."]},
    {"i": "3", "category": ["Home", "Kitchen"], "also_buy": ["4"], "description": "One plain text"},
    {"i": "4", "category": ["Home", "Bath"], "also_buy": [], "description": ""},
    {"i": "5", "category": ["Home", "Garden"], "also_buy": "1", "description": None},
]
LISTS = [
    good(
        "09-amazon-meta",
        {"log.csv": LOG, "meta.jsonl": SHOP},
        "item_category,item_also_buy,item_description",
        [
            (["Home", "Kitchen"], ["2", "3"], "First part. Second one."),
            (["Home", "Bath"], None, "First part."),
            (["Home", "Kitchen"], ["4"], "One plain text"),
            (["Home", "Bath"], None, None),
            (["Home", "Garden"], ["1"], None),
        ],
        table="items",
        items={"path": "meta.jsonl"},
        features={
            "item": [
                {"name": "category", "kind": "multi_valued"},
                {"name": "also_buy", "kind": "multi_valued"},
                {"name": "description", "kind": "text"},
            ]
        },
    ),
    good(
        "23-list-literals",
        _cells("['Comedy', 'Drama']", '["co-op", "indie"]', "['Drama']", "[]", "['a|b']"),
        "item_tags",
        [["Comedy", "Drama"], ["co-op", "indie"], ["Drama"], None, ["a|b"]],
        table="items",
        **TAGS,
    ),
    good(
        "tuples-sets-and-arrays-of-numpy",
        _cells("('a', 'b')", "{'c', 'a'}", "['a' 'b']", "(1, 2.0)", "(2001)"),
        "item_tags",
        [["a", "b"], ["c", "a"], ["a", "b"], ["1", "2"], ["(2001)"]],
        table="items",
        **TAGS,
    ),
    good(
        "values-of-several-types",
        _json([1, "1", True, 2.5, None], [6.0], "x|y", True, 7),
        "item_tags",
        [["1", "1", "true", "2.5"], ["6"], ["x|y"], ["true"], ["7"]],
        table="items",
        **JSON_TAGS,
    ),
    warned(
        "arrays-of-a-database",
        _cells("{a,b}", "{a}", "{}", "{c,d}", "{b}"),
        "tags of items.csv holds '{a,b}' and the like, which are not lists in JSON or Python: brackets become values",
        **TAGS,
    ),
    warned(
        "lists-where-one-category-is-read",
        _cells(*["['a', 'b']", "['b', 'c']"] * 2, "['c']"),
        "tags of items.csv is `categorical` and holds lists such as \"['a', 'b']\": `kind: multi_valued`?",
        **TAGS | {"features": {"item": [{"name": "tags", "kind": "categorical"}]}},
    ),
    warned(
        "lists-of-json-where-one-number-is-read",
        _json([1, 2], [3], [4], [], [5]),
        "tags of items.jsonl holds lists of several values in 1 rows, and the first value alone is read",
        reads="item_tags",
        rows=[1.0, 3.0, 4.0, None, 5.0],
        table="items",
        **JSON_TAGS | {"features": {"item": [{"name": "tags", "kind": "numeric"}]}},
    ),
    refused(
        "09b-nested-json",
        _json(*[[{"id": 1, "name": "g1"}, {"id": 9, "name": "all"}]] * 5),
        "items.jsonl: a column cannot be read as the configuration says (Unsupported cast from struct<id: int64, name: "
        "string>",
        "Change its type or its use. Columns: i (int64), tags (list<item: struct<id: int64, name: string>>)",
        **JSON_TAGS,
    ),
    refused(
        "09d-user-object",
        {"log.jsonl": [{"u": {"id": u}, "i": i, "t": t} for u, i, t in ROWS]},
        "(Unsupported cast from struct<id: int64> to utf8",
        "Columns: u (struct<id: int64>), i (int64), t (int64)",
        interactions={"path": "log.jsonl"},
    ),
    refused(
        "objects-in-some-lists",
        _json("", [{"id": 1}], "a", None, ["b"]),
        "items.jsonl: a list holds dicts, not values: \"[{'id': 1}]\". Write what should be the values into the column",
        **JSON_TAGS,
    ),
    refused(
        "lists-of-lists",
        _json(*[[["a", "b"], ["c"]]] * 5),
        "items.jsonl: a list holds lists, not values: \"[['a', 'b'], ['c']]\". Write",
        **JSON_TAGS,
    ),
    refused(
        "objects-in-a-cell",
        _cells(*["[{'id': 16, 'name': 'Animation'}]"] * 5),
        "items.csv: a list holds dicts, not values: \"[{'id': 16, 'name': 'Animation'}]\"",
        **TAGS,
    ),
    refused(
        "22b-parquet-map-uuid",
        {
            "log.parquet": pa.table(
                {
                    "u": pa.array([bytes([200 + u]) * 16 for u, _, _ in ROWS], pa.binary(16)),
                    "i": [i for _, i, _ in ROWS],
                    "t": [t for *_, t in ROWS],
                }
            )
        },
        "(Invalid UTF8 payload)",
        "Columns: u (fixed_size_binary[16]), i (int64), t (int64)",
        interactions={"path": "log.parquet"},
    ),
]


@pytest.mark.parametrize("case", LISTS)
def test_a_cell_that_is_a_list_is_that_list_and_a_value_has_one_spelling(case, tmp_path):
    case.assert_holds(tmp_path)


LARGE = 2**63
WAREHOUSE = {
    "log.parquet": pa.table(
        {
            "u": pa.array([LARGE + u for u, _, _ in ROWS], pa.uint64()),
            "i": pa.array([decimal.Decimal(i) for _, i, _ in ROWS], pa.decimal128(20, 2)),
            "t": pa.array([t * 1000 for *_, t in ROWS], pa.timestamp("ms", "America/New_York")),
            "price": pa.array([decimal.Decimal("12.34") * i for _, i, _ in ROWS], pa.decimal128(10, 4)),
        }
    ),
    "items.parquet": pa.table(
        {
            "i": pa.array(range(1, 6), pa.int16()),
            "dec": pa.array([decimal.Decimal(n) / 2 for n in range(5)], pa.decimal128(9, 2)),
            "word": pa.array(["a", "b", None, "a", ""]).dictionary_encode(),
            "words": pa.array([["a", "b"], [], None, ["c"], ["a"]], pa.large_list(pa.string())),
            "day": pa.array([date(1970, 1, 1 + n) for n in range(5)], pa.date32()),
            "flag": pa.array([True, False, None, True, False]),
            "half": pa.array(np.arange(5).astype(np.float16)),
            "ints": pa.array([[1, 2], [3], [], [4], [5]], pa.list_(pa.int32())),
        }
    ),
}
WAREHOUSE_FEATURES = [
    {"name": "dec", "kind": "numeric"},
    {"name": "as_word", "column": "dec", "kind": "categorical"},
    {"name": "word", "kind": "categorical"},
    {"name": "words", "kind": "multi_valued"},
    {"name": "day", "kind": "time"},
    {"name": "flag", "kind": "categorical"},
    {"name": "is", "column": "flag", "kind": "numeric"},
    {"name": "half", "kind": "numeric"},
    {"name": "ints", "kind": "multi_valued"},
]
WAREHOUSE_KEYS = {
    "interactions": {"path": "log.parquet"},
    "items": {"path": "items.parquet"},
    "features": {"item": WAREHOUSE_FEATURES},
    "tasks": {"retrieval": {"kind": "retrieval"}, "pay": {"kind": "regression", "label": "price"}},
    "warns": None,
}
TYPES = [
    good(
        "22-parquet-types",
        WAREHOUSE,
        "user,item,time,label_pay",
        [(str(LARGE + u), str(i), t, float(np.float32(12.34 * i))) for u, i, t in ROWS],
        printed=["of the log in its tables: 5 of 5 items"],
        **WAREHOUSE_KEYS,
    ),
    good(
        "22-parquet-types-of-items",
        WAREHOUSE,
        ",".join(f"item_{feature['name']}" for feature in WAREHOUSE_FEATURES),
        [
            (0.0, "0", "a", ["a", "b"], 0, "true", 1.0, 0.0, ["1", "2"]),
            (0.5, "0.5", "b", None, 86_400, "false", 0.0, 1.0, ["3"]),
            (1.0, "1", None, None, 172_800, None, None, 2.0, None),
            (1.5, "1.5", "a", ["c"], 259_200, "true", 1.0, 3.0, ["4"]),
            (2.0, "2", None, ["a"], 345_600, "false", 0.0, 4.0, ["5"]),
        ],
        table="items",
        **WAREHOUSE_KEYS,
    ),
]


@pytest.mark.parametrize("case", TYPES)
def test_types_of_a_warehouse_are_read_by_value(case, tmp_path):
    case.assert_holds(tmp_path)


TITLES = ["手機保護殼 蘋果", "Cafe\u0301 C++ & C#", "ワイヤレス", "\uff29\uff30", "[Live] Song"]
PHONES = ["手機", "三星手機", "黒", "白", "青"]
TEXTS = [
    good(
        "26-text-scripts",
        {"log.csv": LOG, "items.csv": csv_text("i,title", enumerate(TITLES, start=1))},
        "item_title",
        TITLES,
        table="items",
        items={},
        features={"item": [{"name": "title", "kind": "text"}]},
    ),
    good(
        "text-of-a-code-page",
        {
            "log.csv": LOG,
            "items.csv": csv_text("i,title", enumerate(PHONES, start=1)).encode("gb18030"),
        },
        "item_title",
        PHONES,
        table="items",
        items={"encoding": "gb18030"},
        features={"item": [{"name": "title", "kind": "text"}]},
    ),
]


@pytest.mark.parametrize("case", TEXTS)
def test_texts_come_as_they_are_written(case, tmp_path):
    """Their words are made in Transform: `tests/transform/test_text.py`."""
    case.assert_holds(tmp_path)


def _numbers(name, second, *printed, label="seconds", **more):
    """The second row holds another number than 2."""
    rows = [(*row, second if n == 1 else 2) for n, row in enumerate(ROWS)]
    labels = [float(eval(label, {"seconds": 2}))] * 39
    tasks = {"tasks": {"retrieval": {"kind": "retrieval"}, "watch": {"kind": "regression", "label": label}}}
    keys = {"printed": printed, "warns": None} | tasks | more
    return good(name, {"log.csv": csv_text("u,i,t,seconds", rows)}, "label_watch", labels, **keys)


LIMIT = "expected a number that float32 holds, at most 3.4e38"
NUMBERS = [
    _numbers("20b-huge-label", "1e39", "39 kept; seconds beyond float32: 1", f"line 3: seconds is '1e39', {LIMIT}"),
    _numbers("squares", "-1e30", "40 rows, 39 kept; label", f"seconds is '-1e30', {LIMIT}", label="seconds * seconds"),
    _numbers("beyond-a-double", "1e400", "unparsable seconds: 1", "line 3: seconds is '1e400', expected a number\n"),
    _numbers("infinite", "-Infinity", "unparsable seconds: 1", "line 3: seconds is '-Infinity', expected a number\n"),
    good(
        "a-decimal-beyond-float32",
        {
            "log.parquet": pa.table(
                {name: list(column) for name, column in zip("uit", zip(*ROWS, strict=True), strict=True)}
                | {"price": pa.array([decimal.Decimal(10) ** (39 * (n == 1)) for n in range(40)], pa.decimal256(60, 2))}
            )
        },
        "context_price",
        [1.0] * 39,
        printed=[
            "39 kept; price beyond float32: 1",
            f"bad row: log.parquet, row 2: price is '1{'0' * 39}.00', {LIMIT}",
        ],
        interactions={"path": "log.parquet"},
        features={"context": [{"name": "price", "kind": "numeric"}]},
        warns=None,
    ),
    good(
        "a-feature-of-an-item-is-missing",
        _cells("1e39", "-1e39", "3.4e38", "1e-60", "5"),
        "item_tags",
        [None, None, float(np.float32(3.4e38)), 0.0, 5.0],
        table="items",
        printed=["unparsable tags: 2", "bad row: items.csv, line 3: tags is '-1e39', expected a number that float32"],
        cleaning={"max_bad_share": 0.5},
        **TAGS | {"features": {"item": [{"name": "tags", "kind": "numeric"}]}},
    ),
]


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_that_float32_cannot_hold_are_bad_at_ingest(case, tmp_path):
    case.assert_holds(tmp_path)
