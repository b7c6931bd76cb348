"""Whole runs of ingest on odd names, infinite numbers, scripts, spans, duplicate items and little data."""

import json
import math

import pyarrow as pa
import pytest
import tensorflow as tf

from config import load_config
from pipeline.ingest.verdicts import IngestError
from tests.pipeline.field.cases import (
    ROWS,
    START,
    check,
    csv_text,
    field_case,
    good,
    warned,
    write_case,
)
from tests.pipeline.ingest.conftest import run_ingest
from transform.text import text

NAMES = {"id": 0, "index": 1, "from": 2}
TITLES = ["手機保護殼", "Cafe\u0301 C++", "Caf\u00e9 C#", "ワイヤレス", "हिन्दी"]
COUNTRIES = ("España", "日本")
WATCHED = {3: (2.0, 0.0), 5: (math.inf, 1.0), 7: (math.nan, 4.0)}
"""Seconds and length in some rows; 2 and 4 in all others."""


def _log(rows):
    """A log whose columns are called as keywords, indexes and sentences are."""
    watched = [WATCHED.get(n, (2.0, 4.0)) for n in range(len(rows))]
    return pa.table(
        {name: [row[place] for row in rows] for name, place in NAMES.items()}
        | {
            "class": ["abc"[n % 3] for n in range(len(rows))],
            "Device Name": [f"Pixel {n % 2} (web)" for n in range(len(rows))],
            "Star Rating (1-5)": [1 + n % 5 for n in range(len(rows))],
            "seconds": [seconds for seconds, _ in watched],
            "length": [length for _, length in watched],
            "price": [math.nan if n == 9 else 1.5 for n in range(len(rows))],
        }
    )


ITEM_ROWS = [(n, title, "" if n == 2 else f"k{n}", 1990 + n) for n, title in enumerate(TITLES, start=1)]
LATER_ROWS = [(n, "Another", f"other{n}", 1) for n in (4, 2)]
FEATURES = {
    "user": [{"name": "country", "column": "País de origen", "kind": "categorical"}],
    "item": [
        {"name": "name", "kind": "text"},
        {"name": "kind", "column": "class", "kind": "categorical"},
        {"name": "year", "column": "Año", "kind": "numeric"},
    ],
    "context": [
        {"name": "name", "column": "Device Name", "kind": "categorical"},
        {"name": "price", "kind": "numeric"},
    ],
}
TASKS = {
    "retrieval": {"kind": "retrieval"},
    "stars": {"kind": "regression", "label": "`Star Rating (1-5)` / 5"},
    "watch": {"kind": "regression", "label": "seconds / length"},
}


def ingest(path):
    """Runs ingest; its report and the examples of each split."""
    run = run_ingest(load_config(path), path.parent / "ingested")
    report = json.loads((run.folder / "ingest.json").read_text())
    return report, {split: run.examples(split) for split in ("train", "eval", "test", "items")}


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    """One run over all of it: the report, and the examples of each split."""
    files = {
        "day-9/log.parquet": _log([(99, 99, START)] * 9),
        "day-10/log.parquet": _log(ROWS),
        "items.csv": csv_text("id,name,class,Año", ITEM_ROWS + LATER_ROWS),
        "users.csv": csv_text(
            "id,name,País de origen", [(n, f"Person {n}", ("España", "日本")[n % 2]) for n in range(1, 9)]
        ),
    }
    path = write_case(
        tmp_path_factory.mktemp("field"),
        files,
        {"path": "day-{SPAN}/log.parquet", "user": "id", "item": "index", "time": "from"},
        {"id": "id"},
        {"id": "id"},
        positive="`class` in ['a', 'b']",
        features=FEATURES,
        tasks=TASKS,
    )
    return ingest(path)


@pytest.fixture
def events(ingested):
    """What the windows of all splits say of each event at its time."""
    columns = ("is_positive", "label_stars", "label_watch", "weight_watch", "context_name", "context_price")
    return {
        time: {"user": example["user_id"][0], "item": example["item_id"][n]} | {c: example[c][n] for c in columns}
        for split in ("train", "eval", "test")
        for example in ingested[1][split]
        for n, time in enumerate(example["time"])
    }


