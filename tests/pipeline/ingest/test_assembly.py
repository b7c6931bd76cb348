from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import feature_names
from pipeline.ingest.assembly import Assembly, Rows, split_events
from pipeline.ingest.columns import Plan
from pipeline.ingest.shuffle import as_events, sort_events
from pipeline.ingest.split_times import DIGITS, Selection
from pipeline.ingest.splits import EVAL, TEST, TRAIN, is_held_out
from tests.pipeline.ingest import reference
from tests.pipeline.ingest.reference import Row, config_of, decode

METHODS = ("leave_last_out", "global_time", "random", "user_hash")


@st.composite
def _rows(draw):
    size = draw(st.integers(1, 40))
    draw_rows = st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 12), st.booleans())
    rows = draw(st.lists(draw_rows, min_size=size, max_size=size))
    return [Row(f"u{u}", f"i{i}", t, p, n) for n, (u, i, t, p) in enumerate(rows)]


@st.composite
def _configs(draw):
    length = draw(st.integers(2, 8))
    return config_of(
        split={
            "method": draw(st.sampled_from(METHODS)),
            "history": draw(st.sampled_from(["frozen", "rolling"])),
            "eval_share": 0.2,
            "test_share": 0.2,
        },
        model={"history": {"max_events": length, "min_context": draw(st.integers(0, length - 1))}},
    )


def _assemble(rows, config, keep_items=False):
    """The split of every event by ordinal, and the examples by split; their items name the event's ordinal."""
    plan = Plan(config)
    shuffled = [rows[n] for n in np.random.default_rng(0).permutation(len(rows))]
    table, _ = sort_events(reference.as_table(shuffled), np.zeros(1, np.int64), drop_duplicates=False)
    whole, split_times = Rows.of(plan, {0: len(rows)}, 1), _split_times(rows, config)
    parts = split_events(plan, as_events(table), whole, split_times)
    by_ordinal = dict(zip(table["ordinal"].to_pylist(), parts.tolist(), strict=True))
    examples = defaultdict(list)
    table = table if keep_items else _with_ordinal_as_item(table)
    for split, example in Assembly(plan, table, None, whole, split_times).examples():
        examples[split].append(decode(example))
    return by_ordinal, examples


def _split_times(rows, config):
    if config.split.method != "global_time":
        return None
    selection, keys = Selection(), np.array([[r.time, r.ordinal] for r in rows]).T
    for _ in range(DIGITS):
        selection = selection.narrowed(selection.histograms(*keys), config.split)
    return selection.split_times()


def _with_ordinal_as_item(table):
    """Items `<item>#<ordinal>`."""
    items = [f"{i}#{o}" for i, o in zip(table["item"].to_pylist(), table["ordinal"].to_pylist(), strict=True)]
    return table.set_column(table.column_names.index("item"), "item", pa.array(items))


def _events(example):
    return [int(item.split("#")[1]) for item in example[feature_names.ITEM_ID]]


@settings(max_examples=40, deadline=None)
@given(_rows(), _configs())
def test_every_train_event_is_a_target_exactly_once(rows, config):
    parts, examples = _assemble(rows, config)
    targets = Counter()
    for example in examples["train"]:
        events, is_target = _events(example), example[feature_names.IS_TARGET]
        assert len(events) <= config.model.history.max_events
        targets.update(e for e, t in zip(events, is_target, strict=True) if t)
        assert is_target == sorted(is_target)  # context, then targets
    assert targets == Counter(ordinal for ordinal, part in parts.items() if part == TRAIN)


@settings(max_examples=40, deadline=None)
@given(_rows(), _configs())
def test_no_position_sees_itself_or_the_future(rows, config):
    parts, examples = _assemble(rows, config)
    key = {row.ordinal: (row.time, row.ordinal) for row in rows}
    user = {row.ordinal: row.user for row in rows}
    for split, part in (("train", TRAIN), ("eval", EVAL), ("test", TEST)):
        for example in examples[split]:
            events = _events(example)
            assert {user[e] for e in events} == set(example[feature_names.USER_ID])
            history = events if part == TRAIN else events[:-1]
            ordered = [key[e] for e in history]
            assert ordered == sorted(set(ordered))  # strictly growing: no event twice
            if part == TRAIN:
                assert {parts[e] for e in events} == {TRAIN}
            elif config.split.method == "random":
                assert {parts[e] for e in history} <= {TRAIN}
            if part != TRAIN:
                knows_the_future = config.split.method == "random" and config.split.history == "frozen"
                assert knows_the_future or all(key[e] < key[events[-1]] for e in history)
                assert events[-1] not in history
                assert example[feature_names.IS_TARGET] == [0] * len(history) + [1]


