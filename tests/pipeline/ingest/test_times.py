"""Times in their common forms, and in another one for each table and feature."""

import datetime
import json

import pyarrow as pa
import pytest

from config import ConfigError, parse_config
from pipeline.ingest.times import as_nanoseconds, as_time
from tests.pipeline.ingest.read_tables import config, events, items

AT = 1600811170  # 2020-09-22T21:46:10Z
DAY = 1577836800  # 2020-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("column", "unit", "expected", "unparsable"),
    [
        (pa.array([str(DAY), "soon", "", None]), "s", [DAY, None, None, None], [0, 1, 0, 0]),
        (pa.array([DAY * 1000 + 999, -1]), "ms", [DAY, -1], [0, 0]),
        (pa.array([DAY * 10**9 + 1]), "ns", [DAY], [0]),
        (pa.array([881250949.0]), "s", [881250949], [0]),
        # Milliseconds taken for seconds lie 50,000 years ahead.
        (pa.array([DAY * 1000]), "s", [None], [1]),
        (pa.array([datetime.datetime(2020, 1, 1)]), "ms", [DAY], [0]),
        (pa.array([datetime.date(2020, 1, 1)]), "ms", [DAY], [0]),
        (
            pa.array([" 2020-01-01 ", "2020-01-01T01:00:00.5+01:00", "1.1.2020", None, "NULL", "nan"]),
            "iso8601",
            [DAY, DAY, None, None, None, None],
            [0, 0, 1, 0, 0, 0],
        ),
        # A time without an offset is UTC whatever stands before it.
        (
            pa.array(["2020-01-01T05:00:00+05:00", "2020-01-01T00:00:00", "2020-01-01 00:00Z", "2020-01-01"]),
            "iso8601",
            [DAY, DAY, DAY, DAY],
            [0, 0, 0, 0],
        ),
    ],
)
def test_times(column, unit, expected, unparsable):
    parsed = as_time(column, unit)
    assert parsed.values.to_pylist() == expected
    assert parsed.values.type == pa.int64()
    assert parsed.is_unparsable.tolist() == [bool(u) for u in unparsable]


@pytest.mark.parametrize(
    ("column", "unit", "expected"),
    [
        (pa.array([DAY * 1000 + 7, -1]), "ms", [DAY * 10**9 + 7 * 10**6, -(10**6)]),
        (pa.array([DAY * 10**6 + 7]), "us", [DAY * 10**9 + 7000]),
        (pa.array([DAY + 0.5, -0.25]), "s", [DAY * 10**9 + 5 * 10**8, -25 * 10**7]),
        (pa.array([str(DAY), None]), "s", [DAY * 10**9, None]),
        (pa.array(["2020-01-01T00:00:00.000001"]), "iso8601", [DAY * 10**9 + 1000]),
        (pa.array([datetime.datetime(2020, 1, 1, microsecond=3)]), "s", [DAY * 10**9 + 3000]),
    ],
)
def test_nanoseconds(column, unit, expected):
    assert as_nanoseconds(column, unit).values.to_pylist() == expected


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("iso8601", "2020-09-22 21:46:10 UTC"),
        ("iso8601", "2020-09-22 21:46:10.999 utc"),
        ("iso8601", "2020-09-22T21:46:10GMT"),
        ("iso8601", "2020-09-22T21:46:10z"),
        ("iso8601", "2020-09-22T21:46:10Z[UTC]"),
        ("iso8601", "2020-09-22 21:46:10 +0000"),
        ("iso8601", "2020-09-22 16:46:10 -05:00"),
        ("%Y-%m-%d %H:%M:%S UTC", " 2020-09-22 21:46:10 UTC"),
        ("%m/%d/%Y %I:%M:%S %p", "9/22/2020 9:46:10 PM"),
        ("%d.%m.%Y %H:%M:%S", "22.09.2020 21:46:10"),
        ("%a %b %d %H:%M:%S %z %Y", "Tue Sep 22 23:46:10 +0200 2020"),
        ("%Y%m%d%H%M%S", "20200922214610"),
        ("%Y-%m-%dT%H:%M:%S.%f", "2020-09-22T21:46:10.500"),
    ],
)
def test_a_time_is_read(form, text):
    read = as_time(pa.array([text, "NA", None, "soon"]), form)
    assert read.values.to_pylist() == [AT, None, None, None]
    assert read.is_unparsable.tolist() == [False, False, False, True]


