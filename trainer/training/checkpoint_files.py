"""Numbered checkpoints in a folder: what is whole is read, whatever became of the others."""

import posixpath
import re
from collections.abc import Callable
from typing import Final

import tensorflow as tf

_KEPT: Final = 2
"""A checkpoint is complete before the one before it goes."""
_DAMAGES: Final = (tf.errors.OpError, LookupError, ValueError, RuntimeError)
"""What TensorFlow's reader raises for files that are cut, empty or hold other bytes."""


class CheckpointFiles:
    """The checkpoints of a folder, each in the files `<name>-<number>.index` and `<name>-<number>.data-*`.

    Their names say what there is: no other file has to be right for one to be found.

    Args:
        checkpoint: what is saved.
        folder: where; it need not exist.
        name: of the files.
        tell: is told of each damaged checkpoint that is passed over, in a sentence.
    """

    def __init__(self, checkpoint: tf.train.Checkpoint, folder: str, name: str, tell: Callable[[str], None]) -> None:
        self._checkpoint, self._folder, self._name, self._tell = checkpoint, folder, name, tell

    def save(self, number: int) -> None:
        """Writes a checkpoint, then removes all but the newest two."""
        tf.io.gfile.makedirs(self._folder)
        self._checkpoint.write(self._prefix(number))
        for old in self.numbers()[_KEPT:]:
            for file in self._files(old):
                tf.io.gfile.remove(file)

    def numbers(self) -> list[int]:
        """Of which checkpoints there are files, the newest first."""
        if not tf.io.gfile.exists(self._folder):
            return []
        pattern = re.compile(re.escape(self._name) + r"-(\d+)\.(index|data-.*)")
        found = (pattern.fullmatch(name.rstrip("/")) for name in tf.io.gfile.listdir(self._folder))
        return sorted({int(match[1]) for match in found if match}, reverse=True)

    def restore(self, at_most: int | None = None) -> int | None:
        """Reads the newest checkpoint that is whole.

        A damaged one leaves no part of itself behind: all of a checkpoint is read once before anything is changed.

        Args:
            at_most: the largest number that is looked at. None: any.

        Returns:
            Its number; None where there is none.
        """
        for number in self.numbers():
            if (at_most is None or number <= at_most) and self.is_whole(number):
                self._checkpoint.read(self._prefix(number)).expect_partial()
                return number
        return None

    def is_whole(self, number: int) -> bool:
        """Whether there is a checkpoint, and all its bytes are those that were written; a damaged one is told of."""
        if number not in self.numbers():
            return False
        file = f"{self._prefix(number)}.index"
        try:
            reader = tf.train.load_checkpoint(self._prefix(number))
            file = next((f for f in self._files(number) if f != file), f"{self._prefix(number)}.data-*")
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
        except _DAMAGES as error:
            fault = str(getattr(error, "message", error)).splitlines()[0]
            self._tell(
                f"the checkpoint {file} is damaged ({fault}): it was passed over, nothing has to be done. "
                "Should it happen again, look at the disk and the space left on it"
            )
            return False
        return True

    def _files(self, number: int) -> list[str]:
        return sorted(tf.io.gfile.glob(f"{self._prefix(number)}.*"))

    def _prefix(self, number: int) -> str:
        return posixpath.join(self._folder, f"{self._name}-{number}")