@settings(max_examples=40, deadline=None)
@given(_rows(), _configs())
def test_train_windows_are_contiguous_and_overlap_by_the_context(rows, config):
    parts, examples = _assemble(rows, config)
    for events in reference.by_user(rows).values():
        train = [e.ordinal for e in events if parts[e.ordinal] == TRAIN]
        windows = [_events(x) for x in examples["train"] if x[feature_names.USER_ID] == [events[0].user]]
        for window in windows:
            start = train.index(window[0])
            assert window == train[start : start + len(window)]
        contexts = [
            x[feature_names.IS_TARGET].count(0)
            for x in examples["train"]
            if x[feature_names.USER_ID] == [events[0].user]
        ]
        assert sorted(contexts) == [0] * bool(train) + [config.model.history.min_context] * (len(windows) - bool(train))


@settings(max_examples=60, deadline=None)
@given(_rows(), _configs())
def test_splits_and_evaluation_windows_are_those_of_the_reference(rows, config):
    parts, examples = _assemble(rows, config)
    if config.split.method == "user_hash":
        assert all(len({parts[r.ordinal] for r in events}) == 1 for events in reference.by_user(rows).values())
    else:
        assert parts == reference.split(rows, config)
    for split, part in (("eval", EVAL), ("test", TEST)):
        found = [
            (
                x[feature_names.USER_ID][0],
                _events(x),
                x[feature_names.IS_COLD_USER],
                x[feature_names.TARGET_COUNT],
                x[feature_names.SPLIT],
            )
            for x in examples[split]
        ]
        expected = [
            (w.user, w.events, [w.is_cold], [w.target_count], [split])
            for w in reference.evaluation_windows(rows, parts, part, config)
        ]
        assert sorted(found) == sorted(expected)


@settings(max_examples=40, deadline=None)
@given(_rows(), _configs())
def test_seen_items_are_those_of_the_reference(rows, config):
    parts, examples = _assemble(rows, config, keep_items=True)
    for split, part in (("eval", EVAL), ("test", TEST)):
        found = reference.seen_items(examples[split])
        assert all(len(seen) == len(set(seen)) for seen in found)
        expected = [sorted(w.seen) for w in reference.evaluation_windows(rows, parts, part, config)]
        assert sorted(map(sorted, found)) == sorted(expected)


def _example_of(config, rows, split):
    examples = [decode(e) for s, e in _assembly(config, rows).examples() if s == split]
    return examples[0]


def _assembly(config, rows, users=None, extra=None):
    plan = Plan(config)
    table = reference.as_table(rows)
    for name, values in (extra or {}).items():
        table = table.append_column(name, values)
    table, _ = sort_events(table, np.zeros(1, np.int64), drop_duplicates=False)
    return Assembly(plan, table, users, Rows.of(plan, {0: len(rows)}, 1), None)


@pytest.mark.parametrize("method", METHODS)
def test_a_user_of_many_events_does_not_repeat_what_was_seen(method):
    rows = [Row("hot", f"i{n}", n, True, n) for n in range(600)]
    rows += [Row(f"u{n % 9}", f"i{n}", n, True, 600 + n) for n in range(90)]
    split = {"method": method} | ({"eval_share": 0.5, "test_share": 0.49} if method == "user_hash" else {})
    config = config_of(split=split, model={"history": {"max_events": 4}})
    _, examples = _assemble(rows, config, keep_items=True)
    stored = [sum(len(e.get("seen_item_id", [])) for e in examples[split]) for split in ("eval", "test")]
    assert 600 <= sum(stored) <= 2 * (600 + 90)
    several = [e for part in ("eval", "test") for e in examples[part] if "seen_count" in e]
    assert bool(several) == (method != "leave_last_out")
    # The parts are about equal: no example is much larger than others.
    assert max([len(e.get("seen_item_id", [])) for e in several if e["user_id"] == ["hot"]], default=0) <= 20


