import numpy as np
import pyarrow as pa
import pytest

from pipeline.ingest.batches import Batch
from pipeline.ingest.columns import Plan
from pipeline.ingest.events import clean_events
from tests.pipeline.ingest.reference import config_of

ROWS = [  # user_id, item_id, timestamp, rating, kind
    ("u1", "i1", "100", "5", "buy"),
    ("u1", "", "100", "5", "buy"),
    (" ", "i1", "100", "5", "buy"),
    ("u2", "i2", "soon", "5", "buy"),
    ("u2", "i2", "", "5", "buy"),
    ("u2", "i2", "200", "good", "buy"),
    ("u2", "i2", "200", "", "view"),
    ("u2", "i3", "201", "9", "buy"),
    ("", "", "soon", "good", ""),
]
TASKS = {
    "stars": {"kind": "regression", "label": "rating", "where": "kind == 'buy'"},
    "like": {"kind": "binary", "label": "rating >= 4"},
}


def _clean(rows=ROWS, malformed=0, **sections):
    plan = Plan(config_of(tasks=TASKS, **sections))
    names = ("user_id", "item_id", "timestamp", "rating", "kind")
    table = pa.table([pa.array(column) for column in zip(*rows, strict=True)], names=names)
    events, findings = clean_events(plan, Batch(table, malformed), file=3, first_row=10)
    return events, findings.counts


def test_bad_rows_are_dropped_under_their_first_reason():
    table, counts = _clean(malformed=2)
    assert counts == {
        ("interactions", "rows"): 11,
        ("interactions", "bad_rows"): 8,
        ("interactions", "dropped", "malformed row"): 2,
        ("interactions", "dropped", "missing user_id"): 2,
        ("interactions", "dropped", "missing item_id"): 1,
        ("interactions", "dropped", "unparsable timestamp"): 1,
        ("interactions", "dropped", "missing timestamp"): 1,
        ("interactions", "dropped", "unparsable rating"): 1,
    }
    assert table["user"].to_pylist() == ["u1", "u2", "u2"]
    assert table["time"].to_pylist() == [100, 200, 201]
    assert table["file"].to_pylist() == [3, 3, 3]
    assert table["row"].to_pylist() == [10, 16, 17]  # positions among all rows, dropped ones too


def test_labels_weights_and_positives():
    table, _ = _clean(positive="rating > 5")
    assert table["label_stars"].to_pylist() == [5, 0, 9]
    assert table["weight_stars"].to_pylist() == [1, 0, 1]
    assert table["label_like"].to_pylist() == [1, 0, 1]
    assert table["weight_like"].to_pylist() == [1, 0, 1]
    assert table["positive"].to_pylist() == [False, False, True]  # a missing rating is no positive


def test_a_label_that_is_no_chance_is_bad_where_a_chance_is_predicted():
    tasks = {"thumb": {"kind": "binary", "label": "rating", "where": "kind == 'buy'"}}
    plan = Plan(config_of(tasks=tasks))
    columns = {"user_id": list("abcde"), "item_id": list("xxxxx"), "timestamp": [1] * 5}
    columns |= {"rating": [0, 1, 0.5, -1, 7], "kind": ["buy", "buy", "buy", "buy", "view"]}
    table, findings = clean_events(plan, Batch(pa.table(columns), 0), file=0, first_row=0)
    counts = findings.counts
    assert table["label_thumb"].to_pylist() == [0, 1, 0.5, 0]  # of a view nothing is predicted
    assert table["weight_thumb"].to_pylist() == [1, 1, 1, 0]
    assert counts["interactions", "dropped", "label of `thumb` outside 0..1"] == counts["interactions", "bad_rows"] == 1


