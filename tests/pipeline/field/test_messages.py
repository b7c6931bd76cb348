"""Configurations that are nearly right: names, words that YAML reads otherwise, and requests."""

import pytest

from config import load_config
from serving.client import Request
from serving.client.request import encode_example
from tests.pipeline.field.cases import (
    LOG,
    ROWS,
    check,
    csv_text,
    refused,
    write_case,
)
from tests.pipeline.ingest.reference import decode

ID = {"item": [{"name": "id", "kind": "categorical"}, {"name": "Brand", "kind": "categorical"}]}
NAMES = [
    refused(
        "09c-nested-key",
        {"log.jsonl": [{"user": {"id": u}, "i": i, "t": t} for u, i, t in ROWS]},
        "`data.interactions.user`: no such column: 'user.id'. Did you mean `user`? Columns of log.jsonl: user, i, t\n",
        interactions={"path": "log.jsonl", "user": "user.id"},
    ),
    refused(
        "16b-feature-named-id",
        {"log.csv": LOG, "items.csv": csv_text("i,id,Brand", [(1, 1, "b")])},
        "`features.item[1].name`: should match pattern '^[a-z][a-z0-9_]*$'. Give the feature a name such as 'brand'; "
        "`column: Brand` reads it. Received: 'Brand'",
        items={},
        features=ID,
    ),
    refused(
        "43-header-case",
        {"log.csv": csv_text("USER_ID,Item_ID,TimeStamp", ROWS)},
        "no such column: 'user_id'. Did you mean `USER_ID`? Columns of log.csv: USER_ID, Item_ID, TimeStamp\n",
        "no such column: 'item_id'. Did you mean `Item_ID`? ",
        "no such column: 'timestamp'. Did you mean `TimeStamp`? ",
        interactions={"user": "user_id", "item": "item_id", "time": "timestamp"},
    ),
    refused(
        "words-of-a-header-put-together-otherwise",
        {"log.csv": csv_text("user id,ItemId,t", ROWS)},
        "no such column: 'user_id'. Did you mean `user id`? ",
        "no such column: 'item-id'. Did you mean `ItemId`? ",
        interactions={"user": "user_id", "item": "item-id"},
    ),
    refused(
        "a-name-without-letters-of-ascii",
        {"log.csv": LOG, "items.csv": csv_text("i,Größe (cm)", [(1, 1)])},
        "Give the feature a name such as '",
        "`column: Größe (cm)` reads it. Received: 'Größe (cm)'",
        items={},
        features={"item": [{"name": "Größe (cm)", "kind": "numeric"}]},
    ),
    refused(
        "16b-feature-named-id-alone",
        {"log.csv": LOG, "items.csv": csv_text("i,id", [(1, 1)])},
        "`features`: `item` should not name a feature twice, nor after an id (id, id_frequency); `column` may be "
        "anything. Received: 'id'",
        items={},
        features={"item": ID["item"][:1]},
    ),
]


@pytest.mark.parametrize("case", NAMES)
def test_names_that_are_nearly_right_are_reported_with_the_right_ones(case, tmp_path):
    case.assert_holds(tmp_path)


QUOTE = "should be text, and to YAML (on, off, yes, no, true, false) it is {}. Put it in quotes\n"
YAML = [
    ("17a-yaml-bools", "user: u", "user: no", f"`data.interactions.user`: {QUOTE.format(False)}"),
    ("17a-yaml-bools-of-the-name", "name: field", "name: on", f":1: `name`: {QUOTE.format(True)}"),
    ("17c-yaml-tabs", "  folder:", "\tfolder:", ":3:1: is not YAML: found character '\\t' that cannot start any token"),
    ("17d-yaml-sci", "epochs: 1.0", "epochs: 1e1", "`training.epochs`: should be a valid integer"),
    ("17d-yaml-sci-and-yes", "label: '1'", "label: yes", f"`tasks.buy.label`: {QUOTE.format(True)}"),
    ("a-colon-in-a-value", "path: log.csv", "path: log.csv: x", "is not YAML: mapping values are not allowed here"),
    (
        "a-date-as-a-name",
        "item: i",
        "item: 2024-05-01",
        "`data.interactions.item`: should be text, and to YAML it is date",
    ),
]


@pytest.mark.parametrize(("old", "new", "printed"), [pytest.param(*rest, id=name) for name, *rest in YAML])
def test_what_yaml_makes_of_words_is_reported(old, new, printed, tmp_path):
    tasks = {"retrieval": {"kind": "retrieval"}, "buy": {"kind": "binary", "label": "1"}}
    path = write_case(tmp_path, {"log.csv": LOG}, tasks=tasks, training={"epochs": 1.0, "batch_size": 16})
    assert check(path).code == 0
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    found = check(path)
    assert found.code == 2
    assert printed in found.text


@pytest.mark.parametrize("written", [pytest.param("1e-3", id="17d-yaml-sci"), "1E0", "+2.5e-2"])
def test_numbers_of_yaml_are_read_in_scientific_notation(written, tmp_path):
    """YAML 1.1 takes 1e-3 for a word."""
    path = write_case(tmp_path, {"log.csv": LOG}, training={"optimizer": {"learning_rate": 0.125}})
    path.write_text(path.read_text().replace("0.125", written))
    assert check(path).code == 0
    assert load_config(path).training.optimizer.learning_rate == float(written)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param({"history": "007"}, {"item_id": ["007"]}, id="50-history-as-string"),
        pytest.param({"history": "007", "times": [9, 10]}, {"item_id": ["007"], "time": [9, 10]}, id="with-times"),
        pytest.param(
            {"exclude": "12", "allow": "ab"}, {"exclude_item_id": ["12"], "allow_item_id": ["ab"]}, id="others"
        ),
    ],
)
def test_one_id_in_place_of_a_list_is_one_id(keys, expected):
    assert decode(encode_example(Request(**keys))) == expected


@pytest.mark.parametrize("time", [pytest.param(1_600_000_000_000, id="50-history-as-string-in-milliseconds")])
def test_milliseconds_are_no_times_of_a_request(time):
    message = f"`times` should be seconds since 1970, not milliseconds. Received: {time}"
    with pytest.raises(ValueError, match=message):
        Request(history="7", times=[time])
