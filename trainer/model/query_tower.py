"""The query tower: user, context and history as a vector at the moment of each event."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from config import Config, feature_names
from trainer.data.hiding import Hiding, Known
from trainer.data.windows import MASK, Window, no_user_features
from trainer.distributed.randomness import BlankHistory, Dropout, EventDropout, Randomness
from trainer.layers.encoders.base import GAP_BUCKETS, before, gap_buckets, lagged, last_visible_before
from trainer.layers.encoders.history import HistoryEncoder
from trainer.layers.feature_encoders import FeatureEncoder, HiddenLayers, embedding_table
from trainer.layers.sharing import Sharing
from trainer.layers.target_attention import History
from transform.features import ModelFeature


class QueryState(NamedTuple):
    """A query at every position.

    Attributes:
        embedding: float [B, L, D + 1 + W]: temperature x unit vector, a 1 that meets the candidate's bias, and the
            weights of the W trend features (none without `features.trend`).
        hidden: float [B, L, S] by state: what the other tasks read, each that of `Sharing.state_of`.
        history: the events [B, L, D] that each position's query sees: what target attention reads.
        items: int64 [B, L], the visible events' items, V elsewhere: what neighbourhoods read.
        time: int64 [B, L], the positions' times in seconds, 0 where unknown.
        user: int64 [B], U where unknown: with `time` and `outcomes`, what baseline read.
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


class Past(NamedTuple):
    """What queries at Q positions, all of them or the last alone, know of the events.

    Attributes:
        events: float [B, L, D].
        positive: bool [B, L], those that a history may hold.
        visible: bool [B, L], those of them that training does not hide.
        last: int32 [B, Q], the position of the last visible event before each position, -1 where there is none or the
            history is blank.
        gap: int32 [B, Q], the bucket of the time since.
        known: what else there is to know.
    """

    events: tf.Tensor
    positive: tf.Tensor
    visible: tf.Tensor
    last: tf.Tensor
    gap: tf.Tensor
    known: Known

    def newest(self) -> "Past":
        """For the query at the last position alone."""
        return self._replace(last=self.last[:, -1:], gap=self.gap[:, -1:], known=self.known.newest())

    @property
    def earlier(self) -> tf.Tensor:
        """bool [B, L]: the visible events before the last position."""
        return self.visible & (tf.range(tf.shape(self.visible)[1]) < tf.shape(self.visible)[1] - 1)


class EventEncoder(tf.keras.layers.Layer):
    """A past event as a vector: its item, its context and outcome, and the time since the event before it."""

    def __init__(self, config: Config, features: Sequence[ModelFeature]) -> None:
        super().__init__(name="event")
        model = config.model
        own = [f for f in features if f.section in ("context", "outcome")]
        self.features = FeatureEncoder(own, model.feature_dimension, model.dimension, "event_features") if own else None
        self.gaps = _gap_table(config)

    def call(self, window: Window, vectors: tf.Tensor, gap: tf.Tensor) -> tf.Tensor:
        """The window, its items' vectors float [B, L, D] and gap buckets int [B, L] -> float [B, L, D]."""
        if self.features is not None:
            vectors += self.features(window)
        return vectors if self.gaps is None else vectors + self.gaps(gap)


