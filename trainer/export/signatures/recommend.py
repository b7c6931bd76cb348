"""Retrieval and ranking in one graph: from requests to their best items."""

import tensorflow as tf

from config import Config, feature_names
from config.tasks import RetrievalTask
from trainer.data.blocks import CELLS, in_row_blocks
from trainer.export.index.exact import Index
from trainer.export.signatures.diversity import Diversity, DiversityOptions
from trainer.export.signatures.filters import Filters, without_items
from trainer.export.signatures.inputs import Extras
from trainer.export.signatures.reader import Request, RequestReader
from trainer.export.signatures.retrieval import Found, Query, Retrieval
from trainer.metrics.ranks import top_items
from trainer.model.query_tower import QueryState
from trainer.stacking.recommender import StackedRecommender

SCORE = "score"
RETRIEVAL_SCORE = "retrieval_score"
COUNT = "count"

Answer = dict[str, tf.Tensor]
"""`item_id` string [B, K], scores float [B, K], `count` int32 [B]."""

_BLOCK, _ATTENDING_BLOCK = 1024, 64
"""Items that are ranked at once without a retrieval task; with target attention each one attends to the history."""

PAIR_CELLS = 1 << 23
"""Numbers held at once for pairs of a query and an item, 32 MiB of each kind."""


