"""Dialects of CSV, duplicate column names, and tables without rows."""

import pyarrow as pa
import pytest

from tests.pipeline.field.cases import (
    AS_READ,
    CATEGORY,
    ITEMS,
    LOG,
    READ_ROWS,
    ROWS,
    csv_text,
    good,
    refused,
    warned,
)

PRICES = {"features": {"context": [{"name": "price", "kind": "numeric"}]}}
DIALECTS = [
    good(
        "backslashes-before-quotes",
        {"log.csv": csv_text("u,i,t", [(f'"a \\"{u}\\", b"', i, t) for u, i, t in ROWS])},
        "user",
        [f'a "{user}", b' for user, _, _ in READ_ROWS],
        interactions={"escape": "\\"},
    ),
    good(
        "a-decimal-comma",
        {"log.csv": csv_text("u;i;t;price", [(*row, f"{row[1]},25") for row in ROWS], ";")},
        "context_price",
        [item + 0.25 for _, item, _ in ROWS],
        interactions={"separator": ";", "decimal": ","},
        **PRICES,
    ),
    good(
        "a-name-twice-but-for-its-case",
        {"log.csv": csv_text("u,i,t,U,I", [(*row, 0, 0) for row in ROWS])},
        AS_READ,
        READ_ROWS,
    ),
    good(
        "a-name-twice-that-is-not-read",
        {"log.csv": csv_text("u,i,t,x,x", [(*row, 0, 1) for row in ROWS])},
        AS_READ,
        READ_ROWS,
    ),
    good("a-header-in-quotes", {"log.csv": csv_text('"u","i","t"', ROWS)}, AS_READ, READ_ROWS),
    refused(
        "16c-duplicate-header",
        {"log.csv": csv_text("u,i,t,i", [(*row, f"other{row[1]}") for row in ROWS])}
        | {"items.csv": csv_text("i,name,name", [(i, f"Name {i}", "Supplier") for i in range(1, 6)])},
        "`data.interactions.item`: log.csv: the header names the column 'i' twice, so that it is ambiguous. ",
        "`features.item[0].name`: items.csv: the header names the column 'name' twice",
        items={},
        features={"item": [{"name": "name", "kind": "text"}]},
    ),
    refused(
        "a-name-twice-in-a-later-part",
        {"a.csv": LOG, "b.csv": csv_text("u,i,t,t", [(*row, row[2]) for row in ROWS])},
        "b.csv: the header names the column 't' twice",
        interactions={"path": "*.csv"},
    ),
    refused(
        "backslashes-that-were-not-announced",
        {"log.csv": csv_text("u,i,t", [(f'"a \\"{u}\\""', i, t) for u, i, t in ROWS])},
        "log.csv, line 2: a backslash stands before a quote in a value: ",
        'set the table\'s `escape: "\\\\"`',
    ),
    refused(
        "a-decimal-comma-that-was-not-announced",
        {"log.csv": csv_text("u;i;t;price", [(*row, f"{row[1]},5") for row in ROWS], ";")},
        "log.csv, line 2: price is '1,5', expected a number",
        "\n  '1,5': `decimal: \",\"`?\n",
        interactions={"separator": ";"},
        **PRICES,
    ),
    refused(
        "a-quote-that-nobody-closes",
        {"log.csv": LOG.replace("\n3,", '\n"3,', 1)},
        "log.csv, line 4: a quote in column 'u' is not closed in its line: '3,3,1600007200'. Where ",
    ),
]


@pytest.mark.parametrize("case", DIALECTS)
def test_dialects_and_headers(case, tmp_path):
    case.assert_holds(tmp_path)


EMPTY = [
    refused(
        "21a-items-header-only",
        {"log.csv": LOG, "items.csv": "i,cat\n"},
        "`data.items.path`: ",
        "items.csv: has no rows",
        items={},
        features=CATEGORY,
    ),
    refused(
        "parquet-without-rows",
        {"log.csv": LOG, "items.parquet": pa.table({"i": [""], "cat": [""]}).slice(1)},
        "items.parquet: has no rows",
        items={"path": "items.parquet"},
        features=CATEGORY,
    ),
    refused(
        "a-header-and-blank-lines",
        {"log.csv": LOG, "users.csv": "u,seg\n\n\r\n"},
        "`data.users.path`: ",
        "users.csv: has no rows",
        users={},
    ),
    refused(
        "parts-without-rows",
        {"log.csv": LOG, "e.csv/a.csv": "i\n", "e.csv/b.csv": "i\n"},
        "e.csv/a.csv: has no rows, nor have its 1 other files",
        items={"path": "e.csv"},
    ),
    refused("no-bytes", {"log.csv": ""}, "log.csv: is empty"),
    refused(
        "only-separators",
        {"log.csv": LOG, "items.csv": "i,cat\n,\n,\n"},
        "2 of 2 rows of the table `items` are bad (100.0%)",
        "missing i: 2",
        items={},
        features=CATEGORY,
    ),
    good(
        "one-part-with-rows",
        {"log.csv": LOG, "e.csv/a.csv": "i,cat\n", "e.csv/b.csv": ITEMS},
        "id",
        ["1", "2", "3", "4", "5"],
        table="items",
        items={"path": "e.csv"},
        features=CATEGORY,
    ),
    good(
        "one-column",
        {"log.csv": LOG, "items.csv": "i\n1\n2\n\n3\n4\n5\n"},
        "id",
        ["1", "2", "3", "4", "5"],
        table="items",
        items={},
    ),
    warned(
        "one-row",
        {"log.csv": LOG, "items.csv": "i\n1\n"},
        "1 of 5 items of the log (20.0% of the events) are in items.csv; '2' is not",
        items={},
    ),
]


@pytest.mark.parametrize("case", EMPTY)
def test_tables_without_rows_are_reported_before_any_work(case, tmp_path):
    case.assert_holds(tmp_path)