class QueryTower(tf.keras.layers.Layer):
    """A user at the moment of each event, from the visible events before it, the context and the user's features.

    Args:
        config: the dimensions, layers and encoders.
        features: every feature.
        user_count: U, the known users.
        randomness: of the dropout.
        sharing: makes the tasks' states.
    """

    def __init__(
        self,
        config: Config,
        features: Sequence[ModelFeature],
        user_count: int,
        randomness: Randomness,
        sharing: Sharing,
    ) -> None:
        super().__init__(name="query_tower")
        model = config.model
        self._model = model
        self._retrieval = next((n for n, t in config.tasks.items() if t.kind == "retrieval"), None)
        self._ranking = dict.fromkeys(sharing.state_of(name) for name in config.events)
        self.outcomes = [f for f in features if f.section == "outcome" and f.form == "category"]
        self.sharing = sharing
        self.event = EventEncoder(config, features)
        self.history = HistoryEncoder(model.history, randomness)
        self.hide = EventDropout(model.history.item_dropout, randomness)
        self.dropouts = [Dropout(model.history.dropout, randomness, name=f"dropout_{i}") for i in range(2)]
        self.gaps = _gap_table(config)
        self.user = self._features(features, "user")
        self._features_of_users = [f for f in features if f.section == "user"]
        self.context = self._features(features, "context")
        takes_part = model.user_id == "both" or (model.user_id == "ranking" and self._ranking)
        self.user_ids = _user_table(user_count, model.dimension) if takes_part else None
        self.hidden = HiddenLayers(model.query_layers, name="hidden", batch_norm=model.batch_norm)
        self.project = tf.keras.layers.Dense(model.dimension, name="project")
        self.blank = BlankHistory(model.history.blank, randomness)
        self.hiding = Hiding(config, features, user_count, randomness)
        self.trend = _trend_weights(config)
        self.start = self.add_weight(name="start", shape=[model.dimension], initializer="zeros")
        self.log_scale = self.add_weight(name="log_scale", shape=[], initializer=_scale_start(config))

    def _features(self, features: Sequence[ModelFeature], section: str) -> FeatureEncoder | None:
        own = [f for f in features if f.section == section]
        width, dimension = self._model.feature_dimension, self._model.dimension
        return FeatureEncoder(own, width, dimension, f"{section}_features") if own else None

    def call(self, window: Window, vectors: tf.Tensor, unknown: int, training: bool = False) -> QueryState:
        """The window, its items' vectors float [B, L, D] and the index of unknown items -> the queries."""
        past = self._past(window, vectors, unknown, training)
        history = History.of(past.events, past.visible)
        shared = self._shared_state(past, training)
        parts = self._embedding_and_states(shared, window[MASK], past.known, training)
        return self._query_state(*parts, window, past, history, unknown)

    def newest(self, window: Window, vectors: tf.Tensor, unknown: int) -> QueryState:
        """What `call` gives outside training at the last position alone (`QueryState.newest`), for less."""
        past = self._past(window, vectors, unknown, training=False).newest()
        history = History(past.events, past.earlier[:, tf.newaxis])
        encoded = self.history.newest(past.events, past.earlier, window[feature_names.TIME])[:, tf.newaxis]
        states = self._with_request(tf.where((past.last >= 0)[..., tf.newaxis], encoded, self.start), past)
        parts = self._embedding_and_states(states, window[MASK][:, -1:], past.known, training=False)
        return self._query_state(*parts, window, past, history, unknown).newest()

    def _embedding_and_states(
        self, shared: tf.Tensor, mask: tf.Tensor, known: Known, training: bool
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """From shared states float [B, Q, D]: `embedding` and `hidden` of `QueryState`."""
        states = self.sharing(shared)
        own = shared if self._retrieval is None else states[self.sharing.state_of(self._retrieval)]
        hidden = self.hidden(own, mask, training=training)
        query = tf.math.l2_normalize(self.project(hidden), axis=-1, epsilon=1e-6)
        parts = [query * tf.exp(self.log_scale), tf.ones_like(query[..., :1])]
        parts += [] if self.trend is None else [self.trend(own)]
        return tf.concat(parts, axis=-1), {name: self._with_user_id(states[name], known) for name in self._ranking}

    def _query_state(
        self,
        embedding: tf.Tensor,
        hidden: dict[str, tf.Tensor],
        window: Window,
        past: Past,
        history: History,
        unknown: int,
    ) -> QueryState:
        history = History(history.events, history.sees & (past.last >= 0)[..., tf.newaxis])
        items = tf.where(past.visible, window[feature_names.ITEM_ID], unknown)
        outcomes = {feature.name: window[feature.name] for feature in self.outcomes}
        user, time = window[feature_names.USER_ID], window[feature_names.TIME]
        return QueryState(embedding, hidden, history, items, time, user, outcomes)

    def shared_state(self, window: Window, vectors: tf.Tensor, unknown: int, training: bool = False) -> tf.Tensor:
        """What all tasks' states are made of, float [B, L, D]; the arguments are those of `call`."""
        return self._shared_state(self._past(window, vectors, unknown, training), training)

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

    def _shared_state(self, past: Past, training: bool) -> tf.Tensor:
        times = past.known.past[feature_names.TIME]
        encoded = self.history(past.events, past.visible, times, past.positive, training=training)
        states = before(encoded, past.last, self.start)
        return self.dropouts[1](self._with_request(states, past), training=training)

    def _with_request(self, states: tf.Tensor, past: Past) -> tf.Tensor:
        known = past.known
        if self.gaps is not None:
            states += self.gaps(past.gap)
        if self.context is not None:
            states += self.context(known.moment)
        if self.user is not None:
            states += self._user_vectors(self.user, known)
        if self._model.user_id == "both" and self.user_ids is not None:
            states += self.user_ids(known.user_id)
        return states

    def _user_vectors(self, encoder: FeatureEncoder, known: Known) -> tf.Tensor:
        """The users' features, float [B, Q or 1, D]."""
        vectors = encoder(known.past)[:, tf.newaxis]
        if known.without_user is None:
            return vectors
        unknown = encoder(no_user_features(self._features_of_users))
        return tf.where(known.without_user[..., tf.newaxis], unknown[:, tf.newaxis], vectors)

    def _with_user_id(self, hidden: tf.Tensor, known: Known) -> tf.Tensor:
        if self.user_ids is None:
            return hidden
        return tf.concat([hidden, self.user_ids(known.user_id) + tf.zeros_like(hidden[..., :1])], axis=-1)


def _gap_table(config: Config) -> tf.keras.layers.Embedding | None:
    if not config.model.history.time_gaps:
        return None
    return embedding_table(GAP_BUCKETS, config.model.dimension, name="gap_embedding")


def _trend_weights(config: Config) -> tf.keras.layers.Dense | None:
    """From the query's state to the weight of each trend feature.

    All are 0 at first, so that training starts from the items' biases, the popularity of the whole log. Started from
    that of a window instead, with biases of 0, logs of thousands of items learn much slower.
    """
    if config.trend is None:
        return None
    return tf.keras.layers.Dense(len(config.trend.days), kernel_initializer="zeros", name="trend_weights")


def _user_table(user_count: int, dimension: int) -> tf.keras.layers.Embedding:
    return embedding_table(user_count + 1, dimension, name="user_embedding")


def _scale_start(config: Config) -> tf.keras.initializers.Initializer:
    temperature = config.retrieval.temperature if config.retrieval else 1.0
    return tf.keras.initializers.Constant(-float(tf.math.log(temperature)))
