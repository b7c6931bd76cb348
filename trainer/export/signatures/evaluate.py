"""The signatures of the Evaluator: the target's rank and every task's prediction for it, and the target's labels."""

from typing import Any

import tensorflow as tf

from config import feature_names
from trainer.data.blocks import CELLS, in_row_blocks
from trainer.data.catalogue import missing_value
from trainer.data.windows import Window, dense_windows
from trainer.export.signatures.reader import Features, RequestReader, first_value
from trainer.export.signatures.recommend import Recommender
from trainer.export.signatures.request_forms import RequestForms
from trainer.export.signatures.retrieval import Query
from trainer.export.signatures.seen import SEEN_FEATURES, SeenLists
from trainer.metrics.lists import ListMetrics
from trainer.metrics.ranks import ColdRanks, FixedOrder, target_ranks, top_items
from trainer.model.recommender import RecommenderModel
from trainer.stacking.recommender import StackedRecommender

_MAX_TOP = 100
_EXTRA = (feature_names.IS_POSITIVE, *SEEN_FEATURES, feature_names.IS_COLD_USER, feature_names.TARGET_COUNT)
_INDEX_RECALL = "index_recall"
_COLD_RANKS = ("cold_rank", "popularity_cold_rank")
_RANKING = {
    "target_rank": tf.float32,
    "top_items": tf.int64,
    "popularity_rank": tf.float32,
    "popularity_top_items": tf.int64,
}


