"""Rows that differ in the columns tasks use, and conditions that always or never hold."""

import pytest

from tests.pipeline.field.cases import (
    ROWS,
    check,
    csv_text,
    field_case,
    log_rows,
    refused,
    warned,
    without_duplicates,
    write_case,
)

BEHAVIOURS = csv_text("u,i,t,kind", [(*row, kind) for row in ROWS for kind in ("pv", "buy", "pv")])
"""Each user sees and buys an item in the same second, and the view stands there twice."""
RETRIEVAL = {"retrieval": {"kind": "retrieval"}}
BOUGHT = {"tasks": RETRIEVAL | {"bought": {"kind": "binary", "label": "kind == 'buy'"}}}


@field_case("07-behaviours-same-time")
def test_purchases_beside_views_of_the_same_second_stay(name, tmp_path):
    path = write_case(tmp_path, {"log.csv": BEHAVIOURS}, name=name, **BOUGHT)
    found = check(path)
    assert found.code == 0
    assert "`tasks.bought.label` is other than 0 in 40 of 120 events, from 0 to 1" in found.text
    events, dropped = without_duplicates(path)
    assert (events["label_bought"].to_pylist(), dropped) == ([0, 1] * 40, 40)


@pytest.mark.parametrize(
    ("sections", "dropped"),
    [
        pytest.param({}, 80, id="nothing-reads-the-behaviour"),
        pytest.param({"positive": "kind == 'buy'"}, 40, id="a-positive-tells"),
        pytest.param(
            {"tasks": RETRIEVAL | {"one": {"kind": "binary", "label": "1", "where": "kind == 'buy'"}}},
            40,
            id="a-condition-of-a-task-tells",
        ),
        pytest.param({"features": {"outcome": [{"name": "kind", "kind": "categorical"}]}}, 40, id="a-feature-tells"),
    ],
)
def test_rows_are_duplicates_where_nothing_that_is_read_tells_them_apart(sections, dropped, tmp_path):
    assert without_duplicates(write_case(tmp_path, {"log.csv": BEHAVIOURS}, **sections))[1] == dropped


def test_events_of_one_second_are_two_where_their_milliseconds_differ(tmp_path):
    rows = [(u, i, 1000 * t + ms) for u, i, t in ROWS for ms in (0, 250, 250)]
    path = write_case(tmp_path, {"log.csv": csv_text("u,i,t", rows)}, {"time_unit": "ms"})
    events, dropped = without_duplicates(path)
    assert (len(events), dropped) == (80, 40)


KINDS = csv_text(
    "u,i,t,event,stars", [(*row, ("view", "buy", "view", "")[n % 4], 1 + n % 5) for n, row in enumerate(ROWS)]
)
EVENTS = "event holds 'view' (20), nothing (10), 'buy' (10)"


def _task(**keys):
    return {"tasks": RETRIEVAL | {"it": {"kind": "binary"} | keys}}


CONDITIONS = [
    warned(
        "11-label-never",
        {"log.csv": KINDS},
        "`tasks.it.label` (event == 'Buy') is 0 in all 30 events that have one; event holds 'view' (20), 'buy' (10)",
        **_task(label="event == 'Buy'"),
    ),
    refused(
        "11b-positive-never",
        {"log.csv": KINDS},
        f"`positive` (event == 'purchase') holds for 0 of 40 events; {EVENTS}",
        positive="event == 'purchase'",
    ),
    warned(
        "a-condition-of-a-task-that-never-holds",
        {"log.csv": KINDS},
        "`tasks.it.where` (event == 'sale') holds for 0 of 40 events; event holds",
        "warning: `tasks.it.label` (stars > 3) has a value in no event; stars holds '1' (8)",
        **_task(label="stars > 3", where="event == 'sale'"),
    ),
    warned(
        "a-positive-that-always-holds",
        {"log.csv": KINDS},
        "`positive` (stars >= 1) holds for all 40 events; stars holds '1' (8), '2' (8)",
        positive="stars >= 1",
    ),
    warned(
        "a-label-that-is-always-yes",
        {"log.csv": KINDS},
        "`tasks.it.label` (stars > 0) is 1 in all 40 events that have one; stars holds",
        **_task(label="stars > 0"),
    ),
    warned(
        "a-label-without-a-value",
        {"log.csv": csv_text("u,i,t,stars", [(*row, "null") for row in ROWS])},
        "`tasks.it.label` (stars) has a value in no event; stars holds nothing (40)",
        **_task(kind="regression", label="stars"),
    ),
    refused(
        "truths-of-json-are-no-words-of-python",
        {"log.jsonl": [{"u": u, "i": i, "t": t, "ok": n % 4 == 0} for n, (u, i, t) in enumerate(ROWS)]},
        "`positive` (ok == 'True') holds for 0 of 40 events; ok holds 'false' (30), 'true' (10)",
        interactions={"path": "log.jsonl"},
        positive="ok == 'True'",
    ),
    refused(
        "a-column-of-the-condition-in-another-case",
        {"log.csv": KINDS},
        "`positive`: no such column: 'Event'. Did you mean `event`? ",
        positive="Event == 'buy'",
    ),
]


@pytest.mark.parametrize("case", CONDITIONS)
def test_what_never_or_always_holds_is_reported_with_the_values(case, tmp_path):
    case.assert_holds(tmp_path)


LATE = [(*row, "buy" if n >= 1000 else "view") for n, row in enumerate(log_rows(1040))]


def test_a_positive_that_comes_late_is_no_error_and_an_error_of_all_rows(tmp_path):
    path = write_case(tmp_path, {"log.csv": csv_text("u,i,t,event", LATE)}, positive="event == 'buy'")
    found = check(path)
    assert found.code == 0
    message = "in the first 1,000 rows of log.csv: `positive` (event == 'buy') holds for 0 of 1,000 events"
    assert f"warning: {message}; event holds 'view' (1,000)\n" in found.text
    assert "`positive` holds for 40 of 1,040 events\n" in check(path, "--full").text
