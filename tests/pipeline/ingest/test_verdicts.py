import pytest

from pipeline.ingest.times import suggested_unit
from pipeline.ingest.verdicts import IngestError, check, warnings
from tests.pipeline.ingest.reference import config_of

NOW = 1_750_000_000
ITEMS = {"folder": "-", "interactions": {"path": "log.csv"}, "items": {"path": "shop/items.csv", "id": "sku"}}


def _report(**more):
    splits = {split: {"examples": 3} for split in ("train", "eval", "test", "items")}
    return {"interactions": {"rows": 100, "kept": 100}, "items": {"rows": 9}, "splits": splits} | more


def _warnings(config=None, **more):
    return warnings(_report(**more), config or config_of(), NOW)


def _overlap(met, met_events):
    overlap = {"of": 30, "met": met, "of_events": 100, "met_events": met_events, "log": "6.0", "table": "6"}
    return {"overlap": {"items": overlap}}


def test_no_item_of_the_log_in_the_table_stops_with_an_example_of_each_side():
    message = r"0 of 30 items of the log are in items\.csv \(log: '6\.0', table: '6'\)\. .* is 'sku' their column\?"
    with pytest.raises(IngestError, match=message):
        check(_report(**_overlap(0, 0)), config_of(data=ITEMS))
    check(_report(**_overlap(0, 0)), config_of(data=ITEMS, cleaning={"min_overlap": 0}))
    check(_report(**_overlap(1, 1)), config_of(data=ITEMS))


def test_a_low_overlap_is_reported():
    config = config_of(data=ITEMS)
    assert _warnings(config, **_overlap(28, 80)) == []
    assert _warnings(config, **_overlap(20, 79)) == [
        "20 of 30 items of the log (79.0% of the events) are in items.csv; '6.0' is not. "
        "`cleaning.min_overlap` expects 80% of the events"
    ]


@pytest.mark.parametrize(
    ("unit", "span", "message"),
    [
        ("s", [1_600_000_000, 1_600_086_400], None),
        (
            "ms",  # seconds, read as milliseconds
            [1_600_811, 1_602_512],
            "the log's times (timestamp) run from 1970-01-19 12:40:11 to 1970-01-19 13:08:32, 28 minutes: "
            "`time_unit: s` would be 2020-09-22 21:43:20 to 2020-10-12 14:13:20",
        ),
        (
            "s",  # ids
            [1, 4711],
            "the log's times (timestamp) run from 1970-01-01 00:00:01 to 1970-01-01 01:18:31, 78 minutes: "
            "no unit makes them dates between 1990 and today: is 'timestamp' the column of times?",
        ),
        (
            "s",  # dates as numbers
            [20_200_922, 20_210_301],
            "the log's times (timestamp) run from 1970-08-22 19:22:02 to 1970-08-22 21:58:21, 3 hours: "
            "`time_unit: iso8601` would be 2020-09-22 00:00:00 to 2021-03-01 00:00:00",
        ),
        (
            "s",
            [1_600_000_000, 4_102_444_800],
            "the log's times (timestamp) run from 2020-09-13 12:26:40 to 2100-01-01 00:00:00, which is in the future",
        ),
        ("s", [1_600_000_000] * 2, "all events have the same time (timestamp): 2020-09-13 12:26:40"),
    ],
)
def test_implausible_times_are_reported_with_the_unit_that_would_make_sense(unit, span, message):
    config = config_of(data={"folder": "-", "interactions": {"path": "log.csv", "time_unit": unit}})
    assert _warnings(config, spans={"interactions": {"timestamp": span}}) == ([message] if message else [])


def test_times_of_other_columns_are_reported_only_where_another_unit_makes_sense():
    config = config_of(data=ITEMS)
    spans = {"items": {"released": [-1e9, 1e9], "born": [-5e8, -4e8], "added": [1_600_811, 1_602_512]}}
    assert _warnings(config, spans=spans) == []  # in s, 1.6 million are no milliseconds either
    data = ITEMS | {"interactions": {"path": "log.csv", "time_unit": "ms"}}
    assert _warnings(config_of(data=data), spans=spans) == [
        "the times of added in items.csv run from 1970-01-19 12:40:11 to 1970-01-19 13:08:32: "
        "`time_unit: s` would be 2020-09-22 21:43:20 to 2020-10-12 14:13:20"
    ]


