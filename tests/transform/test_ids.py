import shutil
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_transform as tft

from tests.transform.test_raw import sparse
from transform.ids import item_counts, item_index_table
from transform.raw import RawExamples


@pytest.mark.parametrize(
    ("min_count", "is_listed", "expected"),
    [
        (2, True, {b"a": 3, b"b": 3, b"new": 2}),  # a table lists them: all are known
        (2, False, {b"a": 1, b"b": 1, b"new": 0}),  # a log alone: its rare items are not
        (1, False, {b"a": 2, b"b": 2, b"new": 1}),
    ],
)
def test_the_catalogue_is_known_where_a_table_lists_it_or_every_item_is(
    min_count: int, is_listed: bool, expected: dict[bytes, int]
) -> None:
    features = {"item_id": [["a", "b", "c"], [], [], []], "catalogue_id": [[], ["a"], ["b"], ["new"]]}
    flags = {"is_target": [[1, 1, 0], [], [], []], "is_positive": [[1, 0, 1], [], [], []]}
    raw = RawExamples({name: sparse(rows) for name, rows in (features | flags).items()})
    counted = item_counts(raw, min_count, is_listed)
    sums: dict[bytes, int] = {}
    for token, count in zip(counted.tokens.numpy(), counted.counts.numpy(), strict=True):
        sums[token] = sums.get(token, 0) + int(count)
    assert sums == expected


class Exported(tf.Module):
    def __init__(self, tft_output: tft.TFTransformOutput) -> None:
        super().__init__()
        self.table = item_index_table(tft_output)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def lookup(self, ids: tf.Tensor) -> tf.Tensor:
        return self.table.lookup(ids)


def test_the_vocabulary_travels_with_the_saved_model(tft_output: tft.TFTransformOutput, tmp_path: Path) -> None:
    copy = tmp_path / "graph"
    shutil.copytree(Path(tft_output.transform_savedmodel_dir).parent, copy)
    tf.saved_model.save(Exported(tft.TFTransformOutput(str(copy))), str(tmp_path / "model"))
    shutil.rmtree(copy)
    model = tf.saved_model.load(str(tmp_path / "model"))
    assert model.lookup(["c d", "unknown", "b", ""]).numpy().tolist() == [2, 5, 0, 5]


def test_a_graph_without_item_vocabulary_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`item_id`"):
        item_index_table(tft.TFTransformOutput(str(tmp_path)))
