"""Figures for TensorBoard, written without TensorBoard itself (TensorFlow's own `tf.summary.scalar` needs it)."""

from collections.abc import Mapping

import tensorflow as tf

_METADATA = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"), data_class="DATA_CLASS_SCALAR"
)


class ScalarLog:
    """An event file of figures by step.

    Args:
        folder: where TensorBoard looks. None: nothing is written.
    """

    def __init__(self, folder: str | None) -> None:
        self._writer = tf.summary.create_file_writer(folder) if folder else tf.summary.create_noop_writer()

    def write(self, figures: Mapping[str, float], step: int) -> None:
        """Adds figures by name."""
        with self._writer.as_default(step=step):
            for name, value in figures.items():
                tf.summary.write(name, tf.constant(value, tf.float32), metadata=_METADATA)
        self._writer.flush()