TASKS = {
    "retrieval": {"kind": "retrieval"},
    "bought": {"kind": "binary", "label": "event == 'Buy'"},
    "stars": {"kind": "regression", "label": "rating", "where": "event == 'rate'"},
    "seen": {"kind": "binary", "label": "1"},
}


def test_expressions_that_say_the_same_of_all_are_reported_with_the_values():
    config = config_of(tasks=TASKS, positive="event in ['buy', 'view']")
    found = _warnings(
        config,
        expressions={
            "positive": {"of": 1315, "holds": 1315},
            "tasks.bought.label": {"of": 1315, "holds": 0},
            "tasks.stars.where": {"of": 1315, "holds": 0},
            "tasks.stars.label": {"of": 0, "holds": 0},
            "tasks.seen.label": {"of": 1315, "holds": 1315},
        },
        labels={"tasks.bought.label": [0, 0], "tasks.seen.label": [1, 1]},
        values={"tasks.bought.label": {"event": {"view": 1300, "buy": 12, "": 3}}},
    )
    assert found == [
        "`positive` (event in ['buy', 'view']) holds for all 1,315 events",
        "`tasks.bought.label` (event == 'Buy') is 0 in all 1,315 events that have one; "
        "event holds 'view' (1,300), 'buy' (12), nothing (3)",
        "`tasks.stars.where` (event == 'rate') holds for 0 of 1,315 events",
        "`tasks.stars.label` (rating) has a value in no event",
    ]


def test_no_positive_stops():
    expressions = {"positive": {"of": 315, "holds": 0}}
    report = _report(expressions=expressions, values={"positive": {"event": {"view": 300, "buy": 15}}})
    message = (
        r"^`positive` \(event == 'purchase'\) holds for 0 of 315 events; event holds 'view' \(300\), 'buy' \(15\)$"
    )
    with pytest.raises(IngestError, match=message):
        check(report, config_of(positive="event == 'purchase'"))


def test_too_many_bad_rows_are_shown_with_the_unit_that_would_read_them():
    interactions = {"rows": 9, "bad_rows": 9, "dropped": {"malformed row": 1, "unparsable timestamp": 8}}
    sample = {"table": "interactions", "file": "/data/log.csv"}
    samples = [
        sample | {"reason": "malformed row", "line": 2, "column": "", "value": "1,2", "expected": "has 2 values"},
        sample
        | {"reason": "unparsable timestamp", "row": 7, "column": "timestamp"}
        | {"value": "1600811170000", "expected": "seconds"},
    ]
    with pytest.raises(IngestError) as error:
        check(_report(interactions=interactions, samples=samples), config_of())
    assert str(error.value).splitlines() == [
        "9 of 9 rows of the table `interactions` are bad (100.0%), more than `cleaning.max_bad_share` allows (5.0%): "
        "malformed row: 1, unparsable timestamp: 8",
        "  log.csv, line 2 has 2 values: '1,2'",
        "  log.csv, row 7: timestamp is '1600811170000', expected seconds",
        "  '1600811170000': `time_unit: ms`?",
    ]


@pytest.mark.parametrize(
    ("values", "unit", "suggested"),
    [
        (["1600811170000", "1600811171000"], "s", "ms"),
        (["1600811170000000"], "s", "us"),
        (["2020-09-22"], "s", "iso8601"),
        (["2020-09-22T10:00:00Z"], "ms", "iso8601"),
        (["1600811170"], "iso8601", "s"),
        (["soon", "1600811170000"], "s", None),
        (["soon"], "iso8601", None),
    ],
)
def test_the_unit_that_reads_what_the_configured_one_does_not(values, unit, suggested):
    assert suggested_unit(values, unit) == suggested
