"""Extends a transform graph by items that came after the analysis, so that no index of another id moves."""

import os
from collections.abc import Sequence

import tensorflow as tf
import tensorflow_transform as tft

from transform.features import ITEM_FREQUENCIES, ITEM_VOCABULARY


def extend_items(graph: str, items: Sequence[bytes], target: str) -> tft.TFTransformOutput:
    """Copies a transform graph and adds items at the end of its vocabulary, without a positive training target.

    The graph looks ids up in the vocabulary's file, which travels with it as an asset: known items keep their index,
    the new ones get the next ones, and the index of unknown items moves behind them.

    Args:
      graph: The folder of the transform graph.
      items: Ids that its vocabulary does not hold.
      target: The folder of the copy, which does not exist.
    """
    for folder, _, files in tf.io.gfile.walk(graph):
        inside = os.path.relpath(folder, graph)
        tf.io.gfile.makedirs(os.path.join(target, inside))
        for file in files:
            tf.io.gfile.copy(os.path.join(folder, file), os.path.join(target, inside, file))
    extended = tft.TFTransformOutput(target)
    for name, lines in ((ITEM_VOCABULARY, items), (ITEM_FREQUENCIES, [b"0 " + item for item in items])):
        path = extended.vocabulary_file_by_name(name)
        with tf.io.gfile.GFile(path, "rb") as file:
            content = file.read()
        end = b"" if not content or content.endswith(b"\n") else b"\n"
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(content + end + b"".join(line + b"\n" for line in lines))
    return tft.TFTransformOutput(target)
