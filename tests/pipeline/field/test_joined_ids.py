"""Ids that meet in two tables, words for missing values, and ids with line ends."""

import decimal

import pyarrow as pa
import pytest

from tests.pipeline.field.cases import (
    CATEGORY,
    ITEMS,
    LOG,
    ROWS,
    START,
    check,
    csv_text,
    field_case,
    good,
    log_rows,
    refused,
    values,
    warned,
    write_case,
)

USERS = csv_text("u,seg", [(user, f"s{user % 3}") for user in range(1, 9)])
BOTH = {
    "items": {},
    "users": {},
    "features": CATEGORY | {"user": [{"name": "seg", "kind": "categorical"}]},
}
IDS = [(str(user), str(item)) for user, item, _ in ROWS]
ALL_MEET = ["of the log in its tables: 5 of 5 items, 8 of 8 users"]
SHOP = {"items": {}, "features": CATEGORY}


def _log(user: str, item: str) -> str:
    """The log with ids in another form."""
    return csv_text("u,i,t", [(user.format(u), item.format(i), t) for u, i, t in ROWS])


def _parquet(item: pa.DataType, user: pa.DataType) -> pa.Table:
    users, items, times = zip(*ROWS, strict=True)
    exact = [pa.array([decimal.Decimal(v) for v in ids], kind) for ids, kind in ((users, user), (items, item))]
    return pa.table({"u": exact[0], "i": exact[1], "t": list(times)})


JOINED = [
    good("03-float-ids", {"log.csv": _log("{}.0", "{}.0"), "items.csv": ITEMS, "users.csv": USERS}),
    good("13-blank-after-comma", {"log.csv": _log("{}", " {}"), "items.csv": ITEMS, "users.csv": USERS}),
    good(
        "22-parquet-types",
        {
            "log.parquet": _parquet(pa.decimal128(20, 2), pa.decimal128(38, 0)),
            "items.csv": ITEMS,
            "users.csv": USERS,
        },
        interactions={"path": "log.parquet"},
    ),
    good("no-break-blanks", {"log.csv": _log("\u00a0{}", "{}\u3000"), "items.csv": ITEMS, "users.csv": USERS}),
    good(
        "floats-of-json",
        {"log.jsonl": [{"u": float(u), "i": f" {i}", "t": t} for u, i, t in ROWS], "items.csv": ITEMS}
        | {"users.jsonl": [{"u": str(u), "seg": "s"[: u % 2]} for u in range(1, 9)]},
        interactions={"path": "log.jsonl"},
        users={"path": "users.jsonl"},
        warns=None,
    ),
    good(
        "floats-where-one-is-missing",
        {"log.csv": _log("{}", "{}.0").replace("8,5.0,", "8,,"), "items.csv": ITEMS, "users.csv": USERS},
        rows=[pair for pair in IDS if pair != ("8", "5")],
    ),
]


@pytest.mark.parametrize("case", JOINED)
def test_ids_that_are_written_in_two_ways_meet(case, tmp_path):
    given = {"reads": "user,item", "rows": case.rows or IDS, "printed": ALL_MEET, "config": BOTH | dict(case.config)}
    type(case)(**(vars(case) | given)).assert_holds(tmp_path)


