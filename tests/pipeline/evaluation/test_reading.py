from collections import defaultdict
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma

from pipeline.evaluation.reading import MAX_ROWS, ReadBatches, read_rows
from pipeline.evaluation.sample import UserSample
from tests.pipeline.ingest.reference import beam_pipeline, decode

BYTES, INTEGERS = pa.large_list(pa.large_binary()), pa.large_list(pa.int64())


def arrow(rows: list[dict[str, Any]]) -> dict[str, pa.RecordBatch]:
    """The examples as TFMA reads them."""
    columns = {}
    for name in {name for row in rows for name in row}:
        values = [[v.encode() if isinstance(v, str) else v for v in row[name]] if name in row else None for row in rows]
        is_text = any(isinstance(value, bytes) for row in values for value in row or ())
        columns[name] = pa.array(values, BYTES if is_text else INTEGERS)
    raw = pa.array([[serialized(row)] for row in rows], BYTES)
    arrays = {**columns, tfma.constants.ARROW_INPUT_COLUMN: raw}
    return {tfma.ARROW_RECORD_BATCH_KEY: pa.RecordBatch.from_arrays(list(arrays.values()), list(arrays))}


def serialized(row: dict[str, Any]) -> bytes:
    example = tf.train.Example()
    for name, values in row.items():
        feature = example.features.feature[name]
        if all(isinstance(value, int) for value in values):
            feature.int64_list.value.extend(values)
        else:
            feature.bytes_list.value.extend(value.encode() for value in values)
    return bytes(example.SerializeToString())


def windows(user: str, count: int, seen: list[str], split: str = "test") -> list[dict[str, Any]]:
    """Windows as ingest writes them: each with its part of the list, of which the last has seen all."""
    edges = [len(seen) * n // count for n in range(count + 1)]
    return [
        {
            "user_id": [user],
            "split": [split],
            "item_id": [f"target {n}"],
            "seen_item_id": seen[edges[n] : edges[n + 1]],
            "seen_start": [edges[n]],
            "seen_count": [len(seen)],
        }
        for n in range(count)
    ]


def seen_in(batch: list[dict[str, Any]]) -> list[list[str]]:
    """What each window of a batch has seen, according to the batch alone; `?` where no window says."""
    places: dict[str, dict[int, str]] = defaultdict(dict)
    for row in batch:
        for place, item in enumerate(row.get("seen_item_id", []), row.get("seen_start", [0])[0]):
            places[row["user_id"][0]][place] = item
    return [
        [places[row["user_id"][0]].get(n, "?") for n in range(row["seen_count"][0])]
        if "seen_count" in row
        else row.get("seen_item_id", [])
        for row in batch
    ]


FOUND: list[list[dict[str, Any]]] = []


def keep(extracts: dict[str, Any]) -> None:
    FOUND.append([decode(record) for record in extracts[tfma.INPUT_KEY]])


def batches(rows: list[dict[str, Any]], sample: UserSample | None = None) -> list[list[dict[str, Any]]]:
    """Runs the graph, in this process, on the rows in two Arrow batches, in which those of a user are apart."""
    FOUND.clear()
    with beam_pipeline() as pipeline:
        read = pipeline | beam.Create([0, 1]) | beam.Map(lambda part: arrow(rows[part::2]))
        _ = read | ReadBatches([], [sample]) | beam.Map(keep)
    return [*FOUND]


def test_reads_the_named_features_and_of_an_events_feature_the_last_value() -> None:
    rows = [
        {"user_id": ["a"], "split": ["test"], "user_x": ["a", "b"], "context_y": ["1", "2"]},
        {"user_id": ["b"], "split": ["eval"], "context_y": ["1", ""]},
    ]
    found = read_rows(arrow(rows), ["context_y", "user_absent", "user_x"])
    features = {name: list(values) for name, values in found.features.items()}
    assert features == {"context_y": [(b"2",), ()], "user_absent": [(), ()], "user_x": [(b"a", b"b"), ()]}
    assert (found.user.tolist(), found.split.tolist()) == ([b"a", b"b"], [b"test", b"eval"])


@pytest.fixture(scope="module")
def read() -> list[list[dict[str, Any]]]:
    """A user whose windows fill several batches, one with two, one in both splits, and one whose window is alone."""
    hot = windows("hot", 2 * MAX_ROWS + 6, [f"h{n}" for n in range(2000)])
    both = windows("both", 2, ["x", "y", "z"], "eval") + windows("both", 3, ["x", "y", "z", "w"])
    alone = [{"user_id": ["alone"], "split": ["test"], "item_id": ["t"], "seen_item_id": ["q"]}]
    return batches([*hot, *windows("two", 2, ["a", "b", "c"]), *both, *alone])


def test_every_window_comes_once_in_batches_of_a_bounded_size(read: list[list[dict[str, Any]]]) -> None:
    every = [(row["user_id"][0], row["split"][0], row["item_id"][0]) for batch in read for row in batch]
    assert len(every) == len(set(every)) == 2 * MAX_ROWS + 6 + 2 + 5 + 1
    assert max(map(len, read)) == MAX_ROWS


def test_every_batch_knows_what_its_users_have_seen(read: list[list[dict[str, Any]]]) -> None:
    whole = {"hot": [f"h{n}" for n in range(2000)], "two": ["a", "b", "c"], "alone": ["q"]}
    for batch in read:
        for row, seen in zip(batch, seen_in(batch), strict=True):
            both = ["x", "y", "z", "w"][: 3 if row["split"] == ["eval"] else 4]
            assert seen == whole.get(row["user_id"][0], both)


def test_the_whole_list_is_repeated_once_for_a_batch(read: list[list[dict[str, Any]]]) -> None:
    items = sum(len(row.get("seen_item_id", [])) for batch in read for row in batch if row["user_id"] == ["hot"])
    assert items <= 2000 * (3 + 1)


def test_a_sample_has_the_same_users_whatever_the_order_and_all_their_windows() -> None:
    rows = [row for n in range(30) for row in windows(f"u{n}", 1 + n % 3, ["a"])]
    rows += windows("u0", 2, ["a"], "eval")

    def sampled(rows: list[dict[str, Any]], seed: int) -> list[tuple[str, str]]:
        found = batches(rows, UserSample(users=10, seed=seed))
        return sorted((row["split"][0], row["user_id"][0]) for batch in found for row in batch)

    first = sampled(rows, 1)
    users = {user for split, user in first if split == "test"}
    assert len(users) == 10
    assert first == sorted(
        (row["split"][0], row["user_id"][0]) for row in rows if row["user_id"][0] in users or row["split"] == ["eval"]
    )
    assert first == sampled(rows[::-1], 1)
    assert first != sampled(rows, 2)
    assert len(np.unique([user for _, user in sampled(rows, 3)])) >= 10
