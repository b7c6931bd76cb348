"""What is known of labels beside the network's prediction."""

from collections.abc import Mapping

import tensorflow as tf

from trainer.model.query_tower import QueryState
from trainer.stacking.attributes import AttributeMeans, ItemAttributes
from trainer.stacking.bias_terms import BiasTerms
from trainer.stacking.blend import Blend
from trainer.stacking.factors import UserFactors
from trainer.stacking.neighbours import Cells, NeighbourTable, sums_of
from trainer.stacking.outcomes import OutcomeLabels
from trainer.stacking.session_bias import session_bias


class RatingBaseline(tf.Module):
    """The parts of predictions that are no network's, made of one task's labels, and the tasks that count on them.

    Several tasks do whose labels are observed by the same outcome: of a rating, and of whether it is 4 at least.

    Args:
        bias_terms: of users and items.
        observed: the labels that the history's outcomes stand for; None where none does, and the rest is not read.
        tables: from the history's items to those near to them, by kind.
        user_factors: of the history; None: no such part.
        attributes: of the items.
        session_biases: their scales in seconds, by part.
        damping: of the means of near items, and of those that share an attribute.

    Attributes:
        blends: by task.
    """

    def __init__(
        self,
        bias_terms: BiasTerms,
        observed: OutcomeLabels | None,
        tables: Mapping[str, NeighbourTable],
        user_factors: UserFactors | None,
        attributes: ItemAttributes,
        session_biases: Mapping[str, int],
        damping: float,
    ) -> None:
        super().__init__(name="baseline")
        self.blends: dict[str, Blend] = {}
        self._damping = damping
        self._mean, self._size = bias_terms.mean, len(bias_terms.item) - 1
        self._observed = observed
        self._tables = dict(tables) if observed else {}
        self._user_factors = user_factors if observed else None
        self._session_biases = dict(session_biases) if observed else {}
        self._attributes = AttributeMeans(attributes, self._damping) if observed and attributes.names else None
        with self.name_scope:
            self._user = tf.Variable(tf.cast(bias_terms.user, tf.float32), trainable=False, name="user_bias")
            self._item = tf.Variable(tf.cast(bias_terms.item, tf.float32), trainable=False, name="item_bias")

    @property
    def names(self) -> tuple[str, ...]:
        """The parts beside the network."""
        user_factors = () if self._user_factors is None else ("factors",)
        return (
            "bias",
            *self._tables,
            *user_factors,
            *self._session_biases,
            *(self._attributes.names if self._attributes else ()),
        )

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
        bias_terms = tf.gather(self._user, state.user)[:, tf.newaxis] + tf.gather(self._item, item)
        if self._observed is None:
            return {"bias": bias_terms}
        residual, is_observed = self._residuals(self._observed, state)
        history = tf.where(is_observed, state.items, self._size)
        near = self._means_of_near(history, residual, item) if self._tables else {}
        alike = self._attributes(history, residual, item) if self._attributes else {}
        return {"bias": bias_terms} | near | alike | self._of_user(state, is_observed, residual, item)

    def _of_user(
        self, state: QueryState, is_observed: tf.Tensor, residual: tf.Tensor, item: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """The user_factors, and the session_biases that it leaves."""
        user_factors: dict[str, tf.Tensor] = {}
        if self._user_factors is not None:
            own = self._user_factors.of(state.items, is_observed, residual)
            user_factors = {"factors": self._user_factors.residual(own, item)}
            residual -= self._user_factors.residual(own, state.items)
        return user_factors | {
            name: session_bias(residual, is_observed, state.time, scale) for name, scale in self._session_biases.items()
        }

    def _means_of_near(self, history: tf.Tensor, residual: tf.Tensor, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """By kind the mean of the user's labels, above their bias_terms, of near items; drawn to 0 by the damping."""
        kinds = [table.cells(history) for table in self._tables.values()]
        # All kinds' sums and weights are looked up at once: two columns of each, zero for the cells of the others.
        columns = [self._columns(cells, residual, number) for number, cells in enumerate(kinds)]
        cell = tf.concat([cells.cell for cells in kinds], axis=0)
        found = sums_of(item, cell, tf.concat(columns, axis=0), self._size)
        pairs = zip(self._tables, tf.split(found, len(kinds), axis=-1), strict=True)
        return {name: pair[..., 0] / (pair[..., 1] + self._damping) for name, pair in pairs}

    def _columns(self, cells: Cells, residual: tf.Tensor, number: int) -> tf.Tensor:
        """float [N, 2 T]: what a kind's events add, and its weights."""
        added = cells.value * tf.gather(tf.reshape(residual, [-1]), cells.event)
        behind = len(self._tables) - number - 1
        return tf.pad(tf.stack([added, cells.value], axis=1), [[0, 0], [2 * number, 2 * behind]])

    def _residuals(self, observed: OutcomeLabels, state: QueryState) -> tuple[tf.Tensor, tf.Tensor]:
        """The history's labels above what was to be expected, float [B, L], and which there are, bool [B, L]."""
        category = state.outcomes[observed.feature]
        label = tf.gather(tf.constant(observed.label, tf.float32), category)
        is_observed = tf.gather(tf.constant(observed.is_known), category) & (state.items < self._size)
        expected = self._mean + tf.gather(self._user, state.user)[:, tf.newaxis] + tf.gather(self._item, state.items)
        return label - expected, is_observed