class Recommender:
    """Finds, ranks and names items.

    Without a retrieval task every item of the catalogue is ranked, block by block.

    Args:
        model: the trained model.
        index: the candidates' embeddings; None without a retrieval task.
        item_ids: string [V], a variable that the exported object tracks.
        reader: parses requests.
        filters: the conditions that requests may put on items; None for none.
        diversity: chooses dissimilar items; None to order by utility alone.
    """

    def __init__(
        self,
        model: StackedRecommender,
        index: Index | None,
        item_ids: tf.Variable,
        reader: RequestReader,
        filters: Filters | None = None,
        diversity: Diversity | None = None,
    ) -> None:
        self._model = model
        self._retrieval = None if index is None else Retrieval(index, model.neighbours, model.network.trend)
        self._ids = item_ids
        self._size = int(item_ids.shape[0])
        self._reader = reader
        self._filters = filters
        self._diversity = diversity
        self._block = _ATTENDING_BLOCK if model.network.config.model.history.target_attention else _BLOCK
        self._weights = utility_weights(model.network.config)
        self.pairs = max(1, PAIR_CELLS // _pair_width(model.network.config))
        """Pairs of a query and a candidate that are scored at once."""

    def recommend(self, request: Request) -> Answer:
        """Finds the best items by utility with every task's score: the signature `recommend`.

        A request that asks for no diversity gets the same answer as beside requests that do.
        """
        query = Query.of(self._model.network, request.window)
        width = length = self._width(request)
        options = None if self._diversity is None else self._diversity.options(request.extras)
        if self._diversity is not None and options is not None:
            length = tf.minimum(self._diversity.shortlist(options, width), self._size)
        count = self._candidate_count(width)
        retrieval, item = self._candidates(query, tf.maximum(count, length), request)
        if options is not None:
            is_candidate = (tf.range(tf.shape(item)[1]) < count) | options.is_diverse()[:, tf.newaxis]
            item = tf.where(is_candidate, item, -1)
        scores = self._scores(query, item, retrieval)
        utility, order = tf.math.top_k(tf.where(item >= 0, scores[SCORE], float("-inf")), length)
        if self._diversity is not None and options is not None:
            order = self._diversified(self._diversity, options, utility, order, item, width)
        position = tf.maximum(order, 0)
        best = {name: tf.gather(values, position, batch_dims=1) for name, values in scores.items()}
        return self._answer(request.k, tf.where(order >= 0, tf.gather(item, position, batch_dims=1), -1), best)

    def retrieve(self, request: Request) -> Answer:
        """Finds the best items by the retrieval score alone: the signature `retrieve`."""
        query = Query.of(self._model.network, request.window)
        score, item = self._search(self._required_retrieval(), query, self._width(request), request)
        return self._answer(request.k, item, {SCORE: score})

    def rank(self, examples: tf.Tensor) -> Answer:
        """Scores the requests' own candidates, in the requests' order: the signature `rank`."""
        request = self._reader.candidates(examples)
        scores = self.scores_in_blocks(Query.of(self._model.network, request.window), request.item)
        return padded_answer(request.count, request.ids, scores)

    def scores_in_blocks(self, query: Query, item: tf.Tensor) -> Answer:
        """Scores items as `scores_of` does, for blocks of queries of at most `pairs` pairs, one query at least."""
        names = [SCORE, *([] if self._retrieval is None else [RETRIEVAL_SCORE]), *self._model.network.config.ranking]
        rows = tf.maximum(1, self.pairs // tf.maximum(tf.shape(item)[1], 1))
        return in_row_blocks(self.scores_of, (query, item), rows, dict.fromkeys(names, tf.float32))

    def scores_of(self, query: Query, item: tf.Tensor) -> Answer:
        """Scores items int64 [B, N] in [0, V]: the utility and every score, float [B, N] by name."""
        return self._scores(query, item, None if self._retrieval is None else self._retrieval.scores_of(query, item))

    def utility_parts(self, scores: Answer) -> Answer:
        """Returns each score's contribution to the utility, which is their sum."""
        return {name: weight * scores[name] for name, weight in self._weights.items()}

    def index_recall(self, query: Query, best: tf.Tensor, unwanted: tf.Tensor) -> tf.Tensor:
        """Computes the share of the best items that the index finds too.

        Args:
            query: queries of now: for those of another time every item is scored.
            best: int64 [B, K], the best items by `catalogue_scores` without the unwanted ones, -1 behind the last.
            unwanted: int64 [B, E]; entries outside [0, V) are padding.

        Returns:
            float [B]; 1 where there is no item to find.
        """
        retrieval, k = self._required_retrieval(), tf.shape(best)[1]

        def found_items(row: tuple[Query, tf.Tensor]) -> tf.Tensor:
            query, unwanted = tf.nest.map_structure(lambda values: values[tf.newaxis], row)
            return retrieval.search(query, k, unwanted)[1][0]

        # One by one, as most requests come: for many at once an index may score everything.
        found = tf.map_fn(found_items, (query, unwanted), fn_output_signature=tf.TensorSpec([None], tf.int64))
        is_found = tf.reduce_any(best[:, :, tf.newaxis] == found[:, tf.newaxis], axis=2) & (best >= 0)
        hits, total = (tf.math.count_nonzero(values, axis=1, dtype=tf.float32) for values in (is_found, best >= 0))
        return tf.where(total > 0, hits / tf.maximum(total, 1), 1)

    def same_queries(self, query: Query, with_: tf.Tensor) -> tf.Tensor:
        """Numbers the B queries so that those of equal scores of the catalogue have the same number: int32 [B].

        Args:
            query: B queries.
            with_: int64 [B, N], what equal queries have to agree in besides.
        """
        moment = query.moment if self._retrieval is None else self._retrieval.trend_moment(query)
        parts = [tf.bitcast(query.state.embedding, tf.int32), query.state.items, moment[:, tf.newaxis], with_]
        columns = tf.concat([tf.cast(part, tf.int64) for part in parts], axis=1)
        return tf.raw_ops.UniqueV2(x=columns, axis=[0]).idx

    def catalogue_scores(self, query: Query) -> tf.Tensor:
        """Returns the retrieval scores of all items, without a retrieval task their utility: float [B, V]."""
        if self._retrieval is not None:
            return self._retrieval.scores(query)
        starts = tf.range(0, self._size, self._block, dtype=tf.int64)
        blocks = tf.map_fn(
            lambda start: self._block_utility(query.state, start), starts, fn_output_signature=tf.float32
        )
        return tf.reshape(tf.transpose(blocks, [1, 0, 2]), [tf.shape(query.moment)[0], -1])[:, : self._size]

    def _block_utility(self, state: QueryState, start: tf.Tensor) -> tf.Tensor:
        block = tf.minimum(start + tf.range(self._block, dtype=tf.int64), self._size)
        scores = self._model.rank(state, tf.tile(block[tf.newaxis], [tf.shape(state.embedding)[0], 1]))
        return tf.add_n(list(self.utility_parts(scores).values()))

    def _required_retrieval(self) -> Retrieval:
        if self._retrieval is None:
            raise ValueError("the model should have a retrieval task. Received: one without")
        return self._retrieval

    def _width(self, request: Request) -> tf.Tensor:
        """The answer's K: the largest k of the batch, 1 in an empty one."""
        return tf.minimum(tf.maximum(tf.reduce_max(request.k), 1), self._size)

    def _candidate_count(self, width: tf.Tensor) -> tf.Tensor:
        """The number of items that are ranked for answers of `width`."""
        if self._retrieval is None or set(self._weights) == {RETRIEVAL_SCORE}:
            return width
        return tf.maximum(width, self._model.network.config.serving.candidates)

    def _candidates(self, query: Query, width: tf.Tensor, request: Request) -> tuple[tf.Tensor | None, tf.Tensor]:
        """What to rank: retrieval scores float [B, N], None without the task, and items int64 [B, N], -1 for none."""
        if self._retrieval is None:
            scores = self.catalogue_scores(query)
            if self._filters is not None:
                scores = tf.where(self._filters.mask(request.extras), scores, float("-inf"))
            return None, top_items(scores, width, request.exclude, mask_seen=True)
        return self._search(self._retrieval, query, width, request)

    def _search(self, retrieval: Retrieval, query: Query, k: tf.Tensor, request: Request) -> Found:
        """The best items that each request allows. A batch in which a request has a condition is searched exactly."""
        filters = self._filters
        if filters is None:
            return retrieval.search(query, k, request.exclude)

        def among(query: Query, exclude: tf.Tensor, extras: Extras) -> Answer:
            is_wanted = without_items(filters.mask(extras), exclude)
            score, item = retrieval.search_among(query, k, is_wanted)
            return {SCORE: score, feature_names.ITEM_ID: item}

        def filtered() -> Found:
            rows, kinds = max(1, CELLS // self._size), {SCORE: tf.float32, feature_names.ITEM_ID: tf.int64}
            found = in_row_blocks(among, (query, request.exclude, request.extras), rows, kinds)
            return found[SCORE], found[feature_names.ITEM_ID]

        is_filtered = filters.is_filtered(request.extras)
        return tf.cond(is_filtered, filtered, lambda: retrieval.search(query, k, request.exclude))

    def _scores(self, query: Query, item: tf.Tensor, retrieval: tf.Tensor | None) -> Answer:
        """The utility and every score of items int64 [B, N], -1 for none, whose retrieval scores are known."""
        scores = self._model.rank(query.state, tf.where(item < 0, tf.cast(self._size, tf.int64), item))
        scores = scores if retrieval is None else {RETRIEVAL_SCORE: retrieval, **scores}
        return {SCORE: tf.add_n(list(self.utility_parts(scores).values())), **scores}

    def _diversified(
        self,
        diversity: Diversity,
        options: DiversityOptions,
        utility: tf.Tensor,
        order: tf.Tensor,
        item: tf.Tensor,
        width: tf.Tensor,
    ) -> tf.Tensor:
        """The candidates' positions in the order of the answer, -1 behind the last: int32 [B, K].

        Without a request for diversity these are the first of `order`, the shortlist's positions by falling utility.
        """

        def chosen() -> tf.Tensor:
            shortlist = tf.gather(item, order, batch_dims=1)
            position = diversity.choose(options, utility, shortlist, self._unit_vectors(shortlist), width)
            return tf.where(position >= 0, tf.gather(order, tf.maximum(position, 0), batch_dims=1), -1)

        return tf.cond(tf.reduce_any(options.is_diverse()), chosen, lambda: order[:, :width])

    def _unit_vectors(self, item: tf.Tensor) -> tf.Tensor:
        """The vectors that items are compared by: int64 [B, N], -1 for none -> float [B, N, D] of length 1."""
        item = tf.where(item < 0, tf.cast(self._size, tf.int64), item)
        if self._retrieval is None:
            return tf.math.l2_normalize(self._model.network.candidates.vectors(item), axis=-1)
        return self._retrieval.index.embeddings(item)[..., : self._model.network.config.model.dimension]

    def _answer(self, k: tf.Tensor, item: tf.Tensor, scores: Answer) -> Answer:
        count = tf.minimum(k, tf.math.count_nonzero(item >= 0, axis=1, dtype=tf.int32))
        return padded_answer(count, tf.gather(self._ids, tf.maximum(item, 0)), scores)


def utility_weights(config: Config) -> dict[str, float]:
    """Returns the weight of each score in the utility, by the score's name in the answers."""
    names = {n: RETRIEVAL_SCORE if isinstance(t, RetrievalTask) else n for n, t in config.tasks.items()}
    default = [RETRIEVAL_SCORE] if config.retrieval else list(config.ranking)
    return {names[n]: w for n, w in config.serving.utility.items() if w} or dict.fromkeys(default, 1.0)


def padded_answer(count: tf.Tensor, ids: tf.Tensor, scores: Answer) -> Answer:
    """Keeps the first `count` int32 [B] items of each row; the empty id and 0 fill the rest."""
    is_item = tf.range(tf.shape(ids)[1]) < count[:, tf.newaxis]
    kept = {name: tf.where(is_item, values, 0) for name, values in scores.items()}
    return {feature_names.ITEM_ID: tf.where(is_item, ids, ""), **kept, COUNT: count}


def _pair_width(config: Config) -> int:
    """About how many numbers a pair of a query and an item takes while it is scored."""
    dimension, history = config.model.dimension, config.model.history
    return 8 * (dimension + history.max_events) if history.target_attention else 4 * dimension
