"""Moves the weights and slots of an earlier training to a model of other data: rows by id, all else by name."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import tensorflow as tf
from numpy.typing import NDArray

from config.training import OptimizerConfig
from trainer.data.catalogue import Catalogue
from trainer.model.row_keys import RowKeys, Weights, is_special
from trainer.training.kept_state import KeptState, OldRows, rules
from trainer.training.optimizers import Optimizer, parts_of, slots_of
from transform.features import ModelFeature

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Means:
    """Groups of known rows, and of which groups new rows start from the mean.

    The k known rows of a group have the mean `groups` x rows; a new row starts from the mean of its groups' means.

    Attributes:
        groups: float [G, n], the share of each row in the mean of each group.
        shares: float [new, G].
    """

    groups: scipy.sparse.csr_matrix
    shares: scipy.sparse.csr_matrix

    def of(self, rows: Floats) -> Floats:
        """Computes the new rows, float [new, *], from all rows, float [n, *]."""
        flat = rows.reshape(len(rows), -1)
        return np.asarray(self.shares @ (self.groups @ flat)).reshape(-1, *rows.shape[1:])


@dataclass(frozen=True, eq=False)
class Match:
    """Where the rows of a table come from.

    Attributes:
        source: int64 [n], the old row; -1 for a new one.
        means: What new rows start from; None: they keep their initial values.
    """

    source: NDArray[np.int64]
    means: Means | None

    def moved(self, old: Floats, initial: Floats, old_axis: int, axis: int) -> Floats:
        """Returns the initial values with the old ones moved in; both have their rows along their axis."""
        rows, values = np.moveaxis(old, old_axis, 0), np.moveaxis(initial, axis, 0).copy()
        is_known = self.source >= 0
        values[is_known] = rows[self.source[is_known]]
        if self.means is not None:
            values[~is_known] = self.means.of(values)
        return np.moveaxis(values, 0, axis)


class WarmStart:
    """The start of a training from a kept state.

    Args:
        state: Of the earlier training.
        weights: Of the model, with their initial values.
        catalogue: The items, with the features that new ones start by.
        features: The model's.
        ids: Whether rows of users' and items' ids move; if not, only those of unknown ones do.
    """

    def __init__(
        self, state: KeptState, weights: Weights, catalogue: Catalogue, features: Sequence[ModelFeature], ids: bool
    ) -> None:
        self._state = state
        self._weights = weights
        self._catalogue = catalogue
        self._features = features
        self._moves_ids = ids
        self._matches: dict[tuple[int, int, str], Match] = {}
        self._said: dict[str, None] = {}
        self._moved: list[str] = []

    @property
    def report(self) -> tuple[str, ...]:
        """What started cold, and how many rows are known, in sentences."""
        return tuple(self._said)

    def begin(self, config: OptimizerConfig) -> int:
        """Returns the steps that an optimizer has done: those of the state's, whose slots it takes, if it is alike."""
        return self._state.iterations if self._state.optimizer == rules(config) else 0

    def move_weights(self) -> None:
        """Moves the weights."""
        state, weights = self._state, self._weights
        for path, variable in weights.variables.items():
            problem = self._problem(path, variable)
            if problem:
                self._say(problem)
                continue
            self._assign(path, variable, state.weight(path))
            self._moved.append(path)
        for path in state.shapes:
            if path not in weights.variables:
                self._say(f"`{_part(path)}`: no longer in the model")

    def move_slots(self, optimizer: Optimizer, config: OptimizerConfig) -> None:
        """Moves the slots of all weights that were moved, and the count of steps, to an optimizer that is alike.

        The bias corrections of Adam are those of the count; the learning rate begins anew (`WarmupSchedule`).
        """
        if self._state.optimizer != rules(config):
            self._say(f"`training.optimizer`: {self._state.optimizer} -> {rules(config)}: its slots start at zero")
            return
        for path in self._moved:
            for name, slot in slots_of(optimizer, self._weights.variables[path]).items():
                old = self._state.slot(name, path)
                if old is not None:
                    self._assign(path, slot, old)
        for part in parts_of(optimizer):
            part.iterations.assign(self._state.iterations)

    def _problem(self, path: str, variable: tf.Variable) -> str:
        """Returns why a weight starts cold; "" where it moves."""
        state, weights = self._state, self._weights
        keys = weights.rows.get(path)
        name = keys.table if keys else _part(path)
        for place, meaning in weights.meanings.items():
            old_meaning = state.meanings.get(place)
            if path.startswith(f"{place}.") and old_meaning not in (None, meaning):
                return f"`{place}`: {old_meaning} -> {meaning}: starts cold"
        if path not in state.shapes:
            return f"`{name}`: not in that model: starts cold"
        old, new = state.shapes[path], tuple(variable.shape)
        old_rows = state.rows(path)
        if (old_rows is None) != (keys is None):
            return f"`{path}`: numbered in another way: starts cold"
        if old_rows is not None and keys is not None:
            old, new = _without(old, old_rows.axis), _without(new, keys.axis)
        if old == new:
            return ""
        if keys is not None and len(old) == len(new) == 1:
            return f"`{name}`: {old[0]} -> {new[0]} dimensions: starts cold"
        return f"`{path}`: {_shape(old)} -> {_shape(new)}: starts cold"

    def _assign(self, path: str, variable: tf.Variable, old: Floats) -> None:
        keys, old_rows = self._weights.rows.get(path), self._state.rows(path)
        if keys is None or old_rows is None:
            variable.assign(old)
            return
        match = self._match(keys, old_rows)
        variable.assign(match.moved(old, variable.read_value().numpy(), old_rows.axis, keys.axis))

    def _match(self, keys: RowKeys, old: OldRows) -> Match:
        key = (id(keys.keys), id(old.keys), keys.start)
        if key not in self._matches:
            self._matches[key] = self._new_match(keys, old)
        return self._matches[key]

    def _new_match(self, keys: RowKeys, old: OldRows) -> Match:
        number = {value: row for row, value in enumerate(old.keys)}
        if keys.is_of_ids and not self._moves_ids:
            number = {value: row for value, row in number.items() if is_special(value)}
        source = np.array([number.get(value, -1) for value in keys.keys], np.int64)
        is_value = np.array([not is_special(value) for value in keys.keys], bool)
        known, values = int(np.count_nonzero((source >= 0) & is_value)), int(np.count_nonzero(is_value))
        gone = sum(not is_special(value) for value in old.keys) - known
        if known == 0 and values:
            self._say(f"`{keys.table}`: none of {values:,} is known: start cold")
        elif known < values or gone:
            self._say(f"`{keys.table}`: {known:,} of {values:,} are known; {gone:,} are no longer there")
        return Match(source, self._means(keys, source, is_value))

    def _means(self, keys: RowKeys, source: NDArray[np.int64], is_value: NDArray[np.bool_]) -> Means | None:
        """Returns what the new rows start from; None where that is their initial value."""
        is_known = (source >= 0) & is_value
        if keys.start == "last":
            is_known = np.arange(len(source)) == np.where(source[-1] >= 0, len(source) - 1, -1)
        if keys.start == "fresh" or not is_known.any() or (source >= 0).all():
            return None
        groups = scipy.sparse.csr_matrix((len(source), 0), dtype=np.float32)
        if keys.start == "content":
            groups = content_groups(self._catalogue, self._features)
        return group_means(groups, is_known, source < 0)

    def _say(self, sentence: str) -> None:
        self._said[sentence] = None


