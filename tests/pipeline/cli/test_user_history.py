import json
from pathlib import Path

import pandas as pd
import pytest

from config import parse_config
from config.data import DataConfig, InteractionTable
from pipeline.cli.user_history import find_rows, find_user_history, make_request
from pipeline.ingest.values import as_number, as_text


def _data(folder, path):
    """The tables of a folder, and the table of one path in it."""
    table = InteractionTable(path=path)
    return DataConfig(folder=str(folder), interactions=table), table


EVENTS = pd.DataFrame(
    {
        "user": [7, 8, 7, 7, 7],
        "item": ["c", "x", "a", "b", "z"],
        "at": [3000, 1, 1000, 3000, 2000],
        "rating": [4.0, 5.0, 3.0, None, 1.0],
        "device": ["tv", "tv", "", "phone", "tv"],
    }
)
CONFIG = """
name: shop
data:
  folder: {folder}
  interactions: {path: events.csv, user: user, item: item, time: at, time_unit: ms}
  users: {path: users.csv, id: user}
features:
  user:
    - {name: age, kind: numeric}
    - {name: place, kind: multi_valued, separator: ", ", column: location}
    - {name: joined, kind: time}
    - {name: both, kind: cross, of: [sex, plan]}
  context:
    - {name: device, kind: categorical}
  outcome:
    - {name: stars, kind: numeric, column: rating}
"""


@pytest.fixture
def shop(tmp_path):
    EVENTS.to_csv(tmp_path / "events.csv", index=False)
    (tmp_path / "users.csv").write_text(
        'user,age,location,joined,sex,plan\n8,30,,5000,f,\n7,24,"nyc, new york, ",86400000,m,pro\n'
    )
    return parse_config(CONFIG.replace("{folder}", str(tmp_path)))


def test_history_is_ordered_by_time_then_row_and_features_have_the_examples_types(shop):
    request = make_request(shop, find_user_history(shop, "7"), k=3)
    assert (request.user_id, request.k) == ("7", 3)
    assert request.history == ["a", "z", "c", "b"]  # c and b share a time: the file's order decides
    assert request.times == [1, 2, 3, 3, 3]  # seconds; the request's own is the last event's
    stars = request.features.pop("outcome_stars")
    assert stars[:3] == [3.0, 1.0, 4.0]
    assert stars[3] != stars[3]  # missing is NaN
    assert request.features == {
        "user_age": [24.0],
        "user_place": ["nyc", "new york"],
        "user_joined": [86400],
        "user_sex": ["m"],
        "user_plan": ["pro"],
        "context_device": ["", "tv", "tv", "phone"],
    }


def test_missing_user_features_are_absent(shop):
    assert find_user_history(shop, "8").features == {"user_age": [30.0], "user_joined": [5], "user_sex": ["f"]}


def test_only_positives_are_history(shop):
    person = find_user_history(shop.model_copy(update={"positive": "rating >= 3"}), "7")
    assert person.items == ["a", "c"]
    assert person.times == [1, 3]


def test_history_is_as_long_as_the_model_looks_back(shop):
    history = shop.model.history.model_copy(update={"max_events": 2})
    short = shop.model_copy(update={"model": shop.model.model_copy(update={"history": history})})
    assert find_user_history(short, "7").items == ["c", "b"]


def test_unknown_user_has_nothing(shop):
    request = make_request(shop, find_user_history(shop, "nobody"), k=None)
    assert (request.history, request.times, request.features) == ([], [], {})


def test_without_times_the_rows_order_counts(shop):
    interactions = shop.data.interactions.model_copy(update={"time": None})
    timeless = shop.model_copy(update={"data": shop.data.model_copy(update={"interactions": interactions})})
    request = make_request(timeless, find_user_history(timeless, "7"), k=None)
    assert (request.history, request.times) == (["c", "a", "b", "z"], [])


def test_iso_times_are_read(shop, tmp_path):
    table = EVENTS.assign(
        at=["1970-01-01T00:00:05Z", "x", "1970-01-01", "1970-01-01T01:00:01+01:00", "1970-01-01T00:00:02Z"]
    )
    table.to_csv(tmp_path / "events.csv", index=False)
    interactions = shop.data.interactions.model_copy(update={"time_unit": "iso8601"})
    iso = shop.model_copy(update={"data": shop.data.model_copy(update={"interactions": interactions})})
    assert find_user_history(iso, "7").times == [0, 1, 2, 5]


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_rows_are_found_in_every_format_in_the_files_order(tmp_path, kind):
    write(EVENTS.iloc[:2], tmp_path / f"events-1.{kind}")
    write(EVENTS.iloc[2:], tmp_path / f"events-2.{kind}")
    rows = find_rows(*_data(tmp_path, f"events-*.{kind}"), "user", ["7"], ["item", "rating"])
    assert rows["item"].to_pylist() == ["c", "a", "b", "z"]
    assert as_text(rows["user"]).to_pylist() == ["7"] * 4
    assert as_number(rows["rating"]).values.to_pylist() == [4.0, 3.0, None, 1.0]


def write(table: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in json.loads(table.to_json(orient="records"))))


def test_lists_stay_lists(tmp_path):
    pd.DataFrame({"id": [1, 2], "tags": [["a"], ["b", "c"]]}).to_parquet(tmp_path / "items.parquet")
    rows = find_rows(*_data(tmp_path, "items.parquet"), "id", ["2"], ["tags"])
    assert rows["tags"].to_pylist() == [["b", "c"]]
