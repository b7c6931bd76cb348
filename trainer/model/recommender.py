"""The TFRS model: two towers, a retrieval task and any number of ranking tasks on them."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf
import tensorflow_recommenders as tfrs

from config import Config, feature_names
from trainer.data.batching import LabelStatistics
from trainer.data.catalogue import Catalogue
from trainer.data.windows import Window, WindowSpec, dense_windows
from trainer.distributed.collectives import global_sum
from trainer.distributed.randomness import Dropout, Randomness
from trainer.layers.interaction import Interaction, TargetAttention, attended_ahead
from trainer.layers.sharing import make_sharing
from trainer.layers.tables import EmbeddingTables
from trainer.losses.balancing import make_balancing
from trainer.losses.negatives import AllItems, MinedNegatives, make_sampler
from trainer.losses.targets import LossSum, Targets
from trainer.model.candidate_tower import BatchItems, CandidateTower
from trainer.model.class_heads import class_heads, class_shares, dense_shares
from trainer.model.generator import make_adversary
from trainer.model.popularity import make_trend_table
from trainer.model.query_tower import QueryState, QueryTower
from trainer.model.ranking_heads import RankingHead, ranking_heads
from trainer.model.retrieval import RetrievalLoss
from transform.features import ModelFeature

_EMBEDDED = 1 << 16
"""The number of items that are embedded at a time."""
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

    The query tower encodes the user at every position of a window, the candidate tower encodes the items. The
    retrieval task scores their dot products, the ranking tasks their interaction, the multiclass tasks the query alone.

    Args:
        config: The model and its tasks.
        features: The model's features with form and size.
        catalogue: The V items.
        user_count: U, the number of known users.
        statistics: Of the labels, by task; required for training.
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
        tables = EmbeddingTables(config)
        self.candidates = CandidateTower(config, features, catalogue, randomness, tables)
        self.sharing = make_sharing(config)
        self.queries = QueryTower(config, features, user_count, randomness, self.sharing, tables)
        has_attention = config.model.history.target_attention and config.ranking
        self.target_attention = TargetAttention(config.model.dimension) if has_attention else None
        self.interaction = Interaction(config.model)
        self.trend = make_trend_table(config, catalogue)
        self.heads = ranking_heads(config.ranking, catalogue.size, statistics or {})
        self.classifiers = class_heads(config, features, catalogue)
        self.balancing = make_balancing(config, self.queries.history.norm, randomness)
        self.retrieval_name = next((n for n, t in config.tasks.items() if t.kind == "retrieval"), None)
        self.negatives = make_sampler(config, catalogue, randomness)
        self._retrieval_loss: RetrievalLoss | None = None
        if config.retrieval is not None and self.negatives is not None:
            self._retrieval_loss = RetrievalLoss(config.retrieval, self.candidates, self.negatives, self.trend)
        self.adversary = make_adversary(config, self.candidates, randomness)
        # By task, 1 as long as its gradient reaches what it shares with the others, then 0 (`TaskStopping`).
        self.reaches = {
            name: tf.Variable(1.0, trainable=False, name=f"{name}_reaches", aggregation=_FIRST_REPLICA)
            for name in (*self.heads, *self.classifiers)
        }
        self.head_dropouts = {n: Dropout(t.dropout, randomness, f"{n}_dropout") for n, t in config.ranking.items()}
        # Keras makes variables at the first call, which may be outside the scope of the strategy.
        no_events = tf.sparse.from_dense(tf.zeros([1, 0], tf.int64))
        self.loss_sums(dense_windows({feature_names.ITEM_ID: no_events}, self.spec))
        self.generation_losses()

    def compute_loss(self, inputs: Window, training: bool = False) -> Losses:
        """Computes the losses of this replica's part of the global batch.

        Every loss is this replica's share: the sum over the replicas is the mean over the targets of the global batch,
        however they are spread.

        Args:
            inputs: [B, L], as `trainer.data.windows` defines it.
            training: Whether to apply dropout and hiding.

        Returns:
            The tasks' losses and their balanced sum, float scalars.
        """
        _, sums = self.loss_sums(inputs, training)
        tasks = {name: tf.math.divide_no_nan(s.loss, global_sum(s.weight)) for name, s in sums.items()}
        return Losses(self.balancing.total(tasks), tasks)

    def loss_sums(self, window: Window, training: bool = False) -> tuple[QueryState, dict[str, LossSum]]:
        """Encodes a window batch [B, L] and sums every task's losses and weights over its targets.

        Returns:
            The queries at every position, and the sums by task.
        """
        window_items = None if self.reads_whole_catalogue else window[feature_names.ITEM_ID]
        items = BatchItems(self.candidates, window_items, training)
        vectors = items.vectors(window[feature_names.ITEM_ID])
        state = self.encode(window, training, vectors)
        attended = self.attended(vectors, state)
        sums = {}
        for name, head in self.heads.items():
            targets = head.targets(window)
            hidden = {name: tf.gather_nd(self._hidden(state, name), targets.index)}
            attended_targets = self._attended_targets(head, targets, vectors, state, attended)
            pairs = self.interaction(hidden, items.vectors(targets.item), attended_targets)[name]
            pairs = self.head_dropouts[name](self._limit_gradient(name, pairs), training=training)
            output = head(pairs, targets.item)
            sums[name] = LossSum.of(head.losses_of(output, targets), targets.weight)
        for name, classifier in self.classifiers.items():
            values = self.candidates.table.lookup(window[feature_names.ITEM_ID])[classifier.feature]
            events = classifier.targets(window, values)
            logits = classifier(self._limit_gradient(name, tf.gather_nd(self._hidden(state, name), events.index)))
            sums[name] = LossSum.of(classifier.losses_of(logits, events.classes), events.weight)
        if self.retrieval_name is not None and self._retrieval_loss is not None:
            sums[self.retrieval_name] = self._retrieval_loss.sum(window, state.embedding, items, training)
        return state, sums

    def encode(self, window: Window, training: bool = False, vectors: tf.Tensor | None = None) -> QueryState:
        """Encodes queries at every position: position i sees the user, the context of event i, and positives before i.

        Args:
            window: [B, L], as `trainer.data.windows` defines it.
            training: Whether to apply dropout and hiding.
            vectors: float [B, L, D], the vectors of the window's items where they are computed already.

        Returns:
            embedding float [B, L, D + 1 + W], hidden float [B, L, S] by state, and the history that each sees.
        """
        if vectors is None:
            vectors = self.candidates.vectors(window[feature_names.ITEM_ID])
        return self.queries(window, vectors, self.spec.item_count, training=training)

    def encode_newest(self, window: Window) -> QueryState:
        """Returns `encode(window).newest()`, without computing the queries at the other positions."""
        vectors = self.candidates.vectors(window[feature_names.ITEM_ID])
        return self.queries(window, vectors, self.spec.item_count, newest=True)

    def gates(self, window: Window) -> dict[str, tf.Tensor]:
        """Returns the gates of the sharing at every position, float [B, L] by name; none with hard sharing."""
        vectors = self.candidates.vectors(window[feature_names.ITEM_ID])
        return self.sharing.gates(self.queries.shared_state(window, vectors, self.spec.item_count))

    def attended(self, vectors: tf.Tensor, state: QueryState) -> tf.Tensor | None:
        """Applies target attention to items float [B, N, D]: float [B, N, D]; None without target attention."""
        return None if self.target_attention is None else self.target_attention(vectors, state.history)

    def _attended_targets(
        self, head: RankingHead, targets: Targets, vectors: tf.Tensor, state: QueryState, own: tf.Tensor | None
    ) -> tf.Tensor | None:
        """Applies target attention to the targets' items: float [T, N, D]; `own` [B, L, D] is that of each position."""
        if self.target_attention is None:
            return None
        if head.span == 1:
            return tf.gather_nd(own, targets.index)[:, tf.newaxis]
        index, position = targets.index, targets.position
        return attended_ahead(self.target_attention, vectors, state.history, index, position, head.span)

    def _hidden(self, state: QueryState, task: str) -> tf.Tensor:
        return state.hidden[self.sharing.state_of(task)]

    def _limit_gradient(self, task: str, values: tf.Tensor) -> tf.Tensor:
        """Returns the values; their gradient is multiplied by `reaches` of the task."""
        constant = tf.stop_gradient(values)
        return constant + self.reaches[task] * (values - constant)

    def embed_items(self, item: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Embeds items int64 [...] in [0, V]: float [..., D + 1 + W], with the newest W trend features."""
        embedding = self.candidates.embed(item, training)
        return embedding if self.trend is None else tf.concat([embedding, self.trend.newest(item)], axis=-1)

    def candidate_embeddings(self) -> tf.Tensor:
        """Embeds the catalogue, float [V, D + 1 + W]; query . candidate is the retrieval score now."""
        size = self.spec.item_count
        # In parts, since what is computed on the way is several times as large as the embeddings.
        bounds = [*range(0, size, _EMBEDDED), size]
        parts = [self.embed_items(tf.range(*part, dtype=tf.int64)) for part in itertools.pairwise(bounds)]
        return parts[0] if len(parts) == 1 else tf.concat(parts, axis=0)

    def scores_as_of(
        self, time: tf.Tensor, embedding: tf.Tensor, scores: Callable[[tf.Tensor], tf.Tensor]
    ) -> tf.Tensor:
        """Scores all items by the towers, with the trend as of a given time.

        Args:
            time: int64 [B] seconds.
            embedding: float [B, D + 1 + W], queries.
            scores: Computes the dot products of queries with all of `candidate_embeddings`.

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
        """Scores all items as of each window's newest event.

        Args:
            window: [B, L].
            state: At its last position (`encode_newest`).
            candidates: float [D + 1 + W, V], `candidate_embeddings` transposed: a product of few rows with a large
                table that is not costs more than twice as much.

        Returns:
            float [B, V].
        """
        time = window[feature_names.TIME][:, -1]
        return self.scores_as_of(time, state.embedding, lambda query: tf.matmul(query, candidates))

    def rank(self, state: QueryState, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """Predicts every ranking task for queries and items.

        Args:
            state: At one position (`QueryState.newest`): hidden float [B, S].
            item: int64 [B, N] in [0, V].

        Returns:
            By task float [B, N]: a probability (binary), a number inside the task's bounds (regression), or an
            unbounded score (pairwise, listwise).
        """
        vectors = self.candidates.vectors(item)
        hidden = {own: state.hidden[own] for own in map(self.sharing.state_of, self.heads)}
        pairs = self.interaction(hidden, vectors, self.attended(vectors, state))
        heads = self.heads.items()
        return {name: head.prediction(head(pairs[self.sharing.state_of(name)], item)) for name, head in heads}

    def interests(self, state: QueryState) -> dict[str, tf.Tensor]:
        """Predicts every multiclass task's probabilities at one position: by task float [B, C]."""
        return {name: head.probabilities(self._hidden(state, name)) for name, head in self.classifiers.items()}

    def class_shares(self, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the classes of items int64 [B] in [0, V]: by multiclass task float [B, C], equal shares, or none."""
        return {
            name: dense_shares(class_shares(self.candidates.table.lookup(item)[head.feature], head.count), head.count)
            for name, head in self.classifiers.items()
        }

    def generation_losses(self) -> dict[str, tf.Tensor]:
        """Returns the losses of the generator for cold items (`Adversary.losses`); none without a generator."""
        return {} if self.adversary is None else self.adversary.losses()

    @property
    def reads_whole_catalogue(self) -> bool:
        """Whether every step of training embeds every item."""
        return isinstance(self.negatives, AllItems)

    def refresh_negatives(self) -> None:
        """Refreshes the index of hard negatives when the step is due; call it between two steps."""
        if isinstance(self.negatives, MinedNegatives) and self.negatives.is_due(int(self.step.numpy())):
            self.negatives.refresh(self.embed_items)
