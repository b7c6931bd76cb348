"""What a training keeps beside its model for a later one to start from: weights, slots, and what rows stand for."""

import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import Config
from config.training import OptimizerConfig
from trainer.model.row_keys import Weights
from trainer.training.optimizers import Optimizer, parts_of, slots_of

FOLDER: Final = "Format-Training"
"""Beside `Format-Serving` in the model's artifact: the Pusher copies the latter alone."""
_FILE: Final = "state"
_ABOUT: Final = "about"
_DAMAGES: Final = (tf.errors.OpError, LookupError, ValueError, RuntimeError)


class DamagedStateError(Exception):
    """The kept state cannot be read. The message says what to do."""


@dataclass(frozen=True)
class OldRows:
    """The keys of a kept variable's entries along an axis: bytes [n]."""

    keys: NDArray[np.object_]
    axis: int


class KeptState:
    """A kept state in its files, read tensor by tensor.

    Args:
        folder: The artifact's folder.

    Attributes:
        folder: The same.
        name: The pipeline that trained the model.
        optimizer: Its rules, see `rules`.
        iterations: The optimizer's count of steps.
        meanings: See `Weights`.
        shapes: Of the weights, by path.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._prefix = posixpath.join(folder, FOLDER, _FILE)
        self._keys: dict[str, NDArray[np.object_]] = {}
        try:
            self._reader = tf.train.load_checkpoint(self._prefix)
            shapes = self._reader.get_variable_to_shape_map()
        except _DAMAGES as error:
            raise self._damaged(error) from error
        self._tensors = frozenset(shapes)
        about = json.loads(self._tensor(_ABOUT))
        self.name: str = about["name"]
        self.optimizer: str = about["optimizer"]
        self.iterations: int = about["iterations"]
        self.meanings: Mapping[str, str] = about["meanings"]
        self._rows: Mapping[str, tuple[str, int]] = about["rows"]
        weights = {tensor: tuple(shape) for tensor, shape in shapes.items() if tensor.startswith("weight/")}
        self.shapes: Mapping[str, tuple[int, ...]] = {t.removeprefix("weight/"): s for t, s in weights.items()}

    def weight(self, path: str) -> NDArray[Any]:
        """Reads a weight."""
        return self._tensor(f"weight/{path}")

    def slot(self, name: str, path: str) -> NDArray[Any] | None:
        """Reads a weight's slot; None where it has no slot of this name."""
        tensor = _slot(name, path)
        return self._tensor(tensor) if tensor in self._tensors else None

    def rows(self, path: str) -> OldRows | None:
        """Reads what the rows of a weight stand for; None where it moves as a whole."""
        if path not in self._rows:
            return None
        name, axis = self._rows[path]
        if name not in self._keys:
            self._keys[name] = self._tensor(name)
        return OldRows(self._keys[name], axis)

    def _tensor(self, name: str) -> Any:
        try:
            return self._reader.get_tensor(name)
        except _DAMAGES as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> DamagedStateError:
        fault = str(getattr(error, "message", error)).splitlines()[0]
        folder = posixpath.join(self.folder, FOLDER)
        return DamagedStateError(
            f"{folder}, from which training should start (`training.warm_start`), is damaged ({fault}). Remove this "
            "folder to start without it"
        )


def has_state(folder: str) -> bool:
    """Returns whether a model's artifact has a kept state, damaged or not."""
    return bool(tf.io.gfile.exists(posixpath.join(folder, FOLDER)))


def keep_state(folder: str, config: Config, weights: Weights, optimizer: Optimizer) -> None:
    """Writes the state of a training that has ended.

    The weights are those that are exported, the slots those of the last step.

    Args:
        folder: The model's artifact.
        config: Of the training.
        weights: Of the model.
        optimizer: With its slots.
    """
    tensors: dict[str, Any] = {}
    keys: dict[int, str] = {}
    rows: dict[str, tuple[str, int]] = {}
    for path, variable in weights.variables.items():
        tensors[f"weight/{path}"] = variable.read_value()
        tensors |= {_slot(name, path): slot.read_value() for name, slot in slots_of(optimizer, variable).items()}
        if path in weights.rows:
            own = weights.rows[path]
            name = keys.setdefault(id(own.keys), f"keys/{path}")  # most tables share their keys with others
            tensors[name] = tf.constant(own.keys, tf.string)
            rows[path] = (name, own.axis)
    about = {
        "name": config.name,
        "optimizer": rules(config.training.optimizer),
        "iterations": int(parts_of(optimizer)[0].iterations.numpy()),
        "meanings": dict(weights.meanings),
        "rows": rows,
    }
    tensors[_ABOUT] = tf.constant(json.dumps(about))
    own_folder = posixpath.join(folder, FOLDER)
    tf.io.gfile.makedirs(own_folder)
    names = list(tensors)
    tf.raw_ops.SaveV2(
        prefix=posixpath.join(own_folder, _FILE),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tensors[name] for name in names],
    )


def rules(config: OptimizerConfig) -> str:
    """Returns the optimizer's rules, such as `adamw`, or `adamw, embeddings adagrad`."""
    return config.name + (f", embeddings {config.embeddings.name}" if config.embeddings else "")


def _slot(name: str, path: str) -> str:
    return f"slot/{name}/{path}"
