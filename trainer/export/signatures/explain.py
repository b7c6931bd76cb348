"""Why items are recommended: the events that moved their scores most, and each task's part in the utility."""

import tensorflow as tf

from config import feature_names
from trainer.data.windows import Window
from trainer.export.signatures.blocks import in_column_blocks, in_row_blocks
from trainer.export.signatures.moments import Query
from trainer.export.signatures.reader import Candidates, RequestReader
from trainer.export.signatures.recommend import SCORE, Answer, Recommender, padded_answer
from trainer.stacking.recommender import StackedRecommender

EVENT_ITEM_ID, EVENT_EFFECT, EVENT_AGE, EVENT_COUNT = "event_item_id", "event_effect", "event_age", "event_count"
_STRONGEST = {EVENT_EFFECT: tf.float32, EVENT_AGE: tf.int32}
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
        self, model: StackedRecommender, recommender: Recommender, item_ids: tf.Variable, reader: RequestReader
    ) -> None:
        self._model = model
        self._recommender = recommender
        self._ids = item_ids
        self._reader = reader
        self._events = model.network.config.serving.explained_events

    def explain(self, examples: tf.Tensor) -> Answer:
        """The signature `explain`: string [B], requests with candidates as for `rank`.

        Returns:
            `item_id` string [B, N] in the request's order, `score` float [B, N], its parts `utility_<score>` float
            [B, N], `count` int32 [B]; the events, those that moved the score most first: `event_item_id` string
            [B, N, E], `event_effect` float [B, N, E] (the score minus what it would be without the event),
            `event_age` int32 [B, N, E] (1 is the newest event of the history), `event_count` int32 [B].
        """
        asked = self._reader.candidates(examples)
        scores = self._recommender.scores_in_blocks(Query.of(self._model.network, asked.window), asked.item)
        parts = {f"utility_{name}": part for name, part in self._recommender.utility_parts(scores).items()}
        answer = padded_answer(asked.count, asked.ids, {SCORE: scores[SCORE], **parts})
        length = tf.shape(asked.window[feature_names.ITEM_ID])[1]
        strongest = in_row_blocks(
            self._strongest, (asked.window, asked.item, scores[SCORE]), tf.maximum(1, _ROWS // length), _STRONGEST
        )
        return {**answer, **self._events_of(asked, length - 1, strongest)}

    def _strongest(self, window: Window, item: tf.Tensor, score: tf.Tensor) -> Answer:
        """The events that move the scores most.

        Args:
            window: [R, L].
            item: int64 [R, N], in [0, V].
            score: float [R, N], the items' utility.

        Returns:
            `event_effect` float [R, N, E] and `event_age` int32 [R, N, E], 0 where there are no more events.
        """
        rows, length = tf.unstack(tf.shape(window[feature_names.ITEM_ID]))
        copies = {name: tf.repeat(values, length, axis=0) for name, values in window.items()}
        copies[feature_names.IS_POSITIVE] &= ~tf.tile(tf.eye(length, dtype=tf.bool), [rows, 1])
        query = Query.of(self._model.network, copies)
        is_event = self._is_event(window)[:, tf.newaxis]

        def of_items(block: tuple[tf.Tensor, tf.Tensor]) -> Answer:
            item, score = block
            without = self._recommender.scores_of(query, tf.repeat(item, length, axis=0))[SCORE]
            without = tf.transpose(tf.reshape(without, [rows, length, -1]), [0, 2, 1])
            effects = score[..., tf.newaxis] - without
            best, position = tf.math.top_k(tf.where(is_event, tf.abs(effects), -1), tf.minimum(self._events, length))
            age = tf.where(best >= 0, length - 1 - position, 0)
            return {EVENT_EFFECT: tf.gather(effects, position, batch_dims=2), EVENT_AGE: age}

        columns = tf.maximum(1, self._recommender.pairs // tf.maximum(rows * length, 1))
        return in_column_blocks(of_items, (item, score), columns, _STRONGEST)

    def _is_event(self, window: Window) -> tf.Tensor:
        return window[feature_names.IS_POSITIVE] & (
            window[feature_names.ITEM_ID] != self._model.network.spec.item_count
        )

    def _events_of(self, asked: Candidates, newest: tf.Tensor, strongest: Answer) -> Answer:
        """Names the events of the answer, the newest of which stands at the position `newest` - 1."""
        age = strongest[EVENT_AGE]
        is_asked = tf.range(tf.shape(age)[1]) < asked.count[:, tf.newaxis]
        is_shown = (age > 0) & is_asked[..., tf.newaxis]
        known = tf.gather(
            self._ids, tf.minimum(asked.window[feature_names.ITEM_ID], self._model.network.spec.item_count - 1)
        )
        count = tf.math.count_nonzero(self._is_event(asked.window), axis=1, dtype=tf.int32)
        return {
            EVENT_ITEM_ID: tf.where(is_shown, tf.gather(known, newest - age, batch_dims=1), ""),
            EVENT_EFFECT: tf.where(is_shown, strongest[EVENT_EFFECT], 0),
            EVENT_AGE: tf.where(is_shown, age, 0),
            EVENT_COUNT: tf.minimum(count, self._events),
        }
