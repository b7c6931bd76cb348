"""What the query tower says of a user at the moment of each event."""

from typing import NamedTuple

import tensorflow as tf

from trainer.target_attention import History


class QueryState(NamedTuple):
    """A query at every position.

    Attributes:
        embedding: float [B, L, D + 1 + W]: temperature x unit vector, a 1 that meets the candidate's bias, and the
            weights of the W trend features (none without `features.trend`).
        hidden: float [B, L, S] by state: what the other tasks read, each that of `Sharing.state_of`.
        history: the events [B, L, D] that each position's query sees: what target attention reads.
        items: int64 [B, L], the visible events' items, V elsewhere: what neighbourhoods read.
        time: int64 [B, L], the positions' times in seconds, 0 where unknown.
        user: int64 [B], U where unknown: with `time` and `outcomes`, what habits read.
        outcomes: the events' categories, int64 [B, L] by outcome feature.
    """

    embedding: tf.Tensor
    hidden: dict[str, tf.Tensor]
    history: History
    items: tf.Tensor
    time: tf.Tensor
    user: tf.Tensor
    outcomes: dict[str, tf.Tensor]

    def newest(self) -> "QueryState":
        """The query at the last position: [B, L, .] -> [B, .]; `items`, `outcomes` [B, L - 1] are those before it,
        `time` [B, L] ends with its own."""
        hidden = {name: values[:, -1] for name, values in self.hidden.items()}
        outcomes = {name: values[:, :-1] for name, values in self.outcomes.items()}
        items = self.items[:, :-1]
        history = self.history.newest()
        return self._replace(
            embedding=self.embedding[:, -1], hidden=hidden, history=history, items=items, outcomes=outcomes
        )