def test_a_multiclass_task_is_for_the_positives_or_where_it_says():
    tasks = {
        "retrieval": {"kind": "retrieval"},
        "genre": {"kind": "multiclass", "attribute": "genres"},
        "bought": {"kind": "multiclass", "attribute": "genres", "where": "kind == 'buy'"},
    }
    plan = Plan(config_of(tasks=tasks, positive="rating > 5"))
    columns = {"user_id": ["u"] * 4, "item_id": ["i"] * 4, "timestamp": range(4)}
    columns |= {"rating": [9, None, 2, 8], "kind": ["buy", "buy", None, "view"]}
    table, _ = clean_events(plan, Batch(pa.table({n: list(v) for n, v in columns.items()}), 0), 0, 0)
    assert table["weight_genre"].to_pylist() == [1, 0, 0, 1]
    assert table["weight_bought"].to_pylist() == [1, 1, 0, 0]
    assert not {"label_genre", "label_bought"} & set(table.column_names)


def test_tasks_of_a_kind_have_labels_of_their_own_and_missing_ones_have_no_weight():
    label = {"click": "kind == 'click'", "like": "rating >= 4", "order": "rating"}
    kinds = {"click": "binary", "like": "binary", "order": "pairwise"}
    tasks = {name: {"kind": kinds[name], "label": text} for name, text in label.items()}
    tasks["page"] = {"kind": "listwise", "label": "rating", "session": "visit", "where": "kind == 'click'"}
    plan = Plan(config_of(tasks=tasks))
    columns = {"user_id": ["u"] * 3, "item_id": ["i"] * 3, "timestamp": [1, 2, 3]}
    columns |= {"rating": [5, None, 1], "kind": ["click", "buy", None], "visit": [7, None, 8.0]}
    table, _ = clean_events(plan, Batch(pa.table(columns), 0), 0, 0)
    found = {name: table[name].to_pylist() for name in table.column_names if name.startswith(("label", "weight"))}
    assert found == {
        "label_click": [1, 0, 0],
        "weight_click": [1, 1, 0],
        "label_like": [1, 0, 0],
        "weight_like": [1, 0, 1],
        "label_order": [5, 0, 1],
        "weight_order": [1, 0, 1],
        "label_page": [5, 0, 0],
        "weight_page": [1, 0, 0],
    }
    assert table["session_page"].to_pylist() == ["7", None, "8"]


def test_without_an_expression_all_are_positives():
    assert _clean()[0]["positive"].to_pylist() == [True, True, True]


def test_a_constant_is_a_label_of_every_row():
    plan = Plan(config_of(tasks={"seen": {"kind": "binary", "label": "1"}}))
    table = pa.table({"user_id": ["u", "v"], "item_id": ["i", "i"], "timestamp": ["1", "2"]})
    assert clean_events(plan, Batch(table, 0), 0, 0)[0]["label_seen"].to_pylist() == [1, 1]


def test_outliers_are_dropped_and_not_bad():
    table, counts = _clean(cleaning={"outliers": [{"column": "rating", "min": 1, "max": 5}]})
    assert counts["interactions", "dropped", "outlier rating"] == 1
    assert counts["interactions", "bad_rows"] == 6
    assert table["label_stars"].to_pylist() == [5, 0]  # a missing value lies nowhere, so not outside


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_outliers_are_clipped_everywhere(kind):
    table, counts = _clean(
        cleaning={"outliers": [{"column": "rating", "max": 5, "action": "clip"}]},
        features={"outcome": [{"name": "rating", "kind": kind}]},
    )
    assert counts["interactions", "clipped", "rating"] == 1
    assert table["label_stars"].to_pylist() == [5, 0, 5]
    assert table["outcome_rating"].to_pylist() == ([5, None, 5] if kind == "numeric" else ["5", None, "5"])


def test_a_column_may_be_text_here_and_a_number_there():
    plan = Plan(config_of(positive="code != '007'", tasks={"t": {"kind": "regression", "label": "code"}}))
    table = pa.table({"user_id": ["u", "v"], "item_id": ["i", "i"], "timestamp": [1, 2], "code": ["007", "8"]})
    events, _ = clean_events(plan, Batch(table, 0), 0, 0)
    assert events["positive"].to_pylist() == [False, True]
    assert events["label_t"].to_pylist() == [7, 8]