def test_the_parts_of_two_windows_by_hand():
    rows = [Row("u", f"i{n}", n, True, n) for n in range(7)]
    order = {n: TRAIN if n < 5 else TEST for n in range(7)}
    examples = _examples_by_parts(rows, order)
    found = [(e["item_id"][-1], e["seen_item_id"], e["seen_start"], e["seen_count"]) for e in examples]
    assert found == [("i5", ["i0", "i1"], [0], [5]), ("i6", ["i2", "i3", "i4"], [2], [5])]


def _examples_by_parts(rows, parts):
    """The test examples of a random split that puts the rows into these parts."""
    plan = Plan(config_of(split={"method": "random"}))
    table, _ = sort_events(reference.as_table(rows), np.zeros(1, np.int64), drop_duplicates=False)
    whole = Rows(np.zeros(1, np.int64), np.array([parts[n] for n in range(len(rows))], np.int8))
    return [decode(e) for split, e in Assembly(plan, table, None, whole, None).examples() if split == "test"]


FOUR = [Row("u", "a", 10, True, 0), Row("u", "b", 10, False, 1), Row("u", "a", 20, True, 2), Row("u", "c", 30, True, 3)]


def test_a_test_example_by_hand():
    example = _example_of(config_of(model={"history": {"max_events": 3}}), FOUR, "test")
    assert example == {
        "user_id": ["u"],
        "item_id": ["b", "a", "c"],
        "time": [10, 20, 30],
        "is_positive": [0, 1, 1],
        "is_target": [0, 0, 1],
        "seen_item_id": ["a"],
        "is_cold_user": [0],
        "target_count": [1],
        "split": ["test"],
    }


def test_a_train_example_by_hand():
    example = _example_of(config_of(), FOUR, "train")
    assert example == {
        "user_id": ["u"],
        "item_id": ["a", "b"],
        "time": [10, 10],
        "is_positive": [1, 0],
        "is_target": [1, 1],
    }


def test_without_times_the_rows_give_the_order():
    data = {"folder": "nowhere", "interactions": {"path": "interactions.csv", "time": None}}
    rows = [Row(r.user, r.item, 0, r.positive, r.ordinal) for r in FOUR]
    example = _example_of(config_of(data=data), rows, "test")
    assert example["item_id"] == ["a", "b", "a", "c"]
    assert "time" not in example


@pytest.mark.parametrize(("events", "train", "evaluated", "tested"), [(1, 1, 0, 0), (2, 1, 0, 1), (3, 1, 1, 1)])
def test_users_with_few_events(events, train, evaluated, tested):
    counts = _drawn(_assembly(config_of(), FOUR[:events]))
    assert [counts["splits", s, "rows"] for s in ("train", "eval", "test")] == [train, evaluated, tested]
    assert counts["interactions", "kept"] == events


def test_counts_of_users_and_examples():
    rows = [Row(f"u{n % 3}", "a", n, True, n) for n in range(9)]
    counts = _drawn(_assembly(config_of(model={"history": {"max_events": 2, "min_context": 1}}), rows))
    assert [counts["splits", s, "users"] for s in ("train", "eval", "test")] == [3, 3, 3]
    assert [counts["splits", s, "examples"] for s in ("train", "eval", "test")] == [3, 3, 3]


def _drawn(assembly):
    list(assembly.examples())
    return assembly.findings.counts


FEATURES = {
    "user": [{"name": "age", "kind": "numeric"}, {"name": "tags", "kind": "multi_valued"}],
    "context": [{"name": "device", "kind": "categorical"}],
    "outcome": [{"name": "seconds", "kind": "numeric"}],
}
EXTRA = {
    "context_device": pa.array(["tv", None, "pc", "tv"]),
    "outcome_seconds": pa.array([1.5, None, 3.0, 4.0], pa.float32()),
}


