"""Retrieval and ranking in one graph: from requests to their best items."""

import tensorflow as tf

from config import Config, feature_names
from config.tasks import RetrievalTask
from trainer.export.index.exact import Index
from trainer.export.signatures.blocks import CELLS, in_column_blocks, in_row_blocks
from trainer.export.signatures.diversity import Diversity
from trainer.export.signatures.filters import Filters, without_items
from trainer.export.signatures.inputs import Extras
from trainer.export.signatures.moments import Query
from trainer.export.signatures.reader import Request, RequestReader
from trainer.export.signatures.retrieval import Found, Retrieval
from trainer.metrics.ranks import top_items
from trainer.model.query_tower import QueryState
from trainer.stacking.recommender import StackedRecommender

SCORE = "score"
RETRIEVAL_SCORE = "retrieval_score"
COUNT = "count"

Answer = dict[str, tf.Tensor]
"""`item_id` string [B, K], scores float [B, K], `count` int32 [B]."""

_BLOCK, _ATTENDING_BLOCK = 1024, 64
"""Items that are ranked at once where there is no retrieval task; with target attention each one meets the history."""

PAIR_CELLS = 1 << 23
"""Numbers held at once for pairs of a query and an item, 32 MiB of each kind."""


class Recommender:
    """Finds, ranks and names items.

    Without a retrieval task every item of the catalogue is ranked, block by block.

    Args:
        model: the trained model.
        index: the candidates' embeddings; None without a retrieval task.
        item_ids: string [V], a variable that the exported object tracks.
        reader: of the requests.
        filters: what requests may ask of the items; None for nothing.
        diversity: chooses unlike items; None to go by utility alone.
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
        """Of a query and an item, so many are scored at once where a request names the items."""

    def recommend(self, request: Request) -> Answer:
        """The best items by utility with every task's score: the signature `recommend`."""
        query = Query.of(self._model.network, request.window)
        width = self._width(request)
        if self._diversity is not None:
            return self._diverse(self._diversity, query, width, request)
        retrieval, item = self._candidates(query, self._candidate_count(width), request)
        scores = self._task_scores(query, item, retrieval)
        utility, order = tf.math.top_k(tf.where(item >= 0, self._utility(scores), float("-inf")), width)
        item, *ordered = (tf.gather(values, order, batch_dims=1) for values in (item, *scores.values()))
        return self._answer(request.k, item, {SCORE: utility, **dict(zip(scores, ordered, strict=True))})

    def _diverse(self, diversity: Diversity, query: Query, width: tf.Tensor, request: Request) -> Answer:
        """The answer where requests may ask for unlike items; to one that does not, what it would be without."""
        asked = diversity.asked(request.extras)
        usual = self._candidate_count(width)
        length = tf.minimum(diversity.shortlist(asked, width), self._size)
        retrieval, item = self._candidates(query, tf.maximum(usual, length), request)
        is_looked_at = (tf.range(tf.shape(item)[1]) < usual) | asked.is_diverse()[:, tf.newaxis]
        item = tf.where(is_looked_at, item, -1)
        scores = self._task_scores(query, item, retrieval)
        utility, order = tf.math.top_k(tf.where(item >= 0, self._utility(scores), float("-inf")), length)

        def chosen() -> tf.Tensor:
            shortlist = tf.gather(item, order, batch_dims=1)
            position = diversity.choose(asked, utility, shortlist, self._unit_vectors(shortlist), width)
            return tf.where(position >= 0, tf.gather(order, tf.maximum(position, 0), batch_dims=1), -1)

        is_any = tf.reduce_any(asked.is_diverse())
        order = tf.cond(is_any, chosen, lambda: order[:, :width])
        scores = {SCORE: self._utility(scores), **scores}
        scores = {name: tf.gather(values, tf.maximum(order, 0), batch_dims=1) for name, values in scores.items()}
        item = tf.where(order >= 0, tf.gather(item, tf.maximum(order, 0), batch_dims=1), -1)
        return self._answer(request.k, item, scores)

    def _unit_vectors(self, item: tf.Tensor) -> tf.Tensor:
        """What items are compared by, int64 [B, N], -1 for none -> float [B, N, D] of length 1."""
        item = tf.where(item < 0, tf.cast(self._size, tf.int64), item)
        if self._retrieval is None:
            return tf.math.l2_normalize(self._model.network.candidates.vectors(item), axis=-1)
        return self._retrieval.index.embeddings(item)[..., : self._model.network.config.model.dimension]

    def retrieve(self, request: Request) -> Answer:
        """The best items by the retrieval score alone: the signature `retrieve`."""
        query = Query.of(self._model.network, request.window)
        score, item = self._search(self._found_retrieval(), query, self._width(request), request)
        return self._answer(request.k, item, {SCORE: score})

    def rank(self, examples: tf.Tensor) -> Answer:
        """The scores of the requests' own candidates, in the requests' order: the signature `rank`."""
        asked = self._reader.candidates(examples)
        scores = self.scores_in_blocks(Query.of(self._model.network, asked.window), asked.item)
        return padded_answer(asked.count, asked.ids, scores)

    def scores_in_blocks(self, query: Query, item: tf.Tensor) -> Answer:
        """As `scores_of`; of many pairs of a query and an item so many at once as `PAIR_CELLS` allows."""
        kinds = dict.fromkeys([SCORE, *self._score_names()], tf.float32)
        columns = tf.minimum(tf.shape(item)[1], self.pairs)

        def of_rows(query: Query, item: tf.Tensor) -> Answer:
            return in_column_blocks(lambda some: self.scores_of(query, some), item, columns, kinds)

        def blocks() -> Answer:
            rows = tf.maximum(1, self.pairs // tf.maximum(columns, 1))
            return in_row_blocks(of_rows, (query, item), rows, kinds)

        return tf.cond(tf.size(item) <= self.pairs, lambda: self.scores_of(query, item), blocks)

    def scores_of(self, query: Query, item: tf.Tensor) -> Answer:
        """The utility of items int64 [B, N] in [0, V] and every score of them, float [B, N] by name."""
        retrieval = None if self._retrieval is None else self._retrieval.scores_of(query, item)
        scores = self._task_scores(query, item, retrieval)
        return {SCORE: self._utility(scores), **scores}

    def _score_names(self) -> list[str]:
        return [*([] if self._retrieval is None else [RETRIEVAL_SCORE]), *self._model.network.config.ranking]

    def utility_parts(self, scores: Answer) -> Answer:
        """What each score contributes to the utility: their sum."""
        return {name: weight * scores[name] for name, weight in self._weights.items()}

    def index_recall(self, query: Query, best: tf.Tensor, unwanted: tf.Tensor) -> tf.Tensor:
        """The share of the best items that the index finds too.

        Args:
            query: the queries, of now: for those of another time every item is scored.
            best: int64 [B, K], the best items by `catalogue_scores` without the unwanted ones, -1 where fewer.
            unwanted: int64 [B, E]; entries outside [0, V) are padding.

        Returns:
            float [B]; 1 where there is no item to find.
        """
        retrieval, k = self._found_retrieval(), tf.shape(best)[1]

        def found_items(row: tuple[Query, tf.Tensor]) -> tf.Tensor:
            query, unwanted = tf.nest.map_structure(lambda values: values[tf.newaxis], row)
            return retrieval.search(query, k, unwanted)[1][0]

        # One by one, as most requests come: of many at once an index may score everything.
        found = tf.map_fn(found_items, (query, unwanted), fn_output_signature=tf.TensorSpec([None], tf.int64))
        is_found = tf.reduce_any(best[:, :, tf.newaxis] == found[:, tf.newaxis], axis=2) & (best >= 0)
        hits, total = (tf.math.count_nonzero(values, axis=1, dtype=tf.float32) for values in (is_found, best >= 0))
        return tf.where(total > 0, hits / tf.maximum(total, 1), 1)

    def catalogue_scores(self, query: Query) -> tf.Tensor:
        """float [B, V]: the retrieval scores of all items; their utility where there is no retrieval task."""
        if self._retrieval is not None:
            return self._retrieval.scores(query)
        starts = tf.range(0, self._size, self._block, dtype=tf.int64)
        blocks = tf.map_fn(
            lambda start: self._block_utility(query.state, start), starts, fn_output_signature=tf.float32
        )
        return tf.reshape(tf.transpose(blocks, [1, 0, 2]), [tf.shape(query.moment)[0], -1])[:, : self._size]

    def _found_retrieval(self) -> Retrieval:
        if self._retrieval is None:
            raise ValueError("the model should have a retrieval task. Received: one without")
        return self._retrieval

    def _block_utility(self, state: QueryState, start: tf.Tensor) -> tf.Tensor:
        block = tf.minimum(start + tf.range(self._block, dtype=tf.int64), self._size)
        return self._utility(self._model.rank(state, tf.tile(block[tf.newaxis], [tf.shape(state.embedding)[0], 1])))

    def _width(self, request: Request) -> tf.Tensor:
        """The answer's K: the largest k of the batch, 1 in an empty one."""
        return tf.minimum(tf.maximum(tf.reduce_max(request.k), 1), self._size)

    def _candidates(self, query: Query, width: tf.Tensor, request: Request) -> tuple[tf.Tensor | None, tf.Tensor]:
        """What to rank: retrieval scores float [B, N], None without the task, and items int64 [B, N], -1 for none."""
        if self._retrieval is None:
            scores = self.catalogue_scores(query)
            if self._filters is not None:
                scores = tf.where(self._filters.mask(request.extras), scores, float("-inf"))
            return None, top_items(scores, width, request.exclude, mask_seen=True)
        return self._search(self._retrieval, query, width, request)

    def _candidate_count(self, width: tf.Tensor) -> tf.Tensor:
        """How many items are ranked for answers of `width`."""
        if self._retrieval is None or set(self._weights) == {RETRIEVAL_SCORE}:
            return width
        return tf.maximum(width, self._model.network.config.serving.candidates)

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

    def _task_scores(self, query: Query, item: tf.Tensor, retrieval: tf.Tensor | None) -> Answer:
        scores = self._model.rank(query.state, tf.where(item < 0, tf.cast(self._size, tf.int64), item))
        return scores if retrieval is None else {RETRIEVAL_SCORE: retrieval, **scores}

    def _utility(self, scores: Answer) -> tf.Tensor:
        return tf.add_n(list(self.utility_parts(scores).values()))

    def _answer(self, k: tf.Tensor, item: tf.Tensor, scores: Answer) -> Answer:
        count = tf.minimum(k, tf.math.count_nonzero(item >= 0, axis=1, dtype=tf.int32))
        return padded_answer(count, tf.gather(self._ids, tf.maximum(item, 0)), scores)


def utility_weights(config: Config) -> dict[str, float]:
    """The weight of each score in the utility, by the score's name in the answers."""
    names = {n: RETRIEVAL_SCORE if isinstance(t, RetrievalTask) else n for n, t in config.tasks.items()}
    default = [RETRIEVAL_SCORE] if config.retrieval else list(config.ranking)
    weights = {names[n]: w for n, w in config.serving.utility.items() if w} or dict.fromkeys(default, 1.0)
    return weights


def _pair_width(config: Config) -> int:
    """About how many numbers a pair of a query and an item takes while it is scored."""
    dimension, history = config.model.dimension, config.model.history
    return 8 * (dimension + history.max_events) if history.target_attention else 4 * dimension


def padded_answer(count: tf.Tensor, ids: tf.Tensor, scores: Answer) -> Answer:
    """Keeps the first `count` int32 [B] items of each row; the rest is the empty id and 0."""
    is_item = tf.range(tf.shape(ids)[1]) < count[:, tf.newaxis]
    kept = {name: tf.where(is_item, values, 0) for name, values in scores.items()}
    return {feature_names.ITEM_ID: tf.where(is_item, ids, ""), **kept, COUNT: count}
