"""Why items are recommended: the events that moved their scores most, and each task's part in the utility."""

import tensorflow as tf

from pipeline import layout
from trainer.model import RecommenderModel
from trainer.signatures.blocks import in_row_blocks
from trainer.signatures.moments import Query
from trainer.signatures.reader import RequestReader
from trainer.signatures.recommend import COUNT, SCORE, Answer, Recommender, padded_answer
from trainer.windows import Window, row_lengths

EVENT_ITEM_ID, EVENT_EFFECT, EVENT_AGE, EVENT_COUNT = "event_item_id", "event_effect", "event_age", "event_count"
_ROWS = 512
"""Histories that are encoded at once."""


class Explainer:
    """Answers by leaving one event out at a time (Li et al., "Understanding Neural Networks through Representation
    Erasure", 2016): exact for every encoder, and each event is judged by what the others do not say already.

    Args:
        model: the trained model.
        recommender: scores the items.
        item_ids: string [V], a variable that the exported object tracks.
        reader: of the requests.
    """

    def __init__(
        self, model: RecommenderModel, recommender: Recommender, item_ids: tf.Variable, reader: RequestReader
    ) -> None:
        self._model = model
        self._recommender = recommender
        self._ids = item_ids
        self._reader = reader
        self._events = model.config.serving.explained_events

    def explain(self, examples: tf.Tensor) -> Answer:
        """The signature `explain`: string [B], requests with candidates as for `rank`.

        Returns:
            `item_id` string [B, N] in the request's order, `score` float [B, N], its parts `utility_<score>` float
            [B, N], `count` int32 [B]; the events, those that moved the score most first: `event_item_id` string
            [B, N, E], `event_effect` float [B, N, E] (the score minus what it would be without the event),
            `event_age` int32 [B, N, E] (1 is the newest event of the history), `event_count` int32 [B].
        """
        raw = self._reader.raw(examples, also=(layout.CANDIDATE_ITEM_ID,))
        candidates = raw.pop(layout.CANDIDATE_ITEM_ID)
        window = self._reader.window(raw)
        ids = tf.sparse.to_dense(candidates, "")
        item = self._reader.item_index.lookup(ids)
        count = tf.cast(row_lengths(candidates), tf.int32)
        scores = self._recommender.scores_of(Query.of(self._model, window), item)
        parts = {f"utility_{name}": part for name, part in self._recommender.utility_parts(scores).items()}
        answer = padded_answer(count, ids, {SCORE: scores[SCORE], **parts})
        effects = scores[SCORE][..., tf.newaxis] - self._scores_without(window, item)
        return {**answer, **self._strongest(window, effects, answer[COUNT])}

    def _scores_without(self, window: Window, item: tf.Tensor) -> tf.Tensor:
        """The utility of items int64 [B, N] without each event of the window [B, L]: float [B, N, L]."""
        rows = tf.maximum(1, _ROWS // tf.shape(window[layout.ITEM_ID])[1])
        found = in_row_blocks(self._block_scores_without, (window, item), rows, {SCORE: tf.float32})
        return found[SCORE]

    def _block_scores_without(self, window: Window, item: tf.Tensor) -> Answer:
        length = tf.shape(window[layout.ITEM_ID])[1]
        copies = {name: tf.repeat(values, length, axis=0) for name, values in window.items()}
        is_left_out = tf.tile(tf.eye(length, dtype=tf.bool), [tf.shape(item)[0], 1])
        copies[layout.IS_POSITIVE] &= ~is_left_out
        scores = self._recommender.scores_of(Query.of(self._model, copies), tf.repeat(item, length, axis=0))[SCORE]
        scores = tf.reshape(scores, [tf.shape(item)[0], length, tf.shape(item)[1]])
        return {SCORE: tf.transpose(scores, [0, 2, 1])}

    def _strongest(self, window: Window, effects: tf.Tensor, count: tf.Tensor) -> Answer:
        """The events with the greatest effects [B, N, L] on the first `count` items."""
        item, length = window[layout.ITEM_ID], tf.shape(effects)[2]
        is_event = window[layout.IS_POSITIVE] & (item != self._model.spec.item_count)
        strength = tf.where(is_event[:, tf.newaxis], tf.abs(effects), -1)
        best, place = tf.math.top_k(strength, tf.minimum(self._events, length))
        is_shown = (best >= 0) & (tf.range(tf.shape(effects)[1]) < count[:, tf.newaxis])[..., tf.newaxis]
        known = tf.minimum(item, self._model.spec.item_count - 1)
        ids = tf.gather(tf.gather(self._ids, known), place, batch_dims=1)
        shown = tf.minimum(tf.math.count_nonzero(is_event, axis=1, dtype=tf.int32), self._events)
        return {
            EVENT_ITEM_ID: tf.where(is_shown, ids, ""),
            EVENT_EFFECT: tf.where(is_shown, tf.gather(effects, place, batch_dims=2), 0),
            EVENT_AGE: tf.where(is_shown, length - 1 - place, 0),
            EVENT_COUNT: shown,
        }
