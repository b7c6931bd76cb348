import json
import subprocess
import sys

import pytest

from config import parse_config
from pipeline.checks.rows import check_rows

START = 1_600_000_000
LOG = [(f"u{n % 4}", f"i{n % 5}", START + n, 1 + n % 5, ("view", "buy")[n % 2]) for n in range(40)]


@pytest.fixture
def shop(tmp_path):
    """Writes tables and returns their configuration."""

    def write(log=LOG, items=("i0,x|y,7", "i1,x,8", "i2,,9", "i3,y,7", "i4,x,"), interactions=(), **sections):
        lines = [",".join(map(str, row)) for row in log]
        (tmp_path / "log.csv").write_text("\n".join(["user,item,time,rating,kind", *lines]) + "\n")
        (tmp_path / "items.csv").write_text("\n".join(["id,tags,price", *items]) + "\n")
        config = {
            "name": "shop",
            "data": {
                "folder": str(tmp_path),
                "interactions": {"path": "log.csv", "user": "user", "item": "item", "time": "time"}
                | dict(interactions),
                "items": {"path": "items.csv", "id": "id"},
            },
            "features": {"item": [{"name": "tags", "kind": "multi_valued"}, {"name": "price", "kind": "numeric"}]},
            "tasks": {"retrieval": {"kind": "retrieval"}, "like": {"kind": "binary", "label": "rating >= 4"}},
        }
        return parse_config(json.dumps(config | sections))

    return write


def test_good_tables_say_what_they_hold(shop):
    check = check_rows(shop())
    assert (check.errors, check.warnings, check.whole) == ([], [], {"interactions", "items"})
    assert check.report["interactions"] == {"rows": 40, "kept": 40}
    assert check.report["spans"] == {"interactions": {"time": [START, START + 39]}}
    assert check.report["expressions"] == {"tasks.like.label": {"of": 40, "holds": 16}}
    assert check.report["overlap"] == {"items": {"of": 5, "met": 5, "of_events": 40, "met_events": 40}}
    found = {p.column: (p.uses, p.missing, len(p.distinct), p.holds()) for p in check.profiles["items"]}
    assert found == {
        "id": (("item id",), 0, 5, "i0, i1, i2, ..."),
        "tags": (("multi_valued feature",), 1, 3, "x|y, x, y"),
        "price": (("numeric feature",), 1, 3, "7 to 9"),
    }


def test_the_first_rows_are_read_and_what_is_bad_beyond_is_not(shop):
    log = [*LOG[:9], ("u", "i0", "soon", 1, "view"), *LOG[10:], ("", "", "", "", "")]
    check = check_rows(shop(log), limit=10)
    assert check.report["interactions"] == {
        "rows": 10,
        "kept": 9,
        "bad_rows": 1,
        "dropped": {"unparsable time": 1},
    }
    assert [s["line"] for s in check.report["samples"]] == [11]
    assert check.whole == {"items"}
    assert check.errors == []
    assert check.warnings[0].startswith("1 of 10 rows of the table `interactions` are bad (10.0%)")  # later ones may do
    assert check.report["overlap"]["items"] == {"of": 5, "met": 5, "of_events": 9, "met_events": 9}
    full = check_rows(shop(log), limit=None)
    assert full.report["interactions"]["rows"] == 41
    assert full.report["interactions"]["dropped"] == {"unparsable time": 1, "missing user": 1}
    assert full.errors == []


def test_malformed_lines_beyond_the_first_rows_do_not_count(shop):
    log = [*LOG[:4], ("u0", "i0"), *LOG[4:12], ("u0", "i0"), *LOG[12:]]
    check = check_rows(shop(log), limit=10)
    assert check.report["interactions"]["dropped"] == {"malformed row": 1}
    assert check.report["samples"][0]["line"] == 6


def test_ids_of_all_items_are_looked_through_for_the_first_rows_of_the_log(shop):
    items = [f"x{n},x,1" for n in range(30)] + [f"i{n},x|y,{n}" for n in range(5)]
    check = check_rows(shop(items=items), limit=10)
    assert check.report["overlap"]["items"]["met"] == 5
    check = check_rows(shop(items=items[:30]), limit=10)
    assert check.errors == [
        "0 of 5 items of the log are in items.csv (log: 'i0', table: 'x0'). Are ids written in the same way, and is "
        "'id' their column?"
    ]


def test_tables_without_rows_and_rows_in_another_unit_are_errors(shop):
    assert check_rows(shop(items=())).errors == ["items.csv has no rows (the table `items`)"]
    (error,) = check_rows(shop([(u, i, t * 1000, *rest) for u, i, t, *rest in LOG]), limit=10).errors
    assert error.splitlines()[0].startswith("10 of 10 rows of the table `interactions` are bad")
    assert error.splitlines()[-1] == f"  '{START}000': `time_unit: ms`?"


def test_a_positive_that_never_holds_is_an_error_where_all_rows_were_read(shop):
    config = shop(positive="kind == 'purchase'")
    message = "`positive` (kind == 'purchase') holds for 0 of 40 events; kind holds 'buy' (20), 'view' (20)"
    assert check_rows(config).errors == [message]
    check = check_rows(config, limit=10)
    assert check.errors == []
    assert check.warnings == [
        "in the first 10 rows of log.csv: `positive` (kind == 'purchase') holds for 0 of 10 events; "
        "kind holds 'buy' (5), 'view' (5)"
    ]


def test_columns_that_are_constant_empty_or_unlike_their_kind(shop):
    features = {
        "item": [
            {"name": "tags", "kind": "multi_valued"},
            {"name": "price", "kind": "categorical"},
        ],
        "context": [{"name": "kind", "kind": "categorical"}],
        "outcome": [{"name": "rating", "kind": "categorical"}],
    }
    log = [(*row[:3], "", "a|b" if n % 2 else "b|c") for n, row in enumerate(LOG)]
    items = [f"i{n},x;y,{n / 4 + 0.1}" for n in range(5)]
    check = check_rows(shop(log, items, features=features))
    assert check.warnings == [
        "`tasks.like.label` (rating >= 4) has a value in no event; rating holds nothing (40)",
        "kind of log.csv is `categorical` and holds '|' in 40 rows: `kind: multi_valued`?",
        "rating of log.csv is empty",
        "tags of items.csv is always 'x;y'",
        "price of items.csv is `categorical` and holds numbers from 0.1 to 1.1: `kind: numeric`?",
    ]
    items = [f"i{n},x;y{n},1" for n in range(5)]
    check = check_rows(shop(LOG, items))
    assert check.warnings == [
        "tags of items.csv holds no '|', and ';' in 5 of 5 rows: `separator`?",
        "price of items.csv is always '1'",
    ]


def test_reading_rows_imports_neither_tensorflow_nor_beam(shop, tmp_path):
    (tmp_path / "shop.yaml").write_text(shop().model_dump_json(exclude_unset=True))
    code = f"""
import sys
from pipeline.checks.configuration import checked_config
from pipeline.checks.rows import check_rows
assert not check_rows(checked_config({str(tmp_path / "shop.yaml")!r})).errors
print([name for name in ("tensorflow", "tfx", "apache_beam") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
