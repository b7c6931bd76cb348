"""The query tower: encodes user, context and history at the time of each event."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from config import Config, feature_names
from trainer.data.hiding import Hiding, Known
from trainer.data.windows import MASK, Window, no_user_features
from trainer.distributed.randomness import BlankHistory, Dropout, EventDropout, Randomness
from trainer.layers.blocks import FeatureEncoder, HiddenLayers
from trainer.layers.encoders.base import GAP_BUCKETS, before, gap_buckets, lagged, last_visible_before
from trainer.layers.encoders.history import HistoryEncoder
from trainer.layers.interaction import History
from trainer.layers.sharing import Sharing
from trainer.layers.tables import EmbeddingTables, embedding_table
from transform.features import ModelFeature


class QueryState(NamedTuple):
    """A query at every position.

    Attributes:
        embedding: float [B, L, D + 1 + W]: temperature x unit vector, a 1 that multiplies the candidate's bias, and
            the weights of the W trend features (none without `features.trend`).
        hidden: float [B, L, S] by state, read by the other tasks; the name of a task's is `Sharing.state_of`.
        history: The events [B, L, D] that the query at each position sees, read by target attention.
        items: int64 [B, L], the visible events' items, V elsewhere, read by the item neighbours.
        time: int64 [B, L], the positions' times in seconds, 0 where unknown.
        user: int64 [B], U where unknown; read by the rating baseline, as `time` and `outcomes` are.
        outcomes: The events' categories, int64 [B, L] by outcome feature.
    """

    embedding: tf.Tensor
    hidden: dict[str, tf.Tensor]
    history: History
    items: tf.Tensor
    time: tf.Tensor
    user: tf.Tensor
    outcomes: dict[str, tf.Tensor]

    def newest(self) -> "QueryState":
        """Returns the query at the last position: [B, L, .] becomes [B, .]; `items` and `outcomes` [B, L - 1] are those
        before it, `time` [B, L] ends with its own."""
        return self._replace(
            embedding=self.embedding[:, -1],
            hidden={name: values[:, -1] for name, values in self.hidden.items()},
            history=self.history.newest(),
            items=self.items[:, :-1],
            outcomes={name: values[:, :-1] for name, values in self.outcomes.items()},
        )


class Past(NamedTuple):
    """The events that queries at Q positions, all of them or the last alone, may use.

    Attributes:
        events: float [B, L, D].
        positive: bool [B, L], those that a history may hold.
        visible: bool [B, L], those of them that training does not hide.
        last: int32 [B, Q], the position of the last visible event before each position, -1 where there is none or the
            history is blank.
        gap: int32 [B, Q], the bucket of the time since.
        known: The window as training hides it.
    """

    events: tf.Tensor
    positive: tf.Tensor
    visible: tf.Tensor
    last: tf.Tensor
    gap: tf.Tensor
    known: Known

    def newest(self) -> "Past":
        """Returns the past of the query at the last position: no event there is visible."""
        length = tf.shape(self.visible)[1]
        earlier = self.visible & (tf.range(length) < length - 1)
        last, gap = self.last[:, -1:], self.gap[:, -1:]
        return Past(self.events, earlier, earlier, last, gap, self.known.newest())


class EventEncoder(tf.keras.layers.Layer):
    """Encodes a past event: its item, its context and outcome, and the time since the event before it."""

    def __init__(self, config: Config, features: Sequence[ModelFeature], tables: EmbeddingTables) -> None:
        super().__init__(name="event")
        self.features = _feature_encoder(config, features, tables, "event_features", "context", "outcome")
        self.gaps = _gap_table(config)

    def call(self, window: Window, vectors: tf.Tensor, gap: tf.Tensor) -> tf.Tensor:
        """Encodes a window with its items' vectors float [B, L, D] and gap buckets int [B, L]: float [B, L, D]."""
        if self.features is not None:
            vectors += self.features(window)
        return vectors if self.gaps is None else vectors + self.gaps(gap)