NO_FELLOW = [
    refused(
        "leading-zeros",
        {"log.csv": _log("{}", "{:0>5}"), "items.csv": ITEMS},
        "0 of 5 items of the log are in items.csv (log: '00001', table: '1'). Are ids written in the same way, "
        "and is 'i' their column?",
        **SHOP,
    ),
    refused(
        "an-accent-as-a-mark-of-its-own",
        {
            "log.csv": _log("{}", "e\u0301{}"),
            "items.csv": csv_text("i,cat", [(f"\u00e9{n}", "c") for n in range(1, 6)]),
        },
        r"(log: 'e\u03011', table: 'é1')",
        **SHOP,
    ),
    refused(
        "a-word-among-floats",
        {"log.csv": _log("{}", "{}.0") + f"1,gift,{START}\n", "items.csv": ITEMS},
        "0 of 6 items of the log are in items.csv (log: '1.0', table: '1')",
        **SHOP,
    ),
    refused(
        "users-of-another-system",
        {"log.csv": LOG, "users.csv": USERS.replace("\n", "\nU")[:-1]},
        "0 of 8 users of the log are in users.csv (log: '1', table: 'U1'). ",
        users={},
        features={"user": BOTH["features"]["user"]},
    ),
    warned(
        "a-half-that-was-exported-as-floats",
        {"log.csv": csv_text("u,i,t", [(u, i if i < 3 else f"{i}.0", t) for u, i, t in ROWS]), "items.csv": ITEMS},
        "2 of 5 items of the log (40.0% of the events) are in items.csv; '3.0' is not. ",
        **SHOP,
    ),
    refused(
        "several-ids-in-one-cell",
        {"log.jsonl": [{"u": u, "i": [i, i + 1], "t": t} for u, i, t in ROWS]},
        "log.jsonl, line 1: i is '[1, 2]', expected one id, not a list of several values",
        "several values in i: 40",
        interactions={"path": "log.jsonl"},
    ),
    refused(
        "items-with-several-ids",
        {"log.csv": LOG, "items.jsonl": [{"i": [1, 2], "cat": "c"}, {"i": [3], "cat": "c"}]},
        "1 of 2 rows of the table `items` are bad (50.0%)",
        "items.jsonl, line 1: i is '[1, 2]', expected one id, not a list of several values",
        items={"path": "items.jsonl"},
        features=CATEGORY,
    ),
    refused(
        "floats-beyond-2-to-the-53",
        {"log.csv": _log("{}", "{}e18")},
        "log.csv, line 2: i is '1e18', expected an id as text or an integer: a float of this size is rounded",
    ),
]


@pytest.mark.parametrize("case", NO_FELLOW)
def test_ids_that_do_not_meet_are_reported_with_one_of_each_side(case, tmp_path):
    case.assert_holds(tmp_path)


@field_case("06-null-word-ids")
def test_too_many_words_for_missing_stop_the_run(name, tmp_path):
    """The words of SQL are missing in ids, categories and numbers alike, and too many of them stop the run."""
    rows = [(("NULL", "\\N", "nan", "<NA>")[n % 4] if n % 10 == 0 else u, i, t) for n, (u, i, t) in enumerate(ROWS)]
    words = [*("NULL", "<NA>", "None", "nan"), "zed"]
    brands = csv_text("i,brand,price", [(n, words[n - 1], words[n - 1].replace("zed", "7")) for n in range(1, 6)])
    features = {"item": [{"name": "brand", "kind": "categorical"}, {"name": "price", "kind": "numeric"}]}
    path = write_case(
        tmp_path, {"log.csv": csv_text("u,i,t", rows), "items.csv": brands}, items={}, features=features, name=name
    )
    found = check(path)
    assert found.code == 2
    assert "4 of 40 rows of the table `interactions` are bad (10.0%)" in found.text
    assert "log.csv, line 12: u is 'nan', expected an id that is not one of the table's `missing` words" in found.text
    assert values(path, "user") == [str(u) for n, (u, *_) in enumerate(ROWS) if n % 10]
    assert values(path, "item_brand", "item_price", table="items") == [(None, None)] * 4 + [("zed", 7.0)]


DEVICES = {"context": [{"name": "d", "kind": "categorical"}]}
WORDS = [
    good(
        "words-of-ones-own",
        {
            "log.csv": csv_text(
                "u,i,t,d", [(u, i, t, ("-", "unknown", "web")[n % 3]) for n, (u, i, t) in enumerate(ROWS)]
            )
        },
        "context_d",
        [None, None, "web", None],
        interactions={"missing": ["-", "unknown"]},
        features=DEVICES,
        warns=None,
    ),
    good(
        "no-words-at-all",
        {"log.csv": csv_text("u,i,t,d", [(("NULL", "None")[u % 2], i, t, "\\N") for u, i, t in ROWS])},
        "user,context_d",
        [("None", "\\N"), ("NULL", "\\N")],
        interactions={"missing": []},
        features=DEVICES,
        warns=None,
    ),
    good(
        "namibia-and-none-are-values",
        {"log.csv": csv_text("u,i,t,d", [(u, i, t, ("NA", "none", "N/A", " NaN ")[u % 4]) for u, i, t in ROWS])},
        "context_d",
        ["none", "N/A", None, "NA"],
        features=DEVICES,
    ),
    good(
        "json-nulls-and-words-in-lists",
        {"log.csv": LOG, "items.jsonl": [{"i": i, "tags": ["a", None, "NULL", f"b{i}"]} for i in range(1, 6)]},
        "item_tags",
        [["a", "b1"], ["a", "b2"]],
        table="items",
        items={"path": "items.jsonl"},
        features={"item": [{"name": "tags", "kind": "multi_valued"}]},
    ),
]


