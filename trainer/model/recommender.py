"""The TFRS model: two towers, a retrieval task and any number of ranking tasks on them."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf
import tensorflow_recommenders as tfrs

from config import Config, feature_names
from trainer.data.batching import LabelStatistics
from trainer.data.catalogue import Catalogue
from trainer.data.windows import Window, WindowSpec, dense_windows
from trainer.distributed.randomness import Dropout, Randomness
from trainer.distributed.strategies import global_sum
from trainer.layers.interaction import Interaction
from trainer.layers.sharing import make_sharing
from trainer.layers.target_attention import TargetAttention, attended_ahead
from trainer.losses.balancing import make_balancing
from trainer.losses.hard_negatives import MinedNegatives
from trainer.losses.loss_sum import LossSum
from trainer.losses.negatives import AllItems
from trainer.losses.samplers import make_sampler
from trainer.model.candidate_tower import BatchItems, CandidateTower, CatalogueItems, WindowItems
from trainer.model.generator.adversary import Adversary, Items
from trainer.model.heads import class_heads, ranking_heads
from trainer.model.heads.multiclass import class_shares, dense_shares
from trainer.model.heads.targets import Targets
from trainer.model.popularity import TrendTable
from trainer.model.query_tower import QueryState, QueryTower
from trainer.model.retrieval import RetrievalLoss
from transform.features import ModelFeature

_FIRST_REPLICA = tf.VariableAggregation.ONLY_FIRST_REPLICA


class Losses(NamedTuple):
    """The losses of a step, float scalars.

    Attributes:
        total: What is minimised, as the tasks are balanced.
        tasks: The mean loss of each task.
    """

    total: tf.Tensor
    tasks: dict[str, tf.Tensor]


class RecommenderModel(tfrs.Model):
    """A multi-task recommender on windows of events (`trainer.data.windows`).

    Args:
        config: the model and its tasks.
        features: the model's features with form and size.
        catalogue: the V items.
        user_count: U, the known users.
        statistics: of the labels, by task; needed before training.
    """

    def __init__(
        self,
        config: Config,
        features: Sequence[ModelFeature],
        catalogue: Catalogue,
        user_count: int,
        statistics: Mapping[str, LabelStatistics] | None = None,
    ) -> None:
        super().__init__(name="recommender")
        self.config = config
        self.spec = WindowSpec(config, tuple(features), catalogue.size, user_count)
        self.step = tf.Variable(0, trainable=False, dtype=tf.int64, name="step", aggregation=_FIRST_REPLICA)
        self.randomness = randomness = Randomness(config.training.seed, self.step)
        self.candidates = CandidateTower(config, features, catalogue, randomness)
        self.sharing = make_sharing(config)
        self.queries = QueryTower(config, features, user_count, randomness, self.sharing)
        self.target_attention = _target_attention(config)
        self.interaction = Interaction(config.model)
        self.trend = _trend_table(config, catalogue)
        self.heads = ranking_heads(config.ranking, catalogue.size, statistics or {})
        self.classifiers = class_heads(config, features, catalogue)
        self.balancing = make_balancing(config, self.queries.history.norm, randomness)
        self.retrieval_name = next((n for n, t in config.tasks.items() if t.kind == "retrieval"), None)
        self.negatives = make_sampler(config, catalogue, randomness)
        self._retrieval_loss = self._make_retrieval_loss()
        self.adversary = _adversary(config, self.candidates, randomness)
        self.reaches = _reaches((*self.heads, *self.classifiers))
        self.head_dropouts = {n: Dropout(t.dropout, randomness, f"{n}_dropout") for n, t in config.ranking.items()}
        self._make_weights()

    def encode(self, window: Window, training: bool = False) -> QueryState:
        """Queries at every position: position i sees the user, the context of event i, and positives before i.

        Args:
            window: as `trainer.data.windows` lays it out, [B, L].

        Returns:
            embedding float [B, L, D + 1 + W], hidden float [B, L, S] by state, and the history that each sees.
        """
        return self._encode(window, self.candidates.vectors(window[feature_names.ITEM_ID]), training)

    def encode_newest(self, window: Window) -> QueryState:
        """`encode(window).newest()`: the queries at the last position, without those at the others."""
        return self.queries.newest(window, self.candidates.vectors(window[feature_names.ITEM_ID]), self.spec.item_count)

    def gates(self, window: Window) -> dict[str, tf.Tensor]:
        """The weights of the sharing's parts at every position, float [B, L] by name; none with hard sharing."""
        vectors = self.candidates.vectors(window[feature_names.ITEM_ID])
        return self.sharing.gates(self.queries.shared_state(window, vectors, self.spec.item_count))

    def candidate_embeddings(self, training: bool = False) -> tf.Tensor:
        """float [V, D + 1 + W] in the catalogue's order; query . candidate is the retrieval score now."""
        return self.embed_items(tf.range(self.spec.item_count, dtype=tf.int64))

    def embed_items(self, item: tf.Tensor, training: bool = False) -> tf.Tensor:
        """int64 [...] in [0, V] -> float [..., D + 1 + W], with the newest of the W trend features."""
        embedding = self.candidates.embed(item, training)
        return embedding if self.trend is None else tf.concat([embedding, self.trend.newest(item)], axis=-1)

    def scores_as_of(
        self, time: tf.Tensor, embedding: tf.Tensor, scores: Callable[[tf.Tensor], tf.Tensor]
    ) -> tf.Tensor:
        """The scores of all items by the towers, with the trend of another time than now.

        Args:
            time: int64 [B] seconds.
            embedding: float [B, D + 1 + W], queries.
            scores: from queries to dot products with all of `candidate_embeddings`.

        Returns:
            float [B, V].
        """
        if self.trend is None:
            return scores(embedding)
        width = embedding.shape[-1] - self.trend.width
        weights = embedding[:, width:]
        without = tf.concat([embedding[:, :width], tf.zeros_like(weights)], axis=-1)
        return scores(without) + self.trend.catalogue_scores(weights, time)

    def retrieval_scores(self, window: Window, state: QueryState, candidates: tf.Tensor) -> tf.Tensor:
        """The scores of all items as of each window's newest event.

        Args:
            window: [B, L].
            state: at its last position (`encode_newest`).
            candidates: float [V, D + 1 + W], `candidate_embeddings`.

        Returns:
            float [B, V].
        """
        time = window[feature_names.TIME][:, -1]
        return self.scores_as_of(time, state.embedding, lambda query: tf.matmul(query, candidates, transpose_b=True))

    def rank(self, state: QueryState, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """Every ranking task's predictions for queries and items.

        Args:
            state: at one position (`QueryState.newest`): hidden float [B, S].
            item: int64 [B, N] in [0, V].

        Returns:
            By task float [B, N]: a probability (binary), a number inside the task's bounds (regression), or an
            unbounded score (pairwise, listwise).
        """
        vectors = self.candidates.vectors(item)
        hidden = {own: state.hidden[own] for own in map(self.sharing.state_of, self.heads)}
        pairs = self.interaction(hidden, vectors, self._attended(vectors, state))
        heads = self.heads.items()
        return {name: head.prediction(head(pairs[self.sharing.state_of(name)], item)) for name, head in heads}

    def event_scores(
        self, window: Window, index: tf.Tensor, training: bool = False
    ) -> tuple[QueryState, dict[str, tf.Tensor]]:
        """The queries of a window batch, and the tasks' scores at events as another model can learn them.

        Args:
            window: [B, L].
            index: int64 [T, 2], row and position of the events.

        Returns:
            The state, and by task float [T], of a multiclass one float [T, C].
        """
        vectors = self.candidates.vectors(window[feature_names.ITEM_ID], training)
        state = self._encode(window, vectors, training)
        own = self._attended(vectors, state)
        item, vectors = (
            tf.gather_nd(values, index)[:, tf.newaxis] for values in (window[feature_names.ITEM_ID], vectors)
        )
        attended = None if own is None else tf.gather_nd(own, index)[:, tf.newaxis]
        hidden = {name: tf.gather_nd(values, index) for name, values in state.hidden.items()}
        pairs = self.interaction({o: hidden[o] for o in map(self.sharing.state_of, self.heads)}, vectors, attended)
        pairs = {n: self.head_dropouts[n](pairs[self.sharing.state_of(n)], training=training) for n in self.heads}
        found = {name: head.taught(head(pairs[name], item))[:, 0] for name, head in self.heads.items()}
        classes = {n: head(hidden[self.sharing.state_of(n)]) for n, head in self.classifiers.items()}
        return state, found | classes

    def interests(self, state: QueryState) -> dict[str, tf.Tensor]:
        """Every multiclass task's probabilities at one position: by task float [B, C]."""
        hidden = {name: state.hidden[self.sharing.state_of(name)] for name in self.classifiers}
        return {name: head.probabilities(hidden[name]) for name, head in self.classifiers.items()}

    def class_shares(self, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """The items' classes, int64 [B] in [0, V] -> by multiclass task float [B, C]: equal shares, or none."""
        return {
            name: dense_shares(class_shares(self.candidates.table.lookup(item)[head.feature], head.count), head.count)
            for name, head in self.classifiers.items()
        }

    def compute_loss(self, inputs: Window, training: bool = False) -> Losses:
        """The losses of this replica's part of the global batch.

        Every loss is this replica's share: the sum over the replicas is the mean over the targets of the global batch,
        however they are spread.

        Args:
            inputs: [B, L], as `trainer.data.windows` lays it out.
            training: Whether to drop out and to hide.

        Returns:
            The tasks' losses and their balanced sum, float scalars.
        """
        _, sums = self.loss_sums(inputs, training)
        tasks = {name: tf.math.divide_no_nan(s.loss, global_sum(s.weight)) for name, s in sums.items()}
        return Losses(self.balancing.total(tasks), tasks)

    def loss_sums(self, window: Window, training: bool = False) -> tuple[QueryState, dict[str, LossSum]]:
        """The queries of a window batch [B, L], and by task the sums of losses and weights over its targets."""
        items = self._items_of(window, training)
        vectors = items.vectors(window[feature_names.ITEM_ID])
        state = self._encode(window, vectors, training)
        attended = self._attended(vectors, state)
        sums = {name: self._ranking_sum(name, window, state, items, attended, training) for name in self.heads}
        sums |= {name: self._class_sum(name, window, state) for name in self.classifiers}
        if self.retrieval_name is not None and self._retrieval_loss is not None:
            sums[self.retrieval_name] = self._retrieval_loss.sum(window, state.embedding, items, training)
        return state, sums

    def generation_losses(self) -> dict[str, tf.Tensor]:
        """What the generator's training adds: see `Adversary.losses`; empty without a generator."""
        if self.adversary is None:
            return {}
        return self.adversary.losses(lambda item: Items(*self.candidates.parts(item)))

    @property
    def reads_whole_catalogue(self) -> bool:
        """Whether every step of training embeds every item."""
        return isinstance(self.negatives, AllItems)

    def refresh_negatives(self) -> None:
        """Renews what negatives are mined from, where the step asks for it; called between two steps."""
        if isinstance(self.negatives, MinedNegatives) and self.negatives.is_due(int(self.step.numpy())):
            self.negatives.refresh(self.embed_items)

    def _make_weights(self) -> None:
        """Makes every variable, which Keras would do at the first call, perhaps outside a strategy's scope."""
        no_events = tf.sparse.from_dense(tf.zeros([1, 0], tf.int64))
        self.loss_sums(dense_windows({feature_names.ITEM_ID: no_events}, self.spec))
        self.generation_losses()

    def _make_retrieval_loss(self) -> RetrievalLoss | None:
        task = self.config.retrieval
        if task is None or self.negatives is None:
            return None
        return RetrievalLoss(task, self.candidates, self.negatives, self.trend)

    def _encode(self, window: Window, vectors: tf.Tensor, training: bool) -> QueryState:
        return self.queries(window, vectors, self.spec.item_count, training=training)

    def _items_of(self, window: Window, training: bool) -> BatchItems:
        if self.reads_whole_catalogue:
            return CatalogueItems(self.candidates, training)
        return WindowItems(self.candidates, window[feature_names.ITEM_ID], training)

    def _attended(self, vectors: tf.Tensor, state: QueryState) -> tf.Tensor | None:
        """What the history says about candidates float [B, N, D]; None without target attention."""
        return None if self.target_attention is None else self.target_attention(vectors, state.history)

    def _attended_targets(
        self, name: str, targets: Targets, window: Window, state: QueryState, items: BatchItems, own: tf.Tensor | None
    ) -> tf.Tensor | None:
        """What the history says about the targets' items float [T, N, D]; `own` about each position's, [B, L, D]."""
        if self.target_attention is None:
            return None
        span = self.heads[name].span
        if span == 1:
            return tf.gather_nd(own, targets.index)[:, tf.newaxis]
        vectors = items.vectors(window[feature_names.ITEM_ID])
        return attended_ahead(self.target_attention, vectors, state.history, targets.index, targets.position, span)

    def _ranking_sum(
        self,
        name: str,
        window: Window,
        state: QueryState,
        items: BatchItems,
        attended: tf.Tensor | None,
        training: bool,
    ) -> LossSum:
        head, own = self.heads[name], self.sharing.state_of(name)
        targets = head.targets(window)
        hidden = {own: tf.gather_nd(state.hidden[own], targets.index)}
        attended = self._attended_targets(name, targets, window, state, items, attended)
        pair = self.interaction(hidden, items.vectors(targets.item), attended)[own]
        pair = self._reaching(name, pair)
        output = head(self.head_dropouts[name](pair, training=training), targets.item)
        return LossSum.of(head.losses_of(output, targets), targets.weight)

    def _class_sum(self, name: str, window: Window, state: QueryState) -> LossSum:
        head = self.classifiers[name]
        targets = head.targets(window, self.candidates.table.lookup(window[feature_names.ITEM_ID])[head.feature])
        logits = head(self._reaching(name, tf.gather_nd(state.hidden[self.sharing.state_of(name)], targets.index)))
        return LossSum.of(head.losses_of(logits, targets.classes), targets.weight)

    def _reaching(self, name: str, values: tf.Tensor) -> tf.Tensor:
        """The values as they are; how much of a task's gradient goes on from them is what `reaches` says."""
        still = tf.stop_gradient(values)
        return still + self.reaches[name] * (values - still)


def _reaches(tasks: Sequence[str]) -> dict[str, tf.Variable]:
    """By task 1 as long as its gradient reaches what it shares with others, and 0 from then on."""
    return {
        name: tf.Variable(1.0, trainable=False, name=f"{name}_reaches", aggregation=_FIRST_REPLICA) for name in tasks
    }


def _trend_table(config: Config, catalogue: Catalogue) -> TrendTable | None:
    if config.trend is None:
        return None
    if catalogue.trend is None:
        raise ValueError("the catalogue should hold the items' trend where `features.trend` is on")
    return TrendTable(catalogue.trend, config.trend.days, catalogue.size)


def _adversary(config: Config, tower: CandidateTower, randomness: Randomness) -> Adversary | None:
    without_id, settings = tower.without_id, config.model.generator
    if settings is None or without_id is None or without_id.generator is None:
        return None
    return Adversary(settings, without_id.generator, without_id.is_missing.warm, randomness)


def _target_attention(config: Config) -> TargetAttention | None:
    is_read = config.model.history.target_attention and config.ranking
    return TargetAttention(config.model.dimension) if is_read else None
