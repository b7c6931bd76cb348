"""The executor of TFX's Transform, whose examples several workers can read each a part of."""

import json
import posixpath
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from typing import Any, Final

import tensorflow as tf
from tfx.components.transform import executor
from tfx.types import artifact_utils, standard_component_specs

FILES: Final = "files"
"""The key of `custom_config` with the least number of files of each split that is trained on."""
_SPLITS: Final = ("train", "eval")


class Executor(executor.Executor):
    """Transforms as TFX's executor does; Beam's local runner writes one file, which could not be divided."""

    def Do(  # noqa: N802 (TFX's name)
        self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]
    ) -> None:
        """Writes the transformed examples, of the splits that are trained on in `FILES` files at least."""
        super().Do(input_dict, output_dict, exec_properties)
        examples = output_dict[standard_component_specs.TRANSFORMED_EXAMPLES_KEY]
        count = json.loads(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])[FILES]
        for split in _SPLITS:
            spread(artifact_utils.get_split_uri(examples, split), count)


def spread(folder: str, count: int) -> None:
    """Distributes the records of a folder's gzipped TFRecord files in turn over `count` files, where it has fewer."""
    old = sorted(tf.io.gfile.glob(posixpath.join(folder, "*")))
    if len(old) >= count:
        return
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with ExitStack() as stack:
        names = (f"transformed_examples-{number:05}-of-{count:05}.gz" for number in range(count))
        new = [stack.enter_context(tf.io.TFRecordWriter(posixpath.join(folder, name), options)) for name in names]
        for writer, record in zip(cycle(new), _records(old), strict=False):
            writer.write(record)
    for file in old:
        tf.io.gfile.remove(file)


def _records(files: list[str]) -> Iterator[bytes]:
    return tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()
