"""The target's rank and every task's prediction for it, the target's event itself hidden."""

import tensorflow as tf

from config import feature_names
from trainer.data.windows import Window, dense_windows, missing_value
from trainer.export.signatures.blocks import CELLS, in_row_blocks
from trainer.export.signatures.moments import Query
from trainer.export.signatures.reader import Features, RequestReader, first_value
from trainer.export.signatures.recommend import Recommender
from trainer.export.signatures.requests import RequestForms
from trainer.metrics.lists import ListMetrics
from trainer.metrics.ranks import ColdRanks, target_ranks, top_items
from trainer.model.recommender import RecommenderModel
from trainer.stacking.recommender import StackedRecommender

_MAX_TOP = 100
_INDEX_RECALL = "index_recall"

_COLD_RANKS = ("cold_rank", "popularity_cold_rank")

_EXTRA = (feature_names.IS_POSITIVE, feature_names.SEEN_ITEM_ID, feature_names.IS_COLD_USER, feature_names.TARGET_COUNT)
_RANKING = {
    "target_rank": tf.float32,
    "top_items": tf.int64,
    "popularity_rank": tf.float32,
    "popularity_top_items": tf.int64,
}


class Evaluation:
    """Answers for the last event of eval and test windows.

    Args:
        model: the trained model.
        recommender: scores the catalogue.
        frequencies: float [V], the popularity baseline's scores; a variable that the exported object tracks.
        reader: of the examples.
        asked_share: of the users, whose windows are asked in the forms that services send.
    """

    def __init__(
        self,
        model: StackedRecommender,
        recommender: Recommender,
        frequencies: tf.Variable,
        reader: RequestReader,
        asked_share: float = 1.0,
    ) -> None:
        self._model = model
        self._forms = RequestForms(model, recommender, reader, asked_share)
        self._recommender = recommender
        self._frequencies = frequencies
        self._size = int(frequencies.shape[0])
        self._reader = reader
        config, spec = model.network.config, model.network.spec
        self._config = config.evaluation
        self._has_approximate_index = config.has_approximate_index
        ks = [k for k in self._config.ks if k <= _MAX_TOP]
        self._lists = ListMetrics(frequencies, model.network.candidates.table, spec.features, ks)
        self._cold = ColdRanks(frequencies, self._config.mask_seen) if config.evaluates_cold_items else None

    def evaluate(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """string [B] -> the table of `docs/reference/signatures.md`."""
        raw = self._reader.raw(examples, also=_EXTRA)
        features = self._reader.model_features(raw)
        window = dense_windows(features, self._model.network.spec)
        target = window[feature_names.ITEM_ID][:, -1]
        asked = hide_newest(window, self._model.network)
        query = Query.of(self._model.network, asked)
        state = query.state
        predictions = {n: values[:, 0] for n, values in self._model.rank(state, target[:, tf.newaxis]).items()}
        seen = tf.sparse.to_dense(features[feature_names.SEEN_ITEM_ID], self._size)
        ranks = {} if self._model.network.retrieval_name is None else self._ranks(query, target, seen)
        user = first_value(raw[feature_names.USER_ID], "")
        return {
            **ranks,
            **predictions,
            **self._forms.answers(asked, user, target, seen, ranks | predictions),
            **self._model.network.interests(state),
            **self._about(raw, window),
        }

    def _ranks(self, query: Query, target: tf.Tensor, seen: tf.Tensor) -> dict[str, tf.Tensor]:
        """What is said of the whole catalogue: a model that only predicts labels would pay much for it."""
        kinds = _RANKING | ({_INDEX_RECALL: tf.float32} if self._has_approximate_index else {})
        trends = 0 if self._model.network.trend is None else self._model.network.trend.width
        rows = max(1, CELLS // (self._size * (1 + trends)))
        kinds |= dict.fromkeys(_COLD_RANKS, tf.float32) if self._cold else {}
        ranking = in_row_blocks(self._ranking, (query, target, seen), rows, kinds)
        return {
            **ranking,
            **self._lists(ranking["top_items"]),
            **{f"popularity_{n}": f for n, f in self._lists(ranking["popularity_top_items"]).items()},
            **({} if self._cold is None else {"is_cold_item": self._cold.is_cold(target)}),
        }

    def labels(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """string [B] -> `target_label_<task>` and `target_weight_<task>`, float [B], of the last events; the label of
        a multiclass task is float [B, C], the item's shares of the classes."""
        names = self._model.network.config.label_features
        raw = self._reader.raw(examples, also=names)
        window = dense_windows(self._reader.model_features(raw), self._model.network.spec)
        labels = {f"target_{name}": window[name][:, -1] for name in names}
        for task, shares in self._model.network.class_shares(window[feature_names.ITEM_ID][:, -1]).items():
            labels[f"target_{feature_names.label(task)}"] = shares
            labels[f"target_{feature_names.weight(task)}"] *= tf.reduce_sum(shares, axis=1)
        return labels

    def _ranking(self, query: Query, target: tf.Tensor, seen: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = self._recommender.catalogue_scores(query)
        popularity = tf.tile(self._frequencies[tf.newaxis], [tf.shape(target)[0], 1])
        mask, k = self._config.mask_seen, min(max(self._config.ks), _MAX_TOP)
        best = top_items(scores, k, seen, mask)
        recall = {}
        if self._has_approximate_index:
            # Where the moment is past every item is scored: what the index misses is judged by requests of now.
            now = query.of_now()
            wanted = (
                best
                if self._model.network.trend is None
                else top_items(self._recommender.catalogue_scores(now), k, seen, mask)
            )
            recall[_INDEX_RECALL] = self._recommender.index_recall(now, wanted, seen if mask else seen[:, :0])
        cold = {}
        if self._cold is not None:
            ranks = [self._cold.ranks(values, target, seen) for values in (scores, popularity)]
            cold = dict(zip(_COLD_RANKS, ranks, strict=True))
        return {
            **recall,
            **cold,
            "target_rank": target_ranks(scores, target, seen, mask),
            "top_items": best,
            "popularity_rank": target_ranks(popularity, target, seen, mask),
            "popularity_top_items": top_items(popularity, k, seen, mask),
        }

    def _about(self, raw: Features, window: Window) -> dict[str, tf.Tensor]:
        user = first_value(raw[feature_names.USER_ID], "")
        rows = tf.shape(user)
        return {
            "retrieval_weight": tf.cast(window[feature_names.IS_POSITIVE][:, -1], tf.float32),
            "user_key": tf.strings.to_hash_bucket_fast(user, (1 << 63) - 1),
            "target_count": tf.cast(first_value(raw[feature_names.TARGET_COUNT], 0), tf.float32),
            "is_cold_user": tf.cast(first_value(raw[feature_names.IS_COLD_USER], 0), tf.float32),
            "catalogue_size": tf.fill(rows, float(self._size)),
        }


def hide_newest(window: Window, model: RecommenderModel) -> Window:
    """Makes the newest event one that has not happened yet: its item is unknown, its outcome and labels are missing."""
    hidden = {feature_names.ITEM_ID: model.spec.item_count, feature_names.IS_POSITIVE: False}
    hidden |= {f.name: missing_value(f) for f in model.spec.features if f.section == "outcome"}
    hidden |= dict.fromkeys(model.config.label_features, 0)
    return window | {name: _with_newest(window[name], value) for name, value in hidden.items()}


def _with_newest(values: tf.Tensor, value: float) -> tf.Tensor:
    return tf.concat([values[:, :-1], tf.fill([tf.shape(values)[0], 1], tf.cast(value, values.dtype))], axis=1)
