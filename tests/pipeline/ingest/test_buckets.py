import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest.buckets import MIN_BUCKETS, bucket_count, from_bytes, hash_column, partition, to_bytes


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