def test_event_features_are_null_where_missing():
    features = {
        "context": [{"name": "kind", "kind": "categorical"}, {"name": "at", "column": "timestamp", "kind": "time"}]
    }
    table, _ = _clean([("u", "i", "7", "1", ""), ("u", "i", "8", "1", "tv")], features=features)
    assert table["context_kind"].to_pylist() == [None, "tv"]
    assert table["context_at"].to_pylist() == [7, 8]


def test_time_units_and_no_time():
    rows = [("u", "i", "1577836800500", "", "")]
    data = {"folder": "-", "interactions": {"path": "i.csv", "time_unit": "ms"}}
    assert _clean(rows, data=data)[0]["time"].to_pylist() == [1577836800]
    data = {"folder": "-", "interactions": {"path": "i.csv", "time": None}}
    assert _clean(rows, data=data)[0]["time"].to_pylist() == [0]


def test_a_time_keeps_its_fraction():
    plan = Plan(config_of(tasks=TASKS, data={"folder": ".", "interactions": {"path": "i.csv", "time_unit": "ms"}}))
    columns = {"user_id": ["a", "b"], "item_id": ["x", "x"], "timestamp": [1577836800900, -1], "rating": [1, 1]}
    table, _ = clean_events(plan, Batch(pa.table(columns | {"kind": ["buy", "buy"]}), 0), file=0, first_row=0)
    assert table["time"].to_pylist() == [1577836800, -1]
    assert table["fraction"].to_pylist() == [900_000_000, 999_000_000]


def test_no_rows():
    table, findings = clean_events(
        Plan(config_of()),
        Batch(pa.table({c: pa.array([], pa.string()) for c in ("user_id", "item_id", "timestamp")}), 1),
        0,
        0,
    )
    assert len(table) == 0
    assert findings.counts["interactions", "bad_rows"] == 1


def _found(columns, lines=None, **sections):
    plan = Plan(config_of(**sections), now=NOW)
    return clean_events(plan, Batch(pa.table(columns), 0, lines), file=1, first_row=20)


NOW = 1_700_000_000
DAY = 86_400


def _columns(size, **more):
    return {"user_id": ["u"] * size, "item_id": ["i"] * size, "timestamp": range(size)} | more


def test_the_first_bad_rows_of_each_reason_are_kept_with_their_lines():
    texts = ["7", *(f"day {n}" for n in range(7)), None]
    columns = _columns(9, timestamp=texts, item_id=["", *"abcdefgh"])
    _, findings = _found(columns, np.arange(2, 11))
    expected = "seconds since 1970 (`time_unit: s`)"
    assert findings.samples == {
        ("interactions", "missing item_id"): [
            (1, 20, 2, "item_id", "", "an id that is not one of the table's `missing` words")
        ],
        ("interactions", "unparsable timestamp"): [
            (1, 21 + n, 3 + n, "timestamp", f"day {n}", expected) for n in range(5)
        ],
        ("interactions", "missing timestamp"): [(1, 28, 10, "timestamp", "", expected)],
    }
    assert _found(columns)[1].samples["interactions", "missing item_id"][0].line is None


def test_what_cannot_have_happened_yet_is_bad():
    times = [NOW, NOW + DAY, NOW + DAY + 1, 4_102_444_800]
    table, findings = _found(_columns(4, timestamp=times))
    assert table["time"].to_pylist() == times[:2]
    assert findings.counts["interactions", "dropped", "future timestamp"] == 2
    assert findings.counts["interactions", "bad_rows"] == 2
    assert findings.samples["interactions", "future timestamp"][0] == (
        *(1, 22, None, "timestamp", str(NOW + DAY + 1)),
        "at most 2023-11-15 22:13:20",
    )
    assert findings.spans["interactions", "timestamp"] == (NOW, NOW + DAY)
    assert len(_found(_columns(4, timestamp=times), cleaning={"max_future_days": None})[0]) == 4