def test_integers_have_formats_too():
    assert as_time(pa.array([20200922]), "%Y%m%d").values.to_pylist() == [AT - AT % 86400]


def test_all_times_of_a_file_of_mixed_suffixes_are_read():
    column = pa.array(["2020-09-22 21:46:10 UTC", "2020-09-22T21:46:10", "2020-09-22 23:46:10+02:00", "x UTC"])
    read = as_time(column, "iso8601")
    assert read.values.to_pylist() == [AT, AT, AT, None]
    assert read.is_unparsable.tolist() == [False, False, False, True]


def test_each_table_and_feature_has_its_own(tmp_path):
    (tmp_path / "log.csv").write_text(f"u,i,t,seen,at\n1,2,22/09/2020 09:46:10 PM,{AT}000,22/09/2020 09:46:11 PM\n")
    (tmp_path / "items.csv").write_text(f"i,released,added,out\n2,2020-09-22,22.09.2020,{AT}\n")
    features = {
        "context": [{"name": "seen", "kind": "time", "time_unit": "ms"}, {"name": "at", "kind": "time"}],
        "item": [
            {"name": "released", "kind": "time"},
            {"name": "added", "kind": "time", "time_format": "%d.%m.%Y"},
            {"name": "out", "kind": "time", "time_unit": "s"},
        ],
    }
    log = {"time_format": "%d/%m/%Y %I:%M:%S %p"}
    found = config(tmp_path, log, {"time_unit": "iso8601"}, features=features)
    (event,), _ = events(found)
    assert (event["time"], event["context_seen"], event["context_at"]) == (AT, AT, AT + 1)
    (item,) = items(found)
    midnight = AT - AT % 86400
    assert (item["item_released"], item["item_added"], item["item_out"]) == (midnight, midnight, AT)


def test_a_table_of_entities_is_as_the_interactions_by_default(tmp_path):
    (tmp_path / "items.csv").write_text("i,released\n2,22.09.2020\n")
    features = {"item": [{"name": "released", "kind": "time"}]}
    found = config(tmp_path, {"time_format": "%d.%m.%Y"}, {}, features=features)
    assert items(found)[0]["item_released"] == AT - AT % 86400


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"time_format": "yyyy-MM-dd"}, "should hold directives of strptime"),
        ({"time_format": "%Q"}, "is no format of strptime"),
        ({"time_format": "%Y", "time_unit": "ms"}, "`time_unit` should be left out beside `time_format`"),
    ],
)
def test_formats_that_are_none(keys, message):
    data = {"folder": "-", "interactions": {"path": "log.csv"} | keys}
    with pytest.raises(ConfigError, match=message):
        parse_config(json.dumps({"name": "a", "data": data}))


def test_numbers_beyond_float32_are_bad(tmp_path):
    lines = ["1,1,1,1e39,5", "1,2,2,3,1e39", f"1,3,3,{10**400},5", "1,4,4,-3.4e38,5", "1,5,5,1e20,1e20"]
    (tmp_path / "log.csv").write_text("\n".join(["u,i,t,seconds,price", *lines]))
    sections = {
        "tasks": {"watch": {"kind": "regression", "label": "seconds * 1e10"}},
        "features": {"context": [{"name": "price", "kind": "numeric"}]},
    }
    found, counts = events(config(tmp_path, {}, **sections))
    assert [row["item"] for row in found] == ["5"]
    assert {key[2]: n for key, n in counts.items() if key[1] == "dropped"} == {
        "seconds beyond float32": 1,
        "price beyond float32": 1,
        "unparsable seconds": 1,
        "label of `watch` beyond float32": 1,
    }


def test_features_of_items_beyond_float32_are_missing(tmp_path):
    (tmp_path / "items.csv").write_text("i,price\na,1e39\nb,3e38\n")
    features = {"item": [{"name": "price", "kind": "numeric"}]}
    assert [row["item_price"] is None for row in items(config(tmp_path, {}, {}, features=features))] == [True, False]
