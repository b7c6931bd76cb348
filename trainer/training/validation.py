"""Evaluation on the eval split after every epoch."""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from config import feature_names
from trainer.data.blocks import in_row_blocks
from trainer.data.user_sample import UserSample
from trainer.data.windows import Window
from trainer.metrics.names import MULTICLASS_METRICS, ORDER_METRICS, STANDARD_ERROR
from trainer.metrics.ordering import OrderMetrics, Scores
from trainer.metrics.prediction import Answers, ClassMetrics, RegressionMetrics, area_under_curve
from trainer.metrics.ranking import ideal_gain, standard_error
from trainer.metrics.ranks import target_ranks
from trainer.model.query_tower import QueryState
from trainer.model.recommender import RecommenderModel

_BATCH_SIZE = 128
_CELLS = 1 << 25
"""Scores held at once, rows by items: 128 MiB. Up to 262,144 items, these are the scores of a batch."""
_RANK = "rank"


class Measured(NamedTuple):
    """Metrics by name, and the standard errors over users of those that have one."""

    metrics: dict[str, float]
    errors: dict[str, float]


class Scorer(Protocol):
    """Scores items for queries: a model, or one that is stacked on it."""

    def retrieval_scores(self, window: Window, state: QueryState, candidates: tf.Tensor) -> tf.Tensor:
        """See `RecommenderModel.retrieval_scores`."""

    def rank(self, state: QueryState, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `RecommenderModel.rank`."""


class Evaluator:
    """Computes losses and metrics of a model on windows whose last event is the target.

    `<task>_loss` is each task's mean loss, `loss` their sum by the tasks' configured weights, comparable between epochs
    and between methods of balancing; `recall@K`, `hr@K` and `ndcg@K` are averages over users, cold ones too, as the
    evaluation's (`trainer.metrics.ranking`); a regression task adds `<task>/rmse`, a binary one `<task>/auc`, a
    multiclass one `<task>/accuracy` and `<task>/log_loss`; a pairwise or listwise one `<task>/pairwise_accuracy` and
    `<task>/ndcg` of users with several targets (`trainer.metrics.ordering`). NaN stands for undefined values: the loss
    of a task without a target, the AUC of equal labels.

    Args:
        model: The model.
        sample: Of the eval split.
        scorer: Computes the scores, for a model that is stacked on `model`. None: `model`.
    """

    def __init__(self, model: RecommenderModel, sample: UserSample, scorer: "Scorer | None" = None) -> None:
        self._model = model
        self._scorer = scorer or model
        self._rows = max(1, _CELLS // model.spec.item_count)
        # Windows of one day share the trend's features: they are computed once for each day in a block.
        self._sample = sample.by_time()
        self._batches = self._sample.batches(_BATCH_SIZE)
        # Traced once: without a signature every new shape, as that of the last batch, costs seconds.
        candidates = tf.TensorSpec([None, model.spec.item_count])
        self._answer = tf.function(
            self._answers, input_signature=[self._batches.element_spec, candidates], autograph=False
        )

    def evaluate(self) -> dict[str, float]:
        """Returns every metric by name, and its standard error by `stderr_<name>`; none of a task without a target."""
        metrics, errors = self.measure()
        known = {f"{STANDARD_ERROR}{name}": error for name, error in errors.items() if not math.isnan(error)}
        return metrics | known

    def measure(self) -> Measured:
        """Returns the metrics with their standard errors."""
        candidates = tf.transpose(self._model.candidate_embeddings())
        columns: dict[str, list[np.ndarray]] = defaultdict(list)
        for window in self._batches:
            for name, values in self._answer(window, candidates).items():
                columns[name].append(np.atleast_1d(values.numpy()))
        answers = {name: np.concatenate(values) for name, values in columns.items()}
        found = Measured(self._losses(answers), {})
        for own in (self._retrieval(answers), *(self._task(name, answers) for name in self._model.config.events)):
            found = Measured(found.metrics | own.metrics, found.errors | own.errors)
        return found

    def _answers(self, window: Window, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
        states, sums = self._model.loss_sums(window)
        answers = {f"{name}_loss": s.loss for name, s in sums.items()}
        answers |= {f"{name}_weight": s.weight for name, s in sums.items()}
        state = states.newest()
        item = window[feature_names.ITEM_ID][:, -1]
        predictions = self._scorer.rank(state, item[:, tf.newaxis])
        answers |= {f"{name}_prediction": p[:, 0] for name, p in predictions.items()}
        answers |= {f"{name}_prediction": p for name, p in self._model.interests(state).items()}
        answers |= {f"{name}_label": window[feature_names.label(name)][:, -1] for name in predictions}
        answers |= {f"{name}_label": shares for name, shares in self._model.class_shares(item).items()}
        answers |= {
            f"{name}_is_target": window[feature_names.weight(name)][:, -1] for name in self._model.config.events
        }
        return answers | {
            _RANK: self._ranks(window, state, candidates),
            "is_counted": window[feature_names.IS_POSITIVE][:, -1],
        }

    def _ranks(self, window: Window, state: QueryState, candidates: tf.Tensor) -> tf.Tensor:
        """Ranks the targets, float [B], in blocks of rows whose scores of all items fit `_CELLS`."""
        mask_seen = self._model.config.evaluation.mask_seen

        def ranks(window: Window, state: QueryState) -> dict[str, tf.Tensor]:
            scores = self._scorer.retrieval_scores(window, state, candidates)
            item, seen = window[feature_names.ITEM_ID][:, -1], window[feature_names.SEEN_ITEM_ID]
            return {_RANK: target_ranks(scores, item, seen, mask_seen)}

        if self._rows >= _BATCH_SIZE:
            return ranks(window, state)[_RANK]
        return in_row_blocks(ranks, (window, state), self._rows, {_RANK: tf.float32})[_RANK]

    def _losses(self, answers: dict[str, np.ndarray]) -> dict[str, float]:
        tasks = self._model.config.tasks
        sums = {n: (answers[f"{n}_loss"].sum(), answers[f"{n}_weight"].sum()) for n in tasks}
        losses = {n: float(loss / weight) if weight else math.nan for n, (loss, weight) in sums.items()}
        total = sum(tasks[n].weight * loss for n, loss in losses.items() if not math.isnan(loss))
        return {"loss": float(total)} | {f"{n}_loss": loss for n, loss in losses.items()}

    def _retrieval(self, answers: dict[str, np.ndarray]) -> Measured:
        is_counted = answers["is_counted"]
        if self._model.retrieval_name is None or not is_counted.any():
            return Measured({}, {})
        gains = UserGains(self._sample, is_counted, self._model.config.split.history == "frozen")
        rank, metrics, errors = answers[_RANK], {}, {}
        for k in self._model.config.evaluation.ks:
            own = {"hr": gains.hits(rank, k) > 0, "recall": gains.hits(rank, k), "ndcg": gains.ndcg(rank, k)}
            for name, values in own.items():
                metrics[f"{name}@{k}"] = float(values.mean())
                errors[f"{name}@{k}"] = standard_error(values)
        return Measured(metrics, errors)

    def _task(self, name: str, answers: dict[str, np.ndarray]) -> Measured:
        is_target = answers[f"{name}_is_target"] > 0
        if answers[f"{name}_label"].ndim == 2:
            is_target &= answers[f"{name}_label"].any(axis=1)
        if not is_target.any():
            return Measured({}, {})
        label, prediction = (answers[n][is_target] for n in (f"{name}_label", f"{name}_prediction"))
        own = _METRICS[self._model.config.events[name].kind](self._sample.user[is_target], label, prediction)
        metrics, errors = ({f"{name}/{metric}": value for metric, value in part.items()} for part in own)
        return Measured(metrics, errors)


class UserGains:
    """Computes ranking metrics of the n sampled users that have a target.

    Args:
        sample: N windows.
        is_counted: bool [N], whether the window's target counts.
        one_list: Whether a user's targets are ranked in one list, as with a frozen history, or each in its own.
    """

    def __init__(self, sample: UserSample, is_counted: np.ndarray, one_list: bool) -> None:
        self._counted = is_counted
        users, self._user, self._count = np.unique(sample.user[is_counted], return_inverse=True, return_counts=True)
        self._positives = np.maximum(sample.positives[users], self._count)
        self._one_list = one_list

    def hits(self, rank: np.ndarray, k: int) -> np.ndarray:
        """Computes the share of a user's targets among the first `k` from ranks float [N]: float [n]."""
        return self._mean((rank[self._counted] <= k).astype(np.float64))

    def ndcg(self, rank: np.ndarray, k: int) -> np.ndarray:
        """Computes the NDCG of each user from ranks float [N]: float [n]. Sampled targets stand for all of a user's."""
        own = rank[self._counted]
        gain = self._mean(np.where(own <= k, 1 / np.log2(own + 1), 0))
        if not self._one_list:
            return gain
        return np.minimum(gain * self._positives / ideal_gain(k, self._positives.astype(np.int64)), 1.0)

    def _mean(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self._user, values, len(self._count)) / self._count


_Own = tuple[dict[str, float], dict[str, float]]
"""A task's metrics, and the standard errors of those that have one."""


def _regression(user: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> _Own:
    rmse = _folded(RegressionMetrics(), label, prediction)["rmse"]
    squares = (prediction.astype(np.float64) - label) ** 2
    # The error of a ratio of sums over users, and of its root (the delta method).
    off = np.bincount(user, squares - squares.mean())[np.unique(user)]
    error = standard_error(off) * len(off) / len(squares) / (2 * rmse) if rmse else 0.0
    return {"rmse": rmse}, {"rmse": error}


def _binary(user: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> _Own:
    return {"auc": area_under_curve(Answers.unweighted(label, prediction))}, {}


def _multiclass(user: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> _Own:
    found = _folded(ClassMetrics(), label, prediction)
    return {name: found[name] for name in MULTICLASS_METRICS}, {}


def _folded(fold: RegressionMetrics | ClassMetrics, label: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    return fold.read(fold.add(fold.start(), Answers.unweighted(label, prediction)))


def _order(user: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> _Own:
    found = OrderMetrics().read([Scores(user, label, prediction)])
    known = [name for name in ORDER_METRICS if not math.isnan(found[name])]
    return {name: found[name] for name in known}, {name: found[STANDARD_ERROR + name] for name in known}


_METRICS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], _Own]] = {
    "binary": _binary,
    "regression": _regression,
    "multiclass": _multiclass,
    "pairwise": _order,
    "listwise": _order,
}
"""By the task's kind: from users int64 [N], labels and predictions to metrics by name."""