KEPT = [(n, *row) for n, row in enumerate(ROWS) if n != 5]


@field_case("16-reserved-names")
def test_columns_may_have_any_name(name, ingested, events):
    for n, user, item, time in KEPT:
        found = events[time]
        assert (found["user"], found["item"], found["is_positive"]) == (str(user), str(item), int(n % 3 < 2))
        assert found["label_stars"] == pytest.approx((1 + n % 5) / 5)
        assert found["context_name"] == f"Pixel {n % 2} (web)"
    for example in ingested[1]["test"]:
        assert example["user_country"] == [COUNTRIES[int(example["user_id"][0]) % 2]]
    catalogue = {example["catalogue_id"][0]: example for example in ingested[1]["items"]}
    assert {item: example["item_year"] for item, example in catalogue.items()} == {
        str(n): [1990 + n] for n in range(1, 6)
    }


@field_case("20c-inf")
def test_infinite_numbers_are_bad_and_what_is_divided_by_zero_has_no_label(name, ingested, events):
    report = ingested[0]
    assert report["interactions"] == {"rows": 40, "kept": 39, "bad_rows": 1, "dropped": {"unparsable seconds": 1}}
    assert [(s["row"], s["column"], s["value"]) for s in report["samples"]] == [(6, "seconds", "inf")]
    assert ROWS[5][2] not in events
    labels = {n: (events[time]["label_watch"], events[time]["weight_watch"]) for n, _, _, time in KEPT}
    assert {n: label for n, label in labels.items() if label != (0.5, 1)} == {3: (0, 0), 7: (0, 0)}
    assert [n for n, _, _, time in KEPT if math.isnan(events[time]["context_price"])] == [9]


@field_case("26-text-scripts")
def test_titles_come_whole_and_give_words_of_their_scripts(name, ingested):
    titles = {example["catalogue_id"][0]: example["item_name"][0] for example in ingested[1]["items"]}
    assert titles == {str(n): title for n, title in enumerate(TITLES, start=1)}
    words = text(tf.sparse.from_dense([[titles[str(n)]] for n in range(1, 6)]), 9)
    assert [[word.decode() for word in row] for row in tf.RaggedTensor.from_sparse(words).to_list()] == [
        ["手機", "機保", "保護", "護殼"],
        ["caf\u00e9", "c++"],
        ["caf\u00e9", "c#"],
        ["ワイ", "イヤ", "ヤレ", "レス"],
        ["हिन्दी"],
    ]


@field_case("29-next-day")
def test_the_newest_span_is_read_alone(name, ingested):
    report, examples = ingested
    assert report["spans"]["interactions"]["from"] == [ROWS[0][2], ROWS[-1][2]]
    assert report["overlap"]["users"]["of"] == report["overlap"]["users"]["met"] == 8
    assert sum(report["splits"][split]["rows"] for split in ("train", "eval", "test")) == 39
    assert {example["user_id"][0] for example in examples["test"]} == {str(n) for n in range(1, 9)}


@field_case("37-item-duplicates")
def test_of_items_that_stand_twice_the_first_stays_and_the_others_are_counted(name, ingested):
    report, examples = ingested
    assert report["items"] == {"rows": 7, "kept": 5, "dropped": {"duplicate": 2}}
    kinds = {example["catalogue_id"][0]: example.get("item_kind") for example in examples["items"]}
    assert kinds == {"1": ["k1"], "2": None, "3": ["k3"], "4": ["k4"], "5": ["k5"]}


def _alone(folder, rows):
    return write_case(folder, {"log.csv": csv_text("u,i,t", rows)})


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([(n, n % 5, START + n) for n in range(60)], id="18a-oneoff"),
        pytest.param([(1, 1, START), (1, 2, START + 900)], id="18d-two-rows"),
    ],
)
def test_too_little_to_evaluate_stops_with_what_may_be_changed(rows, tmp_path):
    path = _alone(tmp_path, rows)
    assert check(path).code == 0
    found = f"{len(rows)} of {len(rows)} rows were kept"
    message = (
        rf"^the split `eval` is empty with `split\.method` leave_last_out; {found} .*\. Use more data, another method"
    )
    with pytest.raises(IngestError, match=message):
        ingest(path)


