"""Times in the forms that people bring, and in another one for each table and feature."""

import json

import pyarrow as pa
import pytest

from config import ConfigError, parse_config
from pipeline.ingest.values import as_time
from tests.pipeline.ingest.read_tables import config, events, items

AT = 1600811170  # 2020-09-22T21:46:10Z


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
