"""What is known of labels beside the network's prediction."""

from collections.abc import Mapping

import tensorflow as tf

from trainer.model.query_tower import QueryState
from trainer.stacking.attributes import AttributeMeans, ItemAttributes
from trainer.stacking.bias_terms import Levels
from trainer.stacking.blend import Blend
from trainer.stacking.factors import Taste
from trainer.stacking.neighbours import Cells, NeighbourTable, sums_of
from trainer.stacking.outcomes import OutcomeLabels
from trainer.stacking.session_bias import mood


class Habits(tf.Module):
    """The parts of predictions that are no network's, made of one task's labels, and the tasks that count on them.

    Several tasks do whose labels are told by the same outcome: of a rating, and of whether it is 4 at least.

    Args:
        levels: of users and items.
        told: the labels that the history's outcomes stand for; None where none does, and the rest is not read.
        tables: from the history's items to those near to them, by kind.
        taste: of the history; None: no such part.
        attributes: of the items.
        moods: their scales in seconds, by part.
        damping: of the means of near items, and of those that share an attribute.

    Attributes:
        blends: by task.
    """

    def __init__(
        self,
        levels: Levels,
        told: OutcomeLabels | None,
        tables: Mapping[str, NeighbourTable],
        taste: Taste | None,
        attributes: ItemAttributes,
        moods: Mapping[str, int],
        damping: float,
    ) -> None:
        super().__init__(name="habits")
        self.blends: dict[str, Blend] = {}
        self._damping = damping
        self._mean, self._size = levels.mean, len(levels.item) - 1
        self._told = told
        self._tables = dict(tables) if told else {}
        self._taste = taste if told else None
        self._moods = dict(moods) if told else {}
        self._attributes = AttributeMeans(attributes, self._damping) if told and attributes.names else None
        with self.name_scope:
            self._user = tf.Variable(tf.cast(levels.user, tf.float32), trainable=False, name="user_levels")
            self._item = tf.Variable(tf.cast(levels.item, tf.float32), trainable=False, name="item_levels")

    @property
    def names(self) -> tuple[str, ...]:
        """The parts beside the network."""
        taste = () if self._taste is None else ("factors",)
        return ("levels", *self._tables, *taste, *self._moods, *(self._attributes.names if self._attributes else ()))

    def predictions(self, network: Mapping[str, tf.Tensor], state: QueryState, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """The network's predictions float [B, N] by task, of items int64 [B, N] -> those of the tasks in `blends`."""
        parts = self.parts(state, item)
        return {name: blend.prediction(network[name], parts) for name, blend in self.blends.items()}

    def parts(self, state: QueryState, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """How far each part alone lets expect labels above their mean.

        Args:
            state: at one position (`QueryState.newest`).
            item: int64 [B, N] in [0, V].

        Returns:
            By part float [B, N], or [B, 1] where it is the same for all items.
        """
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
        return taste | {name: mood(above, is_told, state.time, scale) for name, scale in self._moods.items()}

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