class QueryTower(tf.keras.layers.Layer):
    """Encodes a user at the time of each event: the visible events before it, the context and the user's features.

    Args:
        config: The dimensions, layers and encoders.
        features: Every feature.
        user_count: U, the number of known users.
        randomness: Of the dropout.
        sharing: Computes the tasks' states.
        tables: Makes the embeddings.
    """

    def __init__(
        self,
        config: Config,
        features: Sequence[ModelFeature],
        user_count: int,
        randomness: Randomness,
        sharing: Sharing,
        tables: EmbeddingTables,
    ) -> None:
        super().__init__(name="query_tower")
        model = config.model
        self._model = model
        self._retrieval = next((n for n, t in config.tasks.items() if t.kind == "retrieval"), None)
        self._ranking = dict.fromkeys(sharing.state_of(name) for name in config.events)
        self.outcomes = [f for f in features if f.section == "outcome" and f.form == "category"]
        self.sharing = sharing
        self.event = EventEncoder(config, features, tables)
        self.history = HistoryEncoder(model.history, randomness)
        self.hide = EventDropout(model.history.item_dropout, randomness)
        self.dropouts = [Dropout(model.history.dropout, randomness, name=f"dropout_{i}") for i in range(2)]
        self.gaps = _gap_table(config)
        self.user = _feature_encoder(config, features, tables, "user_features", "user")
        self._user_features = [f for f in features if f.section == "user"]
        self.context = _feature_encoder(config, features, tables, "context_features", "context")
        id_table = (feature_names.USER_ID, user_count + 1, model.dimension, "user_embedding")
        self.user_ids = tables.make(*id_table) if config.embeds_users else None
        self.hidden = HiddenLayers(model.query_layers, name="hidden", batch_norm=model.batch_norm)
        self.project = tf.keras.layers.Dense(model.dimension, name="project")
        self.blank = BlankHistory(model.history.blank, randomness)
        self.hiding = Hiding(config, features, user_count, randomness)
        # The weights of the trend features start at 0, so that training starts from the items' biases, the popularity
        # of the whole log. With biases of 0 and the trend of a window, logs of thousands of items learn much slower.
        trends = len(config.trend.days) if config.trend else 0
        self.trend = tf.keras.layers.Dense(trends, kernel_initializer="zeros", name="trend_weights") if trends else None
        self.start = self.add_weight(name="start", shape=[model.dimension], initializer="zeros")
        temperature = config.retrieval.temperature if config.retrieval else 1.0
        scale = tf.keras.initializers.Constant(-float(tf.math.log(temperature)))
        self.log_scale = self.add_weight(name="log_scale", shape=[], initializer=scale)

    def call(
        self, window: Window, vectors: tf.Tensor, unknown: int, training: bool = False, newest: bool = False
    ) -> QueryState:
        """Encodes the queries of a window batch.

        Args:
            window: [B, L].
            vectors: float [B, L, D], of the window's items.
            unknown: V, the index of unknown items.
            training: Whether to apply dropout and hiding.
            newest: Whether only the query at the last position is computed, as in serving.

        Returns:
            The queries at all positions; with `newest` that at the last one, `QueryState.newest`.
        """
        past = self._past(window, vectors, unknown, training)
        if newest:
            past = past.newest()
            sees = past.visible[:, tf.newaxis]
        else:
            sees = History.of(past.events, past.visible).sees
        shared = self._shared_state(past, training, newest)
        states = self.sharing(shared)
        own = shared if self._retrieval is None else states[self.sharing.state_of(self._retrieval)]
        hidden = self.hidden(own, window[MASK], training=training)  # the mask is read in training only
        query = tf.math.l2_normalize(self.project(hidden), axis=-1, epsilon=1e-6)
        embedding = [query * tf.exp(self.log_scale), tf.ones_like(query[..., :1])]
        embedding += [] if self.trend is None else [self.trend(own)]
        state = QueryState(
            embedding=tf.concat(embedding, axis=-1),
            hidden={name: self._with_user_id(states[name], past.known) for name in self._ranking},
            history=History(past.events, sees & (past.last >= 0)[..., tf.newaxis]),
            items=tf.where(past.visible, window[feature_names.ITEM_ID], unknown),
            time=window[feature_names.TIME],
            user=window[feature_names.USER_ID],
            outcomes={feature.name: window[feature.name] for feature in self.outcomes},
        )
        return state.newest() if newest else state

    def shared_state(self, window: Window, vectors: tf.Tensor, unknown: int) -> tf.Tensor:
        """Computes the input of the sharing at all positions, float [B, L, D]; the arguments are those of `call`."""
        return self._shared_state(self._past(window, vectors, unknown, training=False), training=False, newest=False)

    def _past(self, window: Window, vectors: tf.Tensor, unknown: int, training: bool) -> Past:
        known = self.hiding(window, training=training)
        positive = window[MASK] & window[feature_names.IS_POSITIVE] & (window[feature_names.ITEM_ID] != unknown)
        visible = self.hide(positive, training=training)
        last = last_visible_before(visible)
        time = known.past[feature_names.TIME]
        earlier = lagged(time, last)
        events = self.event(known.past, vectors, gap_buckets(time, earlier, GAP_BUCKETS))
        events = self.dropouts[0](events, training=training)
        last = self.blank(last, training=training)
        gap = tf.where(last >= 0, gap_buckets(known.moment[feature_names.TIME], earlier, GAP_BUCKETS), 0)
        return Past(events, positive, visible, last, gap, known)

    def _shared_state(self, past: Past, training: bool, newest: bool) -> tf.Tensor:
        """Encodes history, context and user: float [B, Q, D]."""
        known, times = past.known, past.known.past[feature_names.TIME]
        encoded = self.history(past.events, past.visible, times, past.positive, training=training, newest=newest)
        if newest:
            states = tf.where((past.last >= 0)[..., tf.newaxis], encoded, self.start)
        else:
            states = before(encoded, past.last, self.start)
        if self.gaps is not None:
            states += self.gaps(past.gap)
        if self.context is not None:
            states += self.context(known.moment)
        if self.user is not None:
            states += self._user_vectors(self.user, known)
        if self._model.user_id == "both" and self.user_ids is not None:
            states += self.user_ids(known.user_id)
        return self.dropouts[1](states, training=training)

    def _user_vectors(self, encoder: FeatureEncoder, known: Known) -> tf.Tensor:
        """Encodes the users' features: float [B, Q or 1, D]."""
        vectors = encoder(known.past)[:, tf.newaxis]
        if known.without_user is None:
            return vectors
        unknown = encoder(no_user_features(self._user_features))
        return tf.where(known.without_user[..., tf.newaxis], unknown[:, tf.newaxis], vectors)

    def _with_user_id(self, hidden: tf.Tensor, known: Known) -> tf.Tensor:
        if self.user_ids is None:
            return hidden
        return tf.concat([hidden, self.user_ids(known.user_id) + tf.zeros_like(hidden[..., :1])], axis=-1)


def _feature_encoder(
    config: Config, features: Sequence[ModelFeature], tables: EmbeddingTables, name: str, *sections: str
) -> FeatureEncoder | None:
    own, model = [f for f in features if f.section in sections], config.model
    return FeatureEncoder(own, tables, model.feature_dimension, model.dimension, name) if own else None


def _gap_table(config: Config) -> tf.keras.layers.Embedding | None:
    if not config.model.history.time_gaps:
        return None
    return embedding_table(GAP_BUCKETS, config.model.dimension, name="gap_embedding")