@field_case("18b-one-user")
def test_every_event_of_one_user_is_a_target_once(name, tmp_path):
    rows = [(1, n % 7, START + 97 * n) for n in range(300)]
    report, examples = ingest(_alone(tmp_path, rows))
    splits = report["splits"]
    assert {split: splits[split]["rows"] for split in ("train", "eval", "test")} == {"train": 298, "eval": 1, "test": 1}
    assert splits["items"] == {"examples": 7}
    targets = [t for e in examples["train"] for t, is_one in zip(e["time"], e["is_target"], strict=True) if is_one]
    assert sorted(targets) == [time for *_, time in rows[:298]]
    assert [example["time"][-1] for example in examples["test"]] == [rows[-1][2]]


@field_case("18c-one-item")
def test_one_item_is_a_catalogue(name, tmp_path):
    report, examples = ingest(_alone(tmp_path, [(n % 6, 1, START + n) for n in range(60)]))
    assert [example["catalogue_id"] for example in examples["items"]] == [["1"]]
    assert report["splits"]["train"] == {"rows": 48, "examples": 6, "users": 6, "items": 1}
    assert {tuple(example["seen_item_id"]) for example in examples["test"]} == {("1",)}


RATED = {
    "rating": {"kind": "regression", "label": "rating", "min": 1, "max": 5},
    "like": {"kind": "binary", "label": "rating >= 4"},
    "prefer": {"kind": "pairwise", "label": "rating"},
}


def _rated(name, rating, *printed, **more):
    rows = [(*row, rating(*row)) for row in ROWS]
    keys = {"tasks": {"retrieval": {"kind": "retrieval"}} | RATED, "printed": printed[1:]} | more
    files = {"log.csv": csv_text("u,i,t,rating", rows)}
    return warned(name, files, printed[0], **keys) if printed else good(name, files, **keys)


ALIKE = [
    _rated(
        "19-constant-labels",
        lambda u, i, t: 5,
        "`tasks.rating.label` (rating) is 5 in all 40 events that have one",
        "warning: `tasks.like.label` (rating >= 4) is 1 in all 40 events that have one; rating holds '5' (40)\n",
        "warning: `tasks.prefer.label` (rating) is 5 in all 40 events that have one\n",
        "warning: rating of log.csv is always '5'\n",
        reads="label_rating,label_like,weight_prefer",
        rows=[(5, 1, 1)] * 40,
    ),
    _rated(
        "nobody-likes-anything",
        lambda u, i, t: 1 + u % 3,
        "`tasks.like.label` (rating >= 4) is 0 in all 40 events that have one; rating holds '2' (15), '3' (15)",
        reads="label_rating,label_like",
        rows=[(1 + u % 3, 0) for u, _, _ in ROWS],
    ),
    _rated(
        "one-label-in-all",
        lambda u, i, t: 4 if t == START else "",
        "`tasks.rating.label` (rating) is 4 in all 1 events that have one",
        reads="label_rating,weight_rating",
        rows=[(4, 1)] + [(0, 0)] * 39,
    ),
    _rated("each-user-one-label", lambda u, *_: 1 + u % 5, reads="label_rating", rows=[1 + u % 5 for u, _, _ in ROWS]),
    warned(
        "18b-one-user", {"log.csv": csv_text("u,i,t", [(1, i, t) for _, i, t in ROWS])}, "u of log.csv is always '1'"
    ),
    warned(
        "18c-one-item", {"log.csv": csv_text("u,i,t", [(u, 1, t) for u, _, t in ROWS])}, "i of log.csv is always '1'"
    ),
]


@pytest.mark.parametrize("case", ALIKE)
def test_what_is_the_same_in_all_events_is_reported_and_read(case, tmp_path):
    """Training then leaves out what needs a difference: `tests/trainer/stacking/test_degenerate.py`."""
    case.assert_holds(tmp_path)
