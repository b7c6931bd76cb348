"""The rating baseline: parts of a label's prediction that are computed without the network."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.model.query_tower import QueryState
from trainer.stacking.bias_terms import BiasTerms
from trainer.stacking.blend import Blend
from trainer.stacking.factors import UserFactors
from trainer.stacking.history import AttributeMeans, ItemAttributes, OutcomeLabels, session_bias
from trainer.stacking.neighbours import Cells, NeighbourTable, sums_of


class RatingBaseline(tf.Module):
    """Computes the parts of label predictions beside the network's, and blends them with it.

    With the residuals r_j = r_uj - (mu + b_u + b_j) of the user's labelled history, the parts for item i are

    - `bias`: b_u + b_i,
    - `cosine` and `correlation`, item-based neighbourhoods (Sarwar et al., "Item-based collaborative filtering
      recommendation algorithms", 2001): sum_j s_ji r_j / (sum_j s_ji + damping) over the neighbours j of i,
    - `factors`: p_u . q_i, with p_u inferred from the history,
    - `session_bias_<seconds>`: the recent mean of r_j - p_u . q_j,
    - and by attribute: the mean of r_j over items j that share a value with i.

    One baseline serves all tasks whose labels are determined by the same outcome, such as a rating and whether it is at
    least 4.

    Args:
        bias_terms: The bias terms of users and items.
        observed: The labels that the history's outcomes stand for. None: there are none, and `bias` is the only part.
        tables: The neighbourhoods by part.
        user_factors: Computes the users' factors. None: there is no part `factors`.
        attributes: The attributes of the items.
        session_biases: The scales in seconds by part.
        damping: Added to the sums of weights of neighbours and of items that share a value.

    Attributes:
        blends: The blend of each task that this baseline predicts.
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
    def arrays(self) -> dict[str, tf.Variable]:
        """What of the baseline is numbered by users and items, by name: for `restored_baseline`."""
        arrays = {"user": self._user, "item": self._item}
        for name, table in self._tables.items():
            arrays |= {f"{name}_{part}": values for part, values in table.arrays.items()}
        return arrays | ({} if self._user_factors is None else self._user_factors.arrays)

    @property
    def form(self) -> dict[str, Any]:
        """All else that it is made of, as JSON holds it."""
        observed, factors = self._observed, self._user_factors
        labels = observed and {
            "feature": observed.feature,
            "label": observed.label.tolist(),
            "is_known": observed.is_known.tolist(),
        }
        return {
            "mean": self._mean,
            "observed": labels,
            "tables": list(self._tables),
            "factors": factors and {"start": factors.start, "noise": factors.noise},
            "attributes": list(self._attributes.names) if self._attributes else [],
            "session_biases": dict(self._session_biases),
            "damping": self._damping,
            "blends": {n: {"intercept": b.intercept, "weights": b.weights} for n, b in self.blends.items()},
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parts beside the network."""
        factors = () if self._user_factors is None else ("factors",)
        attributes = () if self._attributes is None else self._attributes.names
        return ("bias", *self._tables, *factors, *self._session_biases, *attributes)

    def predictions(self, network: Mapping[str, tf.Tensor], state: QueryState, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """Blends the network's predictions with the parts.

        Args:
            network: float [B, N] by task.
            state: The queries at one position (`QueryState.newest`).
            item: int64 [B, N] in [0, V].

        Returns:
            float [B, N] for each task in `blends`.
        """
        parts = self.parts(state, item)
        return {name: blend.predict(network[name], parts) for name, blend in self.blends.items()}

    def parts(self, state: QueryState, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes the parts.

        Args:
            state: The queries at one position (`QueryState.newest`).
            item: int64 [B, N] in [0, V].

        Returns:
            By part float [B, N], or [B, 1] where the part is the same for all items.
        """
        parts = {"bias": tf.gather(self._user, state.user)[:, tf.newaxis] + tf.gather(self._item, item)}
        if self._observed is None:
            return parts
        residual, is_observed = self._residuals(self._observed, state)
        history = tf.where(is_observed, state.items, self._size)
        if self._tables:
            parts |= self._neighbour_means(history, residual, item)
        if self._attributes is not None:
            parts |= self._attributes(history, residual, item)
        if self._user_factors is not None:
            factors = self._user_factors.infer(state.items, is_observed, residual)
            parts["factors"] = self._user_factors.contribution(factors, item)
            residual -= self._user_factors.contribution(factors, state.items)
        for name, scale in self._session_biases.items():
            parts[name] = session_bias(residual, is_observed, state.time, scale)
        return parts

    def _residuals(self, observed: OutcomeLabels, state: QueryState) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the history's labels less mu + b_u + b_i, float [B, L], and whether each is known, bool [B, L]."""
        category = state.outcomes[observed.feature]
        label = tf.gather(tf.constant(observed.label, tf.float32), category)
        is_observed = tf.gather(tf.constant(observed.is_known), category) & (state.items < self._size)
        expected = self._mean + tf.gather(self._user, state.user)[:, tf.newaxis] + tf.gather(self._item, state.items)
        return label - expected, is_observed

    def _neighbour_means(self, history: tf.Tensor, residual: tf.Tensor, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes the weighted means of the residuals of each item's neighbours in the history: float [B, N] by kind.

        The sums and weights of all T kinds are looked up at once, as 2 T columns that are zero in other kinds' cells.
        """
        kinds = [table.cells(history) for table in self._tables.values()]
        columns = [self._columns(cells, residual, number) for number, cells in enumerate(kinds)]
        cell = tf.concat([cells.cell for cells in kinds], axis=0)
        sums = sums_of(item, cell, tf.concat(columns, axis=0), self._size)
        pairs = zip(self._tables, tf.split(sums, len(kinds), axis=-1), strict=True)
        return {name: pair[..., 0] / (pair[..., 1] + self._damping) for name, pair in pairs}

    def _columns(self, cells: Cells, residual: tf.Tensor, number: int) -> tf.Tensor:
        """Returns s_ji r_j and s_ji of a kind's links as the columns 2 n and 2 n + 1 of float [N, 2 T]."""
        weighted = cells.value * tf.gather(tf.reshape(residual, [-1]), cells.event)
        after = len(self._tables) - number - 1
        return tf.pad(tf.stack([weighted, cells.value], axis=1), [[0, 0], [2 * number, 2 * after]])
