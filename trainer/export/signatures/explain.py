"""Explanations of recommendations: the events that moved the scores most, and each task's part in the utility."""

import tensorflow as tf

from config import feature_names
from trainer.data.blocks import in_row_blocks
from trainer.data.windows import Window
from trainer.export.signatures.reader import Candidates, RequestReader
from trainer.export.signatures.recommend import SCORE, Answer, Recommender, padded_answer
from trainer.export.signatures.retrieval import Query
from trainer.stacking.recommender import StackedRecommender

EVENT_ITEM_ID, EVENT_EFFECT, EVENT_AGE, EVENT_COUNT = "event_item_id", "event_effect", "event_age", "event_count"
_STRONGEST = {EVENT_EFFECT: tf.float32, EVENT_AGE: tf.int32}
_ROWS = 512
"""Histories that are encoded at once."""


class Explainer:
    """Explains scores by leaving one event out at a time.

    See Li et al., "Understanding Neural Networks through Representation Erasure" (2016). This is exact for every
    encoder, and an event's effect is what it adds to the other events.

    Args:
        model: the trained model.
        recommender: scores the items.
        item_ids: string [V], a variable that the exported object tracks.
        reader: parses requests.
    """

    def __init__(
        self, model: StackedRecommender, recommender: Recommender, item_ids: tf.Variable, reader: RequestReader
    ) -> None:
        self._model = model
        self._recommender = recommender
        self._ids = item_ids
        self._reader = reader
        self._events = model.network.config.serving.explained_events
        self._unknown = model.network.spec.item_count

    def explain(self, examples: tf.Tensor) -> Answer:
        """Answers the signature `explain`: string [B], requests with candidates as for `rank`.

        Returns:
            `item_id` string [B, N] in the request's order, `score` float [B, N], its parts `utility_<score>` float
            [B, N], `count` int32 [B]; and the events with the strongest effects, the strongest first: `event_item_id`
            string [B, N, E], `event_effect` float [B, N, E] (the score minus the score without the event),
            `event_age` int32 [B, N, E] (1 is the newest event of the history), `event_count` int32 [B].
        """
        request = self._reader.candidates(examples)
        scores = self._recommender.scores_in_blocks(Query.of(self._model.network, request.window), request.item)
        parts = {f"utility_{name}": part for name, part in self._recommender.utility_parts(scores).items()}
        answer = padded_answer(request.count, request.ids, {SCORE: scores[SCORE], **parts})
        length = tf.shape(request.window[feature_names.ITEM_ID])[1]
        inputs = (request.window, request.item, scores[SCORE])
        strongest = in_row_blocks(self._strongest, inputs, tf.maximum(1, _ROWS // length), _STRONGEST)
        return {**answer, **self._named_events(request, length - 1, strongest)}

    def _strongest(self, window: Window, item: tf.Tensor, score: tf.Tensor) -> Answer:
        """Finds the events that move the scores most.

        Each history is encoded L times, in the copy l without its event l. For example, if an item's score is 5, and
        without the events of the ages 2 and 1 it is 4.5 and 7, the effects are 0.5 and -2, and the strongest event has
        the age 1.

        Args:
            window: [R, L].
            item: int64 [R, N], in [0, V].
            score: float [R, N], the items' utility.

        Returns:
            `event_effect` float [R, N, E] and `event_age` int32 [R, N, E], 0 behind the last event.
        """
        rows, length = tf.unstack(tf.shape(window[feature_names.ITEM_ID]))
        copies = {name: tf.repeat(values, length, axis=0) for name, values in window.items()}
        copies[feature_names.IS_POSITIVE] &= ~tf.tile(tf.eye(length, dtype=tf.bool), [rows, 1])
        query = Query.of(self._model.network, copies)
        is_event = self._is_event(window)[:, tf.newaxis]

        def of_items(item: tf.Tensor, score: tf.Tensor) -> Answer:
            """The same for some items, int64 [C, R] -> [C, R, E]."""
            without = self._recommender.scores_of(query, tf.repeat(tf.transpose(item), length, axis=0))[SCORE]
            without = tf.transpose(tf.reshape(without, [rows, length, -1]), [0, 2, 1])
            effects = tf.transpose(score)[..., tf.newaxis] - without
            best, position = tf.math.top_k(tf.where(is_event, tf.abs(effects), -1), tf.minimum(self._events, length))
            age = tf.where(best >= 0, length - 1 - position, 0)
            found = {EVENT_EFFECT: tf.gather(effects, position, batch_dims=2), EVENT_AGE: age}
            return {name: tf.transpose(values, [1, 0, 2]) for name, values in found.items()}

        columns = tf.maximum(1, self._recommender.pairs // tf.maximum(rows * length, 1))
        found = in_row_blocks(of_items, (tf.transpose(item), tf.transpose(score)), columns, _STRONGEST)
        return {name: tf.transpose(values, [1, 0, 2]) for name, values in found.items()}

    def _is_event(self, window: Window) -> tf.Tensor:
        return window[feature_names.IS_POSITIVE] & (window[feature_names.ITEM_ID] != self._unknown)

    def _named_events(self, request: Candidates, last: tf.Tensor, strongest: Answer) -> Answer:
        """Adds the events' ids; `last` is the position of the request's own event, behind its history."""
        age = strongest[EVENT_AGE]
        is_candidate = tf.range(tf.shape(age)[1]) < request.count[:, tf.newaxis]
        is_event = (age > 0) & is_candidate[..., tf.newaxis]
        ids = tf.gather(self._ids, tf.minimum(request.window[feature_names.ITEM_ID], self._unknown - 1))
        count = tf.math.count_nonzero(self._is_event(request.window), axis=1, dtype=tf.int32)
        return {
            EVENT_ITEM_ID: tf.where(is_event, tf.gather(ids, last - age, batch_dims=1), ""),
            EVENT_EFFECT: tf.where(is_event, strongest[EVENT_EFFECT], 0),
            EVENT_AGE: tf.where(is_event, age, 0),
            EVENT_COUNT: tf.minimum(count, self._events),
        }
