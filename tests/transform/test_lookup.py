import shutil
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_transform as tft

from transform.lookup import item_index_table


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
