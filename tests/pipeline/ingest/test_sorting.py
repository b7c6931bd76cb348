import numpy as np
import pyarrow as pa

from pipeline.ingest.sorting import as_events, sort_events

TABLE = pa.table(
    {
        "user": ["u", "v", "u", "u", "u"],
        "item": ["c", "x", "a", "b", "a"],
        "time": [20, 5, 10, 10, 10],
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


def test_of_duplicates_the_first_row_stays():
    table, counts = sort_events(TABLE, OFFSETS, drop_duplicates=True)
    assert table["ordinal"].to_pylist() == [1, 2, 0, 4]
    assert counts == {("interactions", "dropped", "duplicate"): 1}


def test_events_of_sorted_rows():
    events = as_events(sort_events(TABLE, OFFSETS, drop_duplicates=False)[0])
    assert events.users.tolist() == ["u", "v"]
    assert events.first.tolist() == [0, 4, 5]
    assert events.user.tolist() == [0, 0, 0, 0, 1]
