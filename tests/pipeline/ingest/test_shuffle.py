import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ingest.shuffle import (
    MIN_BUCKETS,
    as_events,
    bucket_count,
    from_bytes,
    hash_column,
    partition,
    sort_events,
    to_bytes,
)


@settings(deadline=None)
@given(st.lists(st.text(max_size=3)), st.integers(1, 5))
def test_partition_loses_nothing_and_keeps_keys_together_and_in_order(keys, buckets):
    table = pa.table({"key": pa.array(keys, pa.string()), "n": pa.array(range(len(keys)), pa.int64())})
    parts = dict(partition(table, "key", buckets))
    rows = {number: from_bytes([data]) for number, data in parts.items()}
    assert sorted(n for part in rows.values() for n in part["n"].to_pylist()) == list(range(len(keys)))
    assert all(part["n"].to_pylist() == sorted(part["n"].to_pylist()) for part in rows.values())
    homes = [{number for number, part in rows.items() if key in part["key"].to_pylist()} for key in set(keys)]
    assert all(len(home) == 1 for home in homes)


def test_a_part_carries_its_own_rows_only():
    table = pa.table({"key": [f"k{n}" for n in range(10_000)]})
    whole = len(to_bytes(table))
    assert sum(len(data) for _, data in partition(table, "key", 10)) < 1.2 * whole


def test_equal_texts_have_equal_hashes():
    hashes = hash_column(pa.chunked_array([["a", "b"], ["a"]]))
    assert hashes[0] == hashes[2] != hashes[1]
    assert hashes.dtype == np.uint64


def test_the_number_of_buckets_grows_with_the_files(tmp_path):
    for name, size in (("small.csv", 10), ("large.csv", 400_000_000), ("large.csv.gz", 100_000_000)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    assert bucket_count([str(tmp_path / "small.csv")]) == MIN_BUCKETS
    assert bucket_count([str(tmp_path / "large.csv")]) == 23
    assert bucket_count([str(tmp_path / "large.csv"), str(tmp_path / "large.csv.gz")]) == 47


TABLE = pa.table(
    {
        "user": ["u", "v", "u", "u", "u"],
        "item": ["c", "x", "a", "b", "a"],
        "time": [20, 5, 10, 10, 10],
        "fraction": [0] * 5,
        "file": [0, 1, 1, 0, 0],
        "row": [0, 1, 0, 2, 1],
    }
)
OFFSETS = np.array([0, 3])  # file 0 has 3 rows


def test_ties_in_time_keep_the_order_of_files_and_rows():
    table, counts = sort_events(TABLE, OFFSETS, drop_duplicates=False)
    rows = list(zip(*(table[c].to_pylist() for c in ("user", "item", "ordinal")), strict=True))
    assert rows == [("u", "a", 1), ("u", "b", 2), ("u", "a", 3), ("u", "c", 0), ("v", "x", 4)]
    assert not counts


def test_random_ties_lose_the_order_of_rows_and_only_that():
    size = 2000
    table = pa.table(
        {
            "user": ["u"] * size,
            "item": [str(n) for n in range(size)],
            "time": [n // (size // 2) for n in range(size)],
            "fraction": [0] * size,
            "file": [0] * size,
            "row": list(range(size)),
        }
    )
    orders = [sort_events(table, np.zeros(1, np.int64), True, seed)[0]["ordinal"].to_numpy() for seed in (0, 0, 1)]
    assert orders[0].tolist() == orders[1].tolist() != orders[2].tolist()
    for order in (orders[0], orders[2]):
        early, late = order[: size // 2], order[size // 2 :]
        assert sorted(early) == list(range(size // 2))
        assert sorted(late) == list(range(size // 2, size))
        assert abs(np.corrcoef(early, np.arange(size // 2))[0, 1]) < 0.1  # 3 deviations of chance


def test_random_ties_keep_the_first_row_of_duplicates():
    for seed in range(5):
        table, _ = sort_events(TABLE, OFFSETS, True, seed)
        assert sorted(table["ordinal"].to_pylist()) == [0, 1, 2, 4]


def test_of_duplicates_the_first_row_stays():
    table, counts = sort_events(TABLE, OFFSETS, drop_duplicates=True)
    assert table["ordinal"].to_pylist() == [1, 2, 0, 4]
    assert counts == {("interactions", "dropped", "duplicate"): 1}


@pytest.mark.parametrize("tie_seed", [None, 0])
def test_events_of_one_second_stand_by_their_fractions_and_are_no_duplicates(tie_seed):
    columns = {"user": ["u"] * 3, "item": ["a", "a", "b"], "time": [7] * 3, "fraction": [900, 100, 50]}
    table, counts = sort_events(pa.table(columns | {"file": [0] * 3, "row": [0, 1, 2]}), OFFSETS, True, tie_seed)
    assert table["item"].to_pylist() == ["b", "a", "a"]
    assert table["ordinal"].to_pylist() == [2, 1, 0]
    assert not counts


def test_events_of_sorted_rows():
    events = as_events(sort_events(TABLE, OFFSETS, drop_duplicates=False)[0])
    assert events.users.tolist() == ["u", "v"]
    assert events.first.tolist() == [0, 4, 5]
    assert events.user.tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("tie_seed", [None, 0])
def test_rows_that_tell_tasks_different_things_are_no_duplicates(tie_seed):
    columns = {
        "user": ["u"] * 7,
        "item": ["a"] * 6 + ["b"],
        "time": [1] * 7,
        "fraction": [0] * 7,
        "file": [0] * 7,
        "row": list(range(7)),
        "label_bought": [0.0, 1, 0, 1, 0, 0, 0],
        "context_page": ["x", "x", "x", "x", None, None, "x"],
        "context_tags": [["p", "q"]] * 5 + [None, None],
        "user_country": ["A", "B", "C", "D", "E", "F", "G"],
    }
    telling = ["label_bought", "context_page", "context_tags"]
    table, counts = sort_events(pa.table(columns), np.zeros(1, np.int64), True, tie_seed, telling)
    assert sorted(table["ordinal"].to_pylist()) == [0, 1, 4, 5, 6]  # of 0 and 2, and of 1 and 3, the first
    assert counts == {("interactions", "dropped", "duplicate"): 2}