def content_groups(catalogue: Catalogue, features: Sequence[ModelFeature]) -> scipy.sparse.csr_matrix:
    """Returns which items have which categories, float [V + 1, C]; the missing value is none."""
    parts = []
    for feature in features:
        if feature.section == "item" and feature.size is not None:
            values = catalogue.features[feature.name].reshape(catalogue.size + 1, -1)
            row, column = np.nonzero((values >= 0) & (values < feature.size - 1))
            cells = (np.ones(len(row), np.float32), (row, values[row, column]))
            part = scipy.sparse.csr_matrix(cells, shape=(catalogue.size + 1, feature.size))
            parts.append((part > 0).astype(np.float32))
    return (
        scipy.sparse.hstack(parts, "csr")
        if parts
        else scipy.sparse.csr_matrix((catalogue.size + 1, 0), dtype=np.float32)
    )


def group_means(groups: scipy.sparse.csr_matrix, is_known: NDArray[np.bool_], is_new: NDArray[np.bool_]) -> Means:
    """Returns the means of groups of rows; a new row without a group that holds a known one gets the mean of all known.

    Args:
        groups: 0 or 1, [n, C].
        is_known: bool [n], the rows that are averaged.
        is_new: bool [n], the rows that start from them.
    """
    everyone = scipy.sparse.csr_matrix(np.ones([len(is_known), 1], np.float32))
    members = scipy.sparse.hstack([groups, everyone], "csr").multiply(is_known[:, np.newaxis]).tocsr()
    counts = np.asarray(members.sum(axis=0)).ravel()
    own = groups[is_new].multiply(counts[:-1] > 0).tocsr()
    number = np.asarray(own.sum(axis=1)).ravel()
    has_none = scipy.sparse.csr_matrix((number == 0).astype(np.float32)[:, np.newaxis])
    wanted = scipy.sparse.hstack([own, has_none], "csr")
    return Means(
        members.T.multiply(1 / np.maximum(counts, 1)[:, np.newaxis]).tocsr().astype(np.float32),
        wanted.multiply(1 / np.maximum(number, 1)[:, np.newaxis]).tocsr().astype(np.float32),
    )


def _part(path: str) -> str:
    return ".".join(path.split(".")[:2])


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"
