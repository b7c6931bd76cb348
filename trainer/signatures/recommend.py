"""Retrieval and ranking in one graph: from requests to their best items."""

import tensorflow as tf

from pipeline import layout
from pipeline.config import Config
from pipeline.config.tasks import RetrievalTask
from trainer.index.base import Index
from trainer.model import RecommenderModel
from trainer.ranks import top_items
from trainer.signatures.reader import Request, RequestReader
from trainer.towers import QueryState
from trainer.windows import row_lengths

SCORE = "score"
RETRIEVAL_SCORE = "retrieval_score"
COUNT = "count"

Answer = dict[str, tf.Tensor]
"""`item_id` string [B, K], scores float [B, K], `count` int32 [B]."""

_BLOCK, _ATTENDING_BLOCK = 1024, 64
"""Items that are ranked at once where there is no retrieval task; with target attention each one meets the history."""


class Recommender:
    """Finds, ranks and names items.

    Without a retrieval task every item of the catalogue is ranked, block by block.

    Args:
        model: the trained model.
        index: the candidates' embeddings; None without a retrieval task.
        item_ids: string [V], a variable that the exported object tracks.
        reader: of the requests.
    """

    def __init__(
        self, model: RecommenderModel, index: Index | None, item_ids: tf.Variable, reader: RequestReader
    ) -> None:
        self._model = model
        self._index = index
        self._ids = item_ids
        self._size = int(item_ids.shape[0])
        self._reader = reader
        self._block = _ATTENDING_BLOCK if model.config.model.history.target_attention else _BLOCK
        self._weights = utility_weights(model.config)

    def recommend(self, request: Request) -> Answer:
        """The best items by utility with every task's score: the signature `recommend`."""
        state = self._model.encode(request.window).newest()
        width = self._width(request)
        retrieval, item = self._candidates(state, width, request.exclude)
        scores = self._task_scores(state, item, retrieval)
        utility, order = tf.math.top_k(tf.where(item >= 0, self._utility(scores), float("-inf")), width)
        item, *ordered = (tf.gather(values, order, batch_dims=1) for values in (item, *scores.values()))
        return self._answer(request.k, item, {SCORE: utility, **dict(zip(scores, ordered, strict=True))})

    def retrieve(self, index: Index, request: Request) -> Answer:
        """The best items of the index by the retrieval score alone: the signature `retrieve`."""
        state = self._model.encode(request.window).newest()
        score, item = index.search(state.embedding, self._width(request), request.exclude)
        return self._answer(request.k, item, {SCORE: score})

    def rank(self, examples: tf.Tensor) -> Answer:
        """The scores of the requests' own candidates, in the requests' order: the signature `rank`."""
        raw = self._reader.raw(examples, also=(layout.CANDIDATE_ITEM_ID,))
        candidates = raw.pop(layout.CANDIDATE_ITEM_ID)
        state = self._model.encode(self._reader.window(raw)).newest()
        ids = tf.sparse.to_dense(candidates, "")
        item = self._reader.item_index.lookup(ids)
        retrieval = None if self._index is None else tf.linalg.matvec(self._index.embeddings(item), state.embedding)
        scores = self._task_scores(state, item, retrieval)
        return padded_answer(tf.cast(row_lengths(candidates), tf.int32), ids, {SCORE: self._utility(scores), **scores})

    def index_recall(self, state: QueryState, best: tf.Tensor, unwanted: tf.Tensor) -> tf.Tensor:
        """The share of the best items that the index finds too.

        Args:
            state: the queries.
            best: int64 [B, K], the best items by `catalogue_scores` without the unwanted ones, -1 where fewer.
            unwanted: int64 [B, E]; entries outside [0, V) are padding.

        Returns:
            float [B]; 1 where there is no item to find.
        """
        if self._index is None:
            raise ValueError("`index_recall` needs a model with a retrieval task. Received: one without")
        index, k = self._index, tf.shape(best)[1]
        # One by one, as most requests come: of many at once an index may score everything.
        found = tf.map_fn(
            lambda row: index.search(row[0][tf.newaxis], k, row[1][tf.newaxis])[1][0],
            (state.embedding, unwanted),
            fn_output_signature=tf.TensorSpec([None], tf.int64),
        )
        is_found = tf.reduce_any(best[:, :, tf.newaxis] == found[:, tf.newaxis], axis=2) & (best >= 0)
        hits, total = (tf.math.count_nonzero(values, axis=1, dtype=tf.float32) for values in (is_found, best >= 0))
        return tf.where(total > 0, hits / tf.maximum(total, 1), 1)

    def catalogue_scores(self, state: QueryState, time: tf.Tensor | None = None) -> tf.Tensor:
        """float [B, V]: the retrieval scores of all items; their utility where there is no retrieval task.

        Trend is that of now, or as of `time` int64 [B], seconds.
        """
        if self._index is not None:
            if time is None:
                return self._index.scores(state.embedding)
            return self._model.scores_as_of(time, state.embedding, self._index.scores)
        starts = tf.range(0, self._size, self._block, dtype=tf.int64)
        blocks = tf.map_fn(lambda start: self._block_utility(state, start), starts, fn_output_signature=tf.float32)
        return tf.reshape(tf.transpose(blocks, [1, 0, 2]), [tf.shape(state.embedding)[0], -1])[:, : self._size]

    def _block_utility(self, state: QueryState, start: tf.Tensor) -> tf.Tensor:
        block = tf.minimum(start + tf.range(self._block, dtype=tf.int64), self._size)
        return self._utility(self._model.rank(state, tf.tile(block[tf.newaxis], [tf.shape(state.embedding)[0], 1])))

    def _width(self, request: Request) -> tf.Tensor:
        """The answer's K: the largest k of the batch, 1 in an empty one."""
        return tf.minimum(tf.maximum(tf.reduce_max(request.k), 1), self._size)

    def _candidates(
        self, state: QueryState, width: tf.Tensor, exclude: tf.Tensor
    ) -> tuple[tf.Tensor | None, tf.Tensor]:
        """What to rank: retrieval scores float [B, N], None without the task, and items int64 [B, N], -1 for none."""
        if self._index is None:
            return None, top_items(self.catalogue_scores(state), width, exclude, mask_seen=True)
        if set(self._weights) != {RETRIEVAL_SCORE}:
            width = tf.maximum(width, self._model.config.serving.candidates)
        return self._index.search(state.embedding, width, exclude)

    def _task_scores(self, state: QueryState, item: tf.Tensor, retrieval: tf.Tensor | None) -> Answer:
        scores = self._model.rank(state, tf.where(item < 0, tf.cast(self._size, tf.int64), item))
        return scores if retrieval is None else {RETRIEVAL_SCORE: retrieval, **scores}

    def _utility(self, scores: Answer) -> tf.Tensor:
        return tf.add_n([weight * scores[name] for name, weight in self._weights.items()])

    def _answer(self, k: tf.Tensor, item: tf.Tensor, scores: Answer) -> Answer:
        count = tf.minimum(k, tf.math.count_nonzero(item >= 0, axis=1, dtype=tf.int32))
        return padded_answer(count, tf.gather(self._ids, tf.maximum(item, 0)), scores)


def utility_weights(config: Config) -> dict[str, float]:
    """The weight of each score in the utility, by the score's name in the answers."""
    names = {n: RETRIEVAL_SCORE if isinstance(t, RetrievalTask) else n for n, t in config.tasks.items()}
    default = [RETRIEVAL_SCORE] if config.retrieval else list(config.ranking)
    weights = {names[n]: w for n, w in config.serving.utility.items() if w} or dict.fromkeys(default, 1.0)
    return weights


def padded_answer(count: tf.Tensor, ids: tf.Tensor, scores: Answer) -> Answer:
    """Keeps the first `count` int32 [B] items of each row; the rest is the empty id and 0."""
    is_item = tf.range(tf.shape(ids)[1]) < count[:, tf.newaxis]
    kept = {name: tf.where(is_item, values, 0) for name, values in scores.items()}
    return {layout.ITEM_ID: tf.where(is_item, ids, ""), **kept, COUNT: count}
