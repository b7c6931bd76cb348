"""A label predicted by network and habits together."""

from collections.abc import Mapping

import tensorflow as tf

from pipeline.config.habits import NETWORK
from pipeline.config.tasks import PointwiseTask
from trainer.habits.attributes import AttributeMeans, ItemAttributes
from trainer.habits.levels import Levels
from trainer.habits.link import link_of
from trainer.habits.mood import moods
from trainer.habits.outcomes import OutcomeLabels
from trainer.habits.taste import Taste
from trainer.neighbours.scores import Cells, NeighbourTable, sums_of
from trainer.towers.state import QueryState


class Habits(tf.Module):
    """What is known of a task's label beside the network's prediction.

    Args:
        task: bounds and damping.
        levels: of users and items.
        told: the labels that the history's outcomes stand for; None where none does, and the rest is not read.
        tables: from the history's items to those near to them, by kind.
        taste: of the history; None: no such part.
        attributes: of the items.
        moods: their scales in seconds, by part.
        weights: of the parts, by name; those that are missing are left out. None where they are to be chosen yet.
    """

    def __init__(
        self,
        task: PointwiseTask,
        levels: Levels,
        told: OutcomeLabels | None,
        tables: Mapping[str, NeighbourTable],
        taste: Taste | None,
        attributes: ItemAttributes,
        moods: Mapping[str, int],
        weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(name="habits")
        self.link = link_of(task)
        self._damping = task.habits.damping if task.habits else 0.0
        self._mean, self._size = levels.mean, len(levels.item) - 1
        self.start = float(self.link.of(tf.constant(levels.mean, tf.float32)))
        """What the parts are added to: where the mean label is."""
        self._told = told
        self._tables = dict(tables) if told else {}
        self._taste = taste if told else None
        self._moods = dict(moods) if told else {}
        self._attributes = AttributeMeans(attributes, self._damping) if told and attributes.names else None
        self.weights = weights
        with self.name_scope:
            self._user = tf.Variable(tf.cast(levels.user, tf.float32), trainable=False, name="user_levels")
            self._item = tf.Variable(tf.cast(levels.item, tf.float32), trainable=False, name="item_levels")

    @property
    def names(self) -> tuple[str, ...]:
        """The parts beside the network."""
        taste = () if self._taste is None else ("factors",)
        return ("levels", *self._tables, *taste, *self._moods, *(self._attributes.names if self._attributes else ()))

    def prediction(self, network: tf.Tensor, state: QueryState, item: tf.Tensor) -> tf.Tensor:
        """The weighted parts as a prediction: the network's float [B, N], items int64 [B, N] -> float [B, N]."""
        parts = self.parts(network, state, item)
        total = tf.zeros_like(network) + self.start
        for name, weight in (self.weights or {}).items():
            total += weight * parts[name]
        return self.link.answer(total)

    def parts(self, network: tf.Tensor, state: QueryState, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """What each part adds to `start`.

        Args:
            network: its prediction, float [B, N].
            state: at one position (`QueryState.newest`).
            item: int64 [B, N] in [0, V].

        Returns:
            By part float [B, N], or [B, 1] where it is the same for all items.
        """
        return {NETWORK: self.link.of(network) - self.start} | self._beside_network(state, item)

    def _beside_network(self, state: QueryState, item: tf.Tensor) -> dict[str, tf.Tensor]:
        levels = tf.gather(self._user, state.user)[:, tf.newaxis] + tf.gather(self._item, item)
        if self._told is None:
            return {"levels": levels}
        above, is_told = self._above_levels(self._told, state)
        history = tf.where(is_told, state.items, self._size)
        near = self._means_of_near(history, above, item) if self._tables else {}
        alike = self._attributes(history, above, item) if self._attributes else {}
        return {"levels": levels} | near | alike | self._of_user(state, is_told, above, item)

    def _of_user(
        self, state: QueryState, is_told: tf.Tensor, above: tf.Tensor, item: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The taste, and the moods that it leaves."""
        taste: dict[str, tf.Tensor] = {}
        if self._taste is not None:
            own = self._taste.of(state.items, is_told, above)
            taste = {"factors": self._taste.above(own, item)}
            above -= self._taste.above(own, state.items)
        return taste | {name: moods(above, is_told, state.time, scale) for name, scale in self._moods.items()}

    def _means_of_near(self, history: tf.Tensor, above: tf.Tensor, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """By kind the mean of the user's labels, above their levels, of near items; drawn to 0 by the damping."""
        kinds = [table.cells(history) for table in self._tables.values()]
        # All kinds' sums and weights are looked up at once: two columns of each, zero for the cells of the others.
        columns = [self._columns(cells, above, number) for number, cells in enumerate(kinds)]
        cell = tf.concat([cells.cell for cells in kinds], axis=0)
        found = sums_of(item, cell, tf.concat(columns, axis=0), self._size)
        pairs = zip(self._tables, tf.split(found, len(kinds), axis=-1), strict=True)
        return {name: pair[..., 0] / (pair[..., 1] + self._damping) for name, pair in pairs}

    def _columns(self, cells: Cells, above: tf.Tensor, number: int) -> tf.Tensor:
        """float [N, 2 T]: what a kind's events add, and its weights."""
        added = cells.value * tf.gather(tf.reshape(above, [-1]), cells.event)
        behind = len(self._tables) - number - 1
        return tf.pad(tf.stack([added, cells.value], axis=1), [[0, 0], [2 * number, 2 * behind]])

    def _above_levels(self, told: OutcomeLabels, state: QueryState) -> tuple[tf.Tensor, tf.Tensor]:
        """The history's labels above what was to be expected, float [B, L], and which there are, bool [B, L]."""
        category = state.outcomes[told.feature]
        label = tf.gather(tf.constant(told.label, tf.float32), category)
        is_told = tf.gather(tf.constant(told.is_known), category) & (state.items < self._size)
        expected = self._mean + tf.gather(self._user, state.user)[:, tf.newaxis] + tf.gather(self._item, state.items)
        return label - expected, is_told