def test_features_of_events_and_of_the_users_table():
    data = {"folder": "-", "interactions": {"path": "i.csv"}, "users": {"path": "u.csv", "id": "id"}}
    users = pa.table(
        {
            "id": ["v", "u", "u"],
            "fraction": pa.array([0, 0, 0], pa.int32()),
            "file": pa.array([0, 0, 0], pa.int64()),
            "row": pa.array([0, 2, 1], pa.int64()),
            "user_age": pa.array([1, 99, 30], pa.float32()),
            "user_tags": pa.array([["x"], ["y"], None], pa.list_(pa.string())),
        }
    )
    assembly = _assembly(config_of(data=data, features=FEATURES), FOUR, users, EXTRA)
    example = next(decode(e) for s, e in assembly.examples() if s == "test")
    assert example["user_age"] == [30]  # of rows with the same id the first in the file counts
    assert "user_tags" not in example
    assert example["context_device"] == ["tv", "", "pc", "tv"]
    assert str(example["outcome_seconds"]) == "[1.5, nan, 3.0, 4.0]"
    assert assembly.findings.counts["users", "dropped", "duplicate"] == 1


def test_users_without_a_row_in_the_users_table():
    data = {"folder": "-", "interactions": {"path": "i.csv"}, "users": {"path": "u.csv", "id": "id"}}
    assembly = _assembly(config_of(data=data, features=FEATURES), FOUR, None, EXTRA)
    examples = [decode(e) for _, e in assembly.examples()]
    assert len(examples) == 3
    assert not any("user_age" in e for e in examples)


def test_user_features_from_the_interactions_are_the_newest_train_rows():
    ages = {
        "user_age": pa.array([20, 21, 22, 23], pa.float32()),
        "user_tags": pa.array([["a"], ["b", "c"], ["d"], ["e"]], pa.list_(pa.string())),
    }
    examples = [decode(e) for _, e in _assembly(config_of(features=FEATURES), FOUR, None, EXTRA | ages).examples()]
    assert [e["user_age"] for e in examples] == [[21]] * 3
    assert [e["user_tags"] for e in examples] == [["b", "c"]] * 3


def test_items_by_split():
    assembly = _assembly(config_of(), [*FOUR, Row("v", "a", 1, True, 4)])
    pairs = {(row["item"], row["part"]) for row in assembly.items().to_pylist()}
    assert pairs == {("a", TRAIN), ("b", TRAIN), ("a", EVAL), ("c", TEST)}


@pytest.mark.parametrize(("counts", "kept"), [([1, 4], 3), ([1, 1], 0)])
def test_a_fold_makes_examples_of_what_it_sees_only(counts, kept):
    rows = [Row(f"u{user}", "i0", time, True, user * 10 + time) for user, n in enumerate(counts) for time in range(n)]
    config = config_of(split={"method": "leave_last_out", "fold": {"number": 1, "of": 2}})
    table, _ = sort_events(reference.as_table(rows), np.zeros(1, np.int64), drop_duplicates=False)
    assembly = Assembly(Plan(config), table, None, Rows(np.zeros(1, np.int64)), None)
    assert len(list(assembly.examples())) == min(kept, 3)
    assert assembly.findings.counts["interactions", "dropped", "outside_fold"] == len(rows) - kept
    assert assembly.findings.counts["interactions", "kept"] == kept
    assert assembly.items().num_rows == kept


def test_cold_items_are_met_in_test_alone():
    rows = [Row(f"u{u}", f"i{(3 * u + n) % 8}", n, True, 10 * u + n) for u in range(8) for n in range(6)]
    config = config_of(split={"method": "leave_last_out", "cold_items": {"share": 0.4, "seed": 3}})
    items = [f"i{n}" for n in range(8)]
    held_out = is_held_out(np.array(items, object), config.split.cold_items)
    cold = {item for item, is_cold in zip(items, held_out, strict=True) if is_cold}
    assert 0 < len(cold) < 8
    _, examples = _assemble(rows, config, keep_items=True)
    _, everything = _assemble(rows, config_of(split={"method": "leave_last_out"}), keep_items=True)
    assert len(examples["test"]) == len(everything["test"])
    for example in (*examples["train"], *examples["eval"]):
        assert not cold & set(example["item_id"])
    for example in examples["test"]:
        assert not cold & {*example["item_id"][:-1], *example.get("seen_item_id", ())}
    assert any(example["item_id"][-1] in cold for example in examples["test"])
    whole = sum(sum(e["is_target"]) for split in ("train", "eval") for e in everything[split])
    left = sum(sum(e["is_target"]) for split in ("train", "eval") for e in examples[split])
    gone = sum(1 for row in rows if row.item in cold and row.time < 5)
    assert left == whole - gone