class Evaluation:
    """Answers for the last event of eval and test windows, the event itself hidden.

    Args:
        model: the trained model.
        recommender: scores the catalogue.
        frequencies: float [V], the popularity baseline's scores; a variable that the exported object tracks.
        reader: parses the examples.
        request_share: the share of the users whose windows are also answered in the forms of `RequestForms`.
    """

    def __init__(
        self,
        model: StackedRecommender,
        recommender: Recommender,
        frequencies: tf.Variable,
        reader: RequestReader,
        request_share: float = 1.0,
    ) -> None:
        self._model = model
        self._forms = RequestForms(model, recommender, reader, request_share)
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
        """Answers the signature `evaluate`: string [B] -> the table of `docs/reference/signatures.md`."""
        raw = self._reader.raw(examples, also=_EXTRA)
        features = self._reader.model_features(raw)
        window = dense_windows(features, self._model.network.spec)
        target = window[feature_names.ITEM_ID][:, -1]
        request = hide_newest(window, self._model.network)
        query = Query.of(self._model.network, request)
        predictions = {n: values[:, 0] for n, values in self._model.rank(query.state, target[:, tf.newaxis]).items()}
        user = first_value(raw[feature_names.USER_ID], "")
        lists = SeenLists.of(raw, features[feature_names.SEEN_ITEM_ID], user, self._size)
        # Ranks among the whole catalogue are costly, and no metric of a model without a retrieval task reads them.
        ranks = {} if self._model.network.retrieval_name is None else self._ranks(query, target, lists)
        return {
            **ranks,
            **predictions,
            **self._forms.answers(request, user, target, lists, ranks | predictions),
            **self._model.network.interests(query.state),
            **self._bookkeeping(raw, user, window),
            feature_names.SEEN_COUNT: tf.cast(lists.count, tf.float32),
        }

    def labels(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers the signature `evaluation_labels`: string [B].

        Returns:
            `target_label_<task>` and `target_weight_<task>`, float [B], of the last events. The label of a multiclass
            task is float [B, C], the item's shares of the classes.
        """
        names = self._model.network.config.label_features
        raw = self._reader.raw(examples, also=names)
        window = dense_windows(self._reader.model_features(raw), self._model.network.spec)
        labels = {f"target_{name}": window[name][:, -1] for name in names}
        for task, shares in self._model.network.class_shares(window[feature_names.ITEM_ID][:, -1]).items():
            labels[f"target_{feature_names.label(task)}"] = shares
            labels[f"target_{feature_names.weight(task)}"] *= tf.reduce_sum(shares, axis=1)
        return labels

    def _ranks(self, query: Query, target: tf.Tensor, lists: SeenLists) -> dict[str, tf.Tensor]:
        kinds = _RANKING | ({_INDEX_RECALL: tf.float32} if self._has_approximate_index else {})
        kinds |= dict.fromkeys(_COLD_RANKS, tf.float32) if self._cold else {}
        trends = 0 if self._model.network.trend is None else self._model.network.trend.width
        rows = max(1, CELLS // (self._size * (1 + trends)))
        asked = self._recommender.same_queries(query, tf.stack([lists.user, lists.count], axis=1))
        order = tf.argsort(asked, stable=True)
        inputs = tf.nest.map_structure(
            lambda values: tf.gather(values, order), (query, asked, target, lists.user, lists.count)
        )
        popular = FixedOrder.of(self._frequencies)

        def ranking(*block: Any) -> dict[str, tf.Tensor]:
            return self._ranking(popular, lists, *block)

        ranked = in_row_blocks(ranking, inputs, rows, kinds)
        back = tf.argsort(order)
        found = {name: tf.gather(values, back) for name, values in ranked.items()}
        return {
            **found,
            **self._lists(found["top_items"]),
            **{f"popularity_{n}": values for n, values in self._lists(found["popularity_top_items"]).items()},
            **({} if self._cold is None else {"is_cold_item": self._cold.is_cold(target)}),
        }

    def _ranking(
        self,
        popular: FixedOrder,
        lists: SeenLists,
        query: Query,
        asked: tf.Tensor,
        target: tf.Tensor,
        user: tf.Tensor,
        count: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Ranks the targets of R queries; the catalogue is scored once for equal ones, which follow each other.

        Args:
            popular: the order of the popularity baseline.
            lists: what the users have seen.
            query: R queries.
            asked: int32 [R], equal where the queries are and what their users have seen.
            target: int64 [R].
            user: int64 [R], the rows of `lists`.
            count: int64 [R], the number of the items of `lists` that count.
        """
        one, list_of = tf.unique(asked)
        first = tf.math.unsorted_segment_min(tf.range(tf.size(asked)), list_of, tf.size(one))

        def firsts(values: tf.Tensor) -> tf.Tensor:
            return tf.gather(values, first)

        def spread(values: tf.Tensor) -> tf.Tensor:
            is_each_its_own = tf.size(one) == tf.size(asked)
            return tf.cond(is_each_its_own, lambda: values, lambda: tf.gather(values, list_of))

        query = tf.nest.map_structure(firsts, query)
        seen_once = lists.of_rows(firsts(user), firsts(count))
        mask, k = self._config.mask_seen, min(max(self._config.ks), _MAX_TOP)
        scores = self._recommender.catalogue_scores(query)
        best = top_items(scores, k, seen_once, mask)
        seen, of_targets = spread(seen_once), spread(scores)
        found = {
            "target_rank": target_ranks(of_targets, target, seen, mask),
            "top_items": spread(best),
            "popularity_rank": popular.target_ranks(target, seen, mask),
            "popularity_top_items": spread(popular.top_items(k, seen_once, mask)),
        }
        if self._has_approximate_index:
            # For a past moment every item is scored: the index is measured with requests of now.
            now = query.of_now()
            if self._model.network.trend is not None:
                best = top_items(self._recommender.catalogue_scores(now), k, seen_once, mask)
            found[_INDEX_RECALL] = spread(
                self._recommender.index_recall(now, best, seen_once if mask else seen_once[:, :0])
            )
        if self._cold is not None:
            popularity = tf.tile(self._frequencies[tf.newaxis], [tf.shape(target)[0], 1])
            ranks = [self._cold.ranks(values, target, seen) for values in (of_targets, popularity)]
            found |= dict(zip(_COLD_RANKS, ranks, strict=True))
        return found

    def _bookkeeping(self, raw: Features, user: tf.Tensor, window: Window) -> dict[str, tf.Tensor]:
        return {
            "retrieval_weight": tf.cast(window[feature_names.IS_POSITIVE][:, -1], tf.float32),
            "user_key": tf.strings.to_hash_bucket_fast(user, (1 << 63) - 1),
            "target_count": tf.cast(first_value(raw[feature_names.TARGET_COUNT], 0), tf.float32),
            "is_cold_user": tf.cast(first_value(raw[feature_names.IS_COLD_USER], 0), tf.float32),
            "catalogue_size": tf.fill(tf.shape(user), float(self._size)),
        }


def hide_newest(window: Window, model: RecommenderModel) -> Window:
    """Makes the newest event one that has not happened yet: its item is unknown, its outcome and labels are missing."""
    hidden = {feature_names.ITEM_ID: model.spec.item_count, feature_names.IS_POSITIVE: False}
    hidden |= {f.name: missing_value(f) for f in model.spec.features if f.section == "outcome"}
    hidden |= dict.fromkeys(model.config.label_features, 0)

    def replaced(values: tf.Tensor, value: float) -> tf.Tensor:
        return tf.concat([values[:, :-1], tf.fill([tf.shape(values)[0], 1], tf.cast(value, values.dtype))], axis=1)

    return window | {name: replaced(window[name], value) for name, value in hidden.items()}