@pytest.mark.parametrize("case", WORDS)
def test_words_for_missing_are_the_tables(case, tmp_path):
    case.assert_holds(tmp_path)


ODD_IDS = [
    "0",
    "00",
    "007",
    "7.0",
    "a b",
    "a,b",
    "a|b",
    '"q"',
    "'",
    "é",
    "e\u0301",
    "{SPAN}",
    "שלום",
    "🎬",
    "#",
    "x" * 300,
]


@field_case("15-awkward-ids")
def test_odd_ids_are_what_they_are(name, tmp_path):
    """Every odd id is what it is, but those with a line end, which are counted, and words for missing."""
    names = [*ODD_IDS, "line\nbreak", "cr\rid", "NaN", "\\N"]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    rows = [(u, quoted[n % len(quoted)], t) for n, (u, _, t) in enumerate(log_rows(80, 9))]
    files = {"log.csv": csv_text("u,i,t", rows), "items.csv": csv_text("i,cat", [(q, "c") for q in quoted])}
    keys = {"interactions": {"multiline": True}, "items": {"multiline": True}, "features": CATEGORY}
    path = write_case(tmp_path, files, name=name, **keys)
    found = check(path)
    assert found.code == 2
    assert "16 of 80 rows of the table `interactions` are bad (20.0%)" in found.text
    assert "missing i: 8, line end in i: 8" in found.text
    assert r"log.csv, row 17: i is 'line\nbreak', expected an id in one line" in found.text
    assert r"items.csv, row 18: i is 'cr\rid', expected an id in one line" in found.text
    assert values(path, "item")[: len(ODD_IDS)] == values(path, "id", table="items") == ODD_IDS
    for table in ("interactions", "items"):
        keys[table] = {"multiline": True, "missing": []}
    path = write_case(tmp_path, files, name=name, **keys)
    assert values(path, "id", table="items") == [*ODD_IDS, "NaN", "\\N"]


LINE_ENDS = [
    refused(
        "a-carriage-return-in-a-user",
        {"log.jsonl": [{"u": f"a\r{u}" if u == 1 else f"a{u}", "i": i, "t": t} for u, i, t in ROWS]},
        r"log.jsonl, line 1: u is 'a\r1', expected an id in one line",
        "line end in u: 5",
        interactions={"path": "log.jsonl"},
        reads="user",
        rows=["a2", "a3"],
    ),
    refused(
        "a-line-feed-in-a-tag",
        {"log.csv": LOG, "items.jsonl": [{"i": i, "tags": ["a\nb", "c"][i % 2 :]} for i in range(1, 6)]},
        r"""items.jsonl, line 2: tags is "['a\\nb', 'c']", expected text in one line""",
        "2 of 5 rows of the table `items` are bad (40.0%)",
        items={"path": "items.jsonl"},
        features={"item": [{"name": "tags", "kind": "multi_valued"}]},
        reads="item_tags",
        rows=[["c"], None],
        table="items",
    ),
    good(
        "line-ends-at-the-ends-go",
        {"log.jsonl": [{"u": f"{u}\n", "i": f"\r\n{i}", "t": t} for u, i, t in ROWS]},
        "user,item",
        IDS,
        interactions={"path": "log.jsonl"},
    ),
    good(
        "separators-of-unicode-are-no-line-ends",
        {"log.jsonl": [{"u": f"a\u2028{u}", "i": f"b\u0085{i}", "t": t} for u, i, t in ROWS]},
        "user,item",
        [(f"a\u2028{u}", f"b\u0085{i}") for u, i in IDS],
        interactions={"path": "log.jsonl"},
    ),
]


@pytest.mark.parametrize("case", LINE_ENDS)
def test_ids_and_values_with_line_ends_are_refused_and_counted(case, tmp_path):
    case.assert_holds(tmp_path)
