"""Eval windows answered in the forms of requests that services send."""

from typing import Final

import tensorflow as tf

from config import feature_names
from trainer.data.blocks import CELLS, in_row_blocks
from trainer.data.catalogue import missing_value
from trainer.data.windows import Window, no_user_features
from trainer.export.signatures.reader import RequestReader
from trainer.export.signatures.recommend import Recommender
from trainer.export.signatures.retrieval import Query
from trainer.export.signatures.seen import SeenLists
from trainer.metrics.ranks import target_ranks
from trainer.metrics.request_forms import (
    EVERYTHING,
    IDS_ALONE,
    LATER,
    REQUEST_RANK,
    WITHOUT_REQUEST_TIME,
    request_forms,
    request_metric,
    request_output,
)
from trainer.stacking.recommender import StackedRecommender

_ROWS: Final = 512
"""Windows that are encoded at once."""
_PARTS: Final = 1 << 20


class RequestForms:
    """Answers for windows in the forms of `trainer.metrics.request_forms`.

    Args:
        model: the trained model.
        recommender: scores the catalogue.
        reader: transforms clock features.
        share: the share of the users, drawn by hash, whose windows are answered in the forms.
    """

    def __init__(
        self, model: StackedRecommender, recommender: Recommender, reader: RequestReader, share: float = 1.0
    ) -> None:
        self._model = model
        self._recommender = recommender
        self._reader = reader
        self._share = share
        self._forms = request_forms(model.network.config)
        self._tasks = [task for task in model.network.config.ranking if request_metric(model.network.config, task)]
        self._kinds = dict.fromkeys(self._tasks, tf.float32)
        self._kinds |= {} if model.network.retrieval_name is None else {REQUEST_RANK: tf.float32}

    def answers(
        self, window: Window, user: tf.Tensor, target: tf.Tensor, seen: SeenLists, whole: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Computes the target's rank and the tasks' predictions in every form.

        Args:
            window: [B, L], the newest event hidden.
            user: string [B].
            target: int64 [B], the hidden event's item.
            seen: the items that are not ranked.
            whole: `target_rank` and predictions float [B], of the whole request, which is the first form.

        Returns:
            `request_rank` and `request_<task>` float [B, F], NaN for users outside the sample; nothing without forms.
        """
        if not self._forms or not self._kinds:
            return {}
        position = tf.where(self._is_sampled(user))
        own = {name: tf.gather(values, position[:, 0]) for name, values in window.items()}
        sampled = SeenLists(seen.items, *(tf.gather(values, position[:, 0]) for values in (seen.user, seen.count)))
        found = self._in_forms(own, tf.gather(target, position[:, 0]), sampled)
        shape = tf.stack([tf.shape(target, tf.int64)[0], len(self._forms)])
        answers = {}
        for name, values in found.items():
            everything = tf.gather(whole["target_rank" if name == REQUEST_RANK else name], position[:, 0])
            rows = tf.concat([everything[:, tf.newaxis], values], axis=1)
            known = tf.tensor_scatter_nd_update(tf.fill(shape, float("nan")), position, rows)
            answers[name if name == REQUEST_RANK else request_output(name)] = known
        return answers

    def _is_sampled(self, user: tf.Tensor) -> tf.Tensor:
        key = [self._model.network.config.training.seed % (1 << 63), 0]
        return tf.strings.to_hash_bucket_strong(user, _PARTS, key) < round(self._share * _PARTS)

    def _in_forms(self, window: Window, target: tf.Tensor, seen: SeenLists) -> dict[str, tf.Tensor]:
        """`request_rank` and predictions by task, float [B, F - 1], in all forms but the first."""
        windows = [self._in_form(form, window) for form in self._forms if form != EVERYTHING]
        stacked = {name: tf.concat([own[name] for own in windows], axis=0) for name in window}
        copies = [tf.tile(v, [len(windows)] + [1] * (v.shape.rank - 1)) for v in (target, seen.user, seen.count)]
        trends = 0 if self._model.network.trend is None else self._model.network.trend.width
        rows = max(1, min(_ROWS, CELLS // (self._model.network.spec.item_count * (1 + trends))))

        def answers(window: Window, target: tf.Tensor, *of_seen: tf.Tensor) -> dict[str, tf.Tensor]:
            return self._block(window, target, seen.of_rows(*of_seen))

        found = in_row_blocks(answers, (stacked, *copies), rows, self._kinds)
        return {name: tf.transpose(tf.reshape(values, [len(windows), -1])) for name, values in found.items()}

    def _block(self, window: Window, target: tf.Tensor, seen: tf.Tensor) -> dict[str, tf.Tensor]:
        query = Query.of(self._model.network, window)
        predictions = self._model.rank(query.state, target[:, tf.newaxis])
        answers = {task: predictions[task][:, 0] for task in self._tasks}
        if self._model.network.retrieval_name is not None:
            scores = self._recommender.catalogue_scores(query)
            answers[REQUEST_RANK] = target_ranks(scores, target, seen, self._model.network.config.evaluation.mask_seen)
        return answers

    def _in_form(self, form: str, window: Window) -> Window:
        """The window that a request of the form is parsed into."""
        own = window[feature_names.TIME][:, -1]
        if form == WITHOUT_REQUEST_TIME:
            return self._at(window, tf.zeros_like(own))
        if form == IDS_ALONE:
            return self._ids_alone(window)
        newest = tf.reduce_max(tf.pad(window[feature_names.TIME][:, :-1], [[0, 0], [1, 0]]), axis=1)
        return self._at(window, tf.where(newest > 0, newest + LATER[form], own))

    def _at(self, window: Window, time: tf.Tensor) -> Window:
        """The window of a request at another time, int64 [B] seconds, 0 where unknown."""
        values = {feature_names.TIME: time, **self._reader.clocks(time)}
        return window | {n: tf.concat([window[n][:, :-1], v[:, tf.newaxis]], axis=1) for n, v in values.items()}

    def _ids_alone(self, window: Window) -> Window:
        features = self._model.network.spec.features
        rows = tf.shape(window[feature_names.TIME])[0]
        events = {f.name: missing_value(f) for f in features if f.section in ("context", "outcome")}
        missing = {n: tf.fill(tf.shape(window[n]), tf.cast(v, window[n].dtype)) for n, v in events.items()}
        for name, values in no_user_features([f for f in features if f.section == "user"]).items():
            wide = values if values.shape.rank == 1 else tf.fill([1, tf.shape(window[name])[1]], values[0, 0])
            missing[name] = tf.repeat(wide, rows, axis=0)
        return window | missing | {feature_names.TIME: tf.zeros_like(window[feature_names.TIME])}