def test_ids_and_categories_that_no_vocabulary_holds_are_bad():
    columns = _columns(5, item_id=["a\nb", "a", "b", "c", "d"], user_id=["u", "u\rv", "u", "u", "u"])
    columns |= {"kind": ["x", "x", "x\r\ny", None, "y"], "note": ["a\nb"] * 5}
    context = [{"name": "kind", "kind": "categorical"}, {"name": "both", "kind": "cross", "of": ["note", "kind"]}]
    table, findings = _found(columns, features={"context": context})
    assert findings.counts == {
        ("interactions", "rows"): 5,
        ("interactions", "bad_rows"): 3,
        ("interactions", "dropped", "line end in user_id"): 1,
        ("interactions", "dropped", "line end in item_id"): 1,
        ("interactions", "unparsable", "kind"): 1,
    }
    assert table["context_kind"].to_pylist() == [None, None, "y"]
    assert table["context_note"].to_pylist() == ["a\nb"] * 3  # a cross is hashed
    assert findings.samples["interactions", "unparsable kind"] == [(1, 22, None, "kind", "x\r\ny", "text in one line")]


def test_what_expressions_say_is_counted_and_where_it_is_always_the_same_the_values_are_kept():
    tasks = {
        "retrieval": {"kind": "retrieval"},
        "bought": {"kind": "binary", "label": "kind == 'Buy'"},
        "stars": {"kind": "regression", "label": "rating", "where": "kind == 'buy'"},
        "liked": {"kind": "binary", "label": "rating >= 4"},
    }
    columns = _columns(5, kind=["view", "buy", "view", "buy", "view"], rating=[None, 3, 4, 3, 5])
    columns["user_id"] = ["u", "u", "u", "u", ""]
    _, findings = _found(columns, tasks=tasks, positive="kind == 'purchase'")
    assert findings.expressions == {
        ("positive", "of"): 4,
        ("positive", "holds"): 0,
        ("tasks.bought.label", "of"): 4,
        ("tasks.bought.label", "holds"): 0,
        ("tasks.stars.where", "of"): 4,
        ("tasks.stars.where", "holds"): 2,
        ("tasks.stars.label", "of"): 2,
        ("tasks.stars.label", "holds"): 2,
        ("tasks.liked.label", "of"): 3,
        ("tasks.liked.label", "holds"): 1,
    }
    assert findings.values == {
        ("positive", "kind"): {"view": 2, "buy": 2},
        ("tasks.bought.label", "kind"): {"view": 2, "buy": 2},
        ("tasks.stars.label", "rating"): {"3": 2},
    }
    assert findings.spans["label", "tasks.stars.label"] == (3, 3)
    assert findings.spans["label", "tasks.liked.label"] == (0, 1)


def test_a_time_feature_that_cannot_be_read_is_counted():
    context = [{"name": "at", "kind": "time"}]
    table, findings = _found(_columns(3, at=["7", "soon", ""]), features={"context": context})
    assert table["context_at"].to_pylist() == [7, None, None]
    assert findings.counts["interactions", "unparsable", "at"] == findings.counts["interactions", "bad_rows"] == 1


@pytest.mark.filterwarnings("error")
def test_a_label_that_float32_cannot_hold_is_shown_with_its_column():
    tasks = {"watch": {"kind": "regression", "label": "seconds * 10"}}
    table, findings = _found(_columns(3, seconds=["1e38", "true", "7"]), tasks=tasks)
    assert table["label_watch"].to_pylist() == [10, 70]
    (sample,) = findings.samples["interactions", "label of `watch` beyond float32"]
    assert (sample.column, sample.value) == ("seconds", "1e38")
