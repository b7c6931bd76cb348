"""Times in common forms and units, and implausible times."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from tests.pipeline.field.cases import (
    HOUR,
    LOG,
    ROWS,
    START,
    check,
    csv_text,
    good,
    log_rows,
    refused,
    warned,
    write_case,
)

TIMES = [t for _, _, t in ROWS]
ISO = {"time_unit": "iso8601"}
BEGIN = "2020-09-13 12:26:40"


def _log(written):
    """The log with times as a function writes them, between quotes."""
    return {"log.csv": csv_text("u,i,t", [(u, i, f'"{written(t)}"') for u, i, t in ROWS])}


def _as(form):
    return lambda t: datetime.fromtimestamp(t, UTC).strftime(form)


def _read(name, written, shift=0, times=TIMES, **keys):
    return good(name, _log(written), "time", [t + shift for t in times], interactions=keys)


READ = [
    _read("01-utc-suffix", _as("%Y-%m-%d %H:%M:%S UTC"), **ISO),
    _read("an-offset-of-half-an-hour", _as("%Y-%m-%d %H:%M:%S+05:30"), -5.5 * HOUR, **ISO),
    _read("z-in-lower-case", _as("%Y-%m-%dt%H:%M:%Sz"), **ISO),
    _read("milliseconds-behind-a-comma", _as("%Y-%m-%d %H:%M:%S,125"), **ISO),
    _read("no-separators", _as("%Y%m%dT%H%M%SZ"), **ISO),
    _read("half-a-day", _as("%m/%d/%Y %I:%M:%S %p"), time_format="%m/%d/%Y %I:%M:%S %p"),
    _read("a-mail", _as("%a, %d %b %Y %H:%M:%S +0200"), -2 * HOUR, time_format="%a, %d %b %Y %H:%M:%S %z"),
    _read("nanoseconds", lambda t: t * 10**9 + 7, time_unit="ns"),
    _read("fractions", lambda t: f" {t}.75 "),
    _read("days-as-numbers", _as("%Y%m%d"), times=[1_599_955_200] * 12, **ISO),
    good(
        "a-zone-of-parquet",
        {
            "log.parquet": pa.table(
                {
                    "u": [u for u, _, _ in ROWS],
                    "i": [i for _, i, _ in ROWS],
                    "t": pa.array([t * 10**6 for t in TIMES], pa.timestamp("us", "Asia/Kolkata")),
                }
            )
        },
        "time",
        TIMES,
        interactions={"path": "log.parquet"},
    ),
    good(
        "each-table-its-own",
        {"log.csv": LOG, "items.csv": csv_text("i,released", [(i, f"{i:02}-Jan-1995") for i in range(1, 6)])},
        "item_released",
        [788_918_400 + 24 * HOUR * n for n in range(5)],
        table="items",
        items={"time_format": "%d-%b-%Y"},
        features={"item": [{"name": "released", "kind": "time"}]},
    ),
]


@pytest.mark.parametrize("case", READ)
def test_times_are_read_as_they_are_written(case, tmp_path):
    case.assert_holds(tmp_path)


def _wrong(name, written, first, remedy, expected="seconds since 1970 (`time_unit: s`)", **keys):
    printed = f"log.csv, line 2: t is '{first}', expected {expected}"
    return refused(name, _log(written), printed, f"\n  '{first}': {remedy}?\n", "unparsable t: 40", interactions=keys)


ISO_EXPECTED = "a time such as 2024-05-01T12:30:00Z (`time_unit: iso8601`)"
RELEASED = {"items": {}, "features": {"item": [{"name": "released", "kind": "time"}]}}
UNREAD = [
    _wrong("08c-time-unit", lambda t: t * 1000, START * 1000, "`time_unit: ms`"),
    _wrong("41-date-with-default-unit", _as("%Y-%m-%d"), "2020-09-13", "`time_unit: iso8601`"),
    _wrong("numbers-for-iso8601", str, START, "`time_unit: s`", ISO_EXPECTED, **ISO),
    _wrong("words-for-months", _as("%b %d %Y"), "Sep 13 2020", '`time_format: "%b %d %Y"`', ISO_EXPECTED, **ISO),
    _wrong("a-spreadsheet", _as("%d.%m.%Y %H:%M"), "13.09.2020 12:26", '`time_format: "%d.%m.%Y %H:%M"`'),
    _wrong("digits-alone", _as("%Y%m%d%H%M%S"), "20200913122640", '`time_format: "%Y%m%d%H%M%S"`'),
    _wrong(
        "day-and-month-changed",
        _as("%m/%d/%Y"),
        "09/13/2020",
        '`time_format: "%m/%d/%Y"`',
        "a time such as 01/05/2024 (`time_format: '%d/%m/%Y'`)",
        time_format="%d/%m/%Y",
    ),
    _wrong(
        "day-or-month",
        _as("03/04/2020 %H:%M"),
        "03/04/2020 12:26",
        '`time_format: "%d/%m/%Y %H:%M"` or `time_format: "%m/%d/%Y %H:%M"`',
    ),
    _wrong(
        "a-web-server",
        _as("%d/%b/%Y:%H:%M:%S +0000"),
        "13/Sep/2020:12:26:40 +0000",
        '`time_format: "%d/%b/%Y:%H:%M:%S %z"`',
    ),
    refused(
        "a-time-of-the-items",
        {"log.csv": LOG, "items.csv": csv_text("i,released", [(i, (START + i) * 1000) for i in range(1, 6)])},
        f"items.csv, line 2: released is '{START + 1}000', expected seconds since 1970 (`time_unit: s`)",
        f"\n  '{START + 1}000': `time_unit: ms`?\n",
        **RELEASED,
    ),
]


@pytest.mark.parametrize("case", UNREAD)
def test_times_that_cannot_be_read_are_shown_with_the_key_that_would_read_them(case, tmp_path):
    case.assert_holds(tmp_path)


def test_no_key_is_named_where_none_would_read_the_times(tmp_path):
    found = check(write_case(tmp_path, _log(_as("week %V"))))
    assert found.code == 2
    assert found.text.endswith("log.csv, line 6: t is 'week 37', expected seconds since 1970 (`time_unit: s`)\n")


IMPLAUSIBLE = [
    warned(
        "08a-time-unit",
        {"log.csv": LOG},
        "the log's times (t) run from 1970-01-19 12:26:40 to 1970-01-19 12:29:00, 2 minutes: `time_unit: s` would be "
        f"{BEGIN} to 2020-09-15 03:20:00",
        interactions={"time_unit": "ms"},
    ),
    warned(
        "ids-in-the-column-of-times",
        _log(lambda t: t % 997),
        "no unit makes them dates between 1990 and today: is 't' the column of times?",
    ),
    warned(
        "some-rows-of-another-unit",
        {"log.csv": csv_text("u,i,t", [(u, i, t * (1000 if u % 2 else 1)) for u, i, t in ROWS])},
        "the log's times (t) run from 1970-01-19 12:26:43 to 2020-09-15 02:26:40, and no log is older than 1980: are "
        "some rows of another unit, or without a time?",
        interactions={"time_unit": "ms"},
    ),
    warned(
        "days-read-as-seconds",
        _log(_as("%Y%m%d")),
        "`time_unit: iso8601` would be 2020-09-13 00:00:00 to 2020-09-15 00:00:00",
    ),
    warned("one-time-for-all", _log(lambda t: START), f"all events have the same time (t): {BEGIN}"),
    warned(
        "years-of-items-read-as-seconds",
        {"log.csv": LOG, "items.csv": csv_text("i,released", [(i, 1950 + 10 * i) for i in range(1, 6)])},
        "the times of released in items.csv run from 1970-01-01 00:32:40 to 1970-01-01 00:33:20: `time_unit: iso8601` "
        "would be 1960-01-01 00:00:00 to 2000-01-01 00:00:00",
        **RELEASED,
    ),
]


@pytest.mark.parametrize("case", IMPLAUSIBLE)
def test_times_that_cannot_be_are_reported_with_what_would_make_sense(case, tmp_path):
    case.assert_holds(tmp_path)


FUTURE = [
    good(
        "28b-future-rows",
        {"log.csv": LOG + "9,1,4102444801\n9,2,4102444802\n"},
        "time",
        TIMES,
        printed=["bad row: log.csv, line 42: t is '4102444801', expected at most ", "to 2020-09-15 03:26:40 UTC"],
    ),
    warned(
        "a-log-that-was-made-up",
        {"log.csv": LOG + "9,1,4102444801\n"},
        f"the log's times (t) run from {BEGIN} to 2100-01-01 00:00:01, which is in the future",
        cleaning={"max_future_days": None},
        reads="time",
        rows=[*TIMES, 4_102_444_801],
    ),
    refused(
        "a-clock-that-runs-ahead",
        _log(lambda t: t + 10**9),
        "40 of 40 rows of the table `interactions` are bad (100.0%)",
        f"log.csv, line 2: t is '{START + 10**9}', expected at most ",
        "future t: 40",
    ),
]


@pytest.mark.parametrize("case", FUTURE)
def test_what_has_not_happened_yet_is_no_event(case, tmp_path):
    case.assert_holds(tmp_path)


EPOCHS = ["-86400", "0", " 1600000001 ", "+1600000002", "1.6e9", "1600000003.9"]
NO_EPOCHS = ["1,600,000,002", "0x5F5E1000", "1_600_000_005", "\uff11\uff16", "4102444800"]


def _epochs():
    written = [(9, 1 + n % 5, f'"{text}"') for n, text in enumerate(EPOCHS + NO_EPOCHS)]
    return {"log.csv": csv_text("u,i,t", written + log_rows(120))}


EPOCH_CASE = warned(
    "28-epochs",
    _epochs(),
    "the log's times (t) run from 1969-12-31 00:00:00 to 2020-09-18 11:26:40",
    "all 131 rows, 126 kept; unparsable t: 4",
    *(f"bad row: log.csv, line {8 + n}: t is '{text}', expected " for n, text in enumerate(NO_EPOCHS)),
    features={"context": [{"name": "hour", "column": "t", "kind": "time", "part": "hour"}]},
    reads="time,context_hour",
    rows=[(t, t) for t in (-86_400, 0, START + 1, START + 2, START, START + 3, *TIMES)],
)


@pytest.mark.parametrize("case", [EPOCH_CASE])
def test_epochs_are_numbers_and_nothing_else(case, tmp_path):
    case.assert_holds(tmp_path)
