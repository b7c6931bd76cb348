"""The figures of an epoch on the eval split."""

import math
from collections import defaultdict

import numpy as np
import tensorflow as tf

from pipeline import layout
from pipeline.evaluation.metric_names import ORDER_METRICS
from pipeline.evaluation.order_figures import Scores, order_figures
from trainer.data import WindowData
from trainer.model import RecommenderModel
from trainer.ranks import target_ranks
from trainer.towers.state import QueryState
from trainer.windows import Window

_BATCH_SIZE, _BATCHES = 128, 40
"""About 5,000 windows at most: more would tell little more of an epoch, and take longer than to train it."""


class Evaluator:
    """Losses and metrics of a model on windows whose last event is the target, of the first 5,120 windows where there
    are more. NaN is what is undefined: the loss of a task without a target, the AUC of labels that are all the same.

    `<task>_loss` is each task's mean loss, `loss` their sum by the tasks' configured weights, so that it means the same
    in every epoch and with every balancing; `recall@K`, `hr@K` and `ndcg@K` are those of the warm users'
    targets, one by one; a regression task adds `<task>/rmse`, a binary one `<task>/auc`, a multiclass one
    `<task>/accuracy` and `<task>/log_loss`; a pairwise or listwise one `<task>/pairwise_accuracy` and `<task>/ndcg` of
    the known users with several targets (`pipeline.evaluation.order_figures`).

    Args:
        model: the model.
        data: the eval split.
    """

    def __init__(self, model: RecommenderModel, data: WindowData) -> None:
        self._model = model
        self._batches = data.evaluation_batches(_BATCH_SIZE).take(_BATCHES)
        # Traced once: without a signature every new shape, as that of the last batch, costs seconds.
        candidates = tf.TensorSpec([model.spec.item_count, None])
        self._answer = tf.function(
            self._answers, input_signature=[self._batches.element_spec, candidates], autograph=False
        )

    def evaluate(self) -> dict[str, float]:
        """Every figure by its name; a task without a target has none."""
        candidates = self._model.candidate_embeddings()
        columns: dict[str, list[np.ndarray]] = defaultdict(list)
        for window in self._batches:
            for name, values in self._answer(window, candidates).items():
                columns[name].append(np.atleast_1d(values.numpy()))
        answers = {name: np.concatenate(values) for name, values in columns.items()}
        figures = self._losses(answers) | self._retrieval(answers)
        for name in self._model.config.events:
            figures |= self._task(name, answers)
        return figures

    def _answers(self, window: Window, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
        states, sums = self._model.encode_with_losses(window)
        answers = {f"{name}_loss": s.loss for name, s in sums.items()}
        answers |= {f"{name}_weight": s.weight for name, s in sums.items()}
        state = states.newest()
        item, user = window[layout.ITEM_ID][:, -1], window[layout.USER_ID]
        answers["user"] = tf.where(user < self._model.spec.user_count, user, -1)
        predictions = self._model.rank(state, item[:, tf.newaxis])
        answers |= {f"{name}_prediction": p[:, 0] for name, p in predictions.items()}
        answers |= {f"{name}_prediction": p for name, p in self._model.interests(state).items()}
        answers |= {f"{name}_label": window[layout.label(name)][:, -1] for name in predictions}
        answers |= {f"{name}_label": shares for name, shares in self._model.class_shares(item).items()}
        answers |= {f"{name}_is_target": window[layout.weight(name)][:, -1] for name in self._model.config.events}
        scores = tower_scores(self._model, window, state, candidates)
        mask_seen = self._model.config.evaluation.mask_seen
        rank = target_ranks(self._model.with_neighbours(scores, state), item, window[layout.SEEN_ITEM_ID], mask_seen)
        is_counted = counts(window)
        return answers | {"rank": tf.where(is_counted, rank, np.inf), "is_counted": is_counted}

    def _losses(self, answers: dict[str, np.ndarray]) -> dict[str, float]:
        tasks = self._model.config.tasks
        sums = {n: (answers[f"{n}_loss"].sum(), answers[f"{n}_weight"].sum()) for n in tasks}
        losses = {n: float(loss / weight) if weight else math.nan for n, (loss, weight) in sums.items()}
        total = sum(tasks[n].weight * loss for n, loss in losses.items() if not math.isnan(loss))
        return {"loss": float(total)} | {f"{n}_loss": loss for n, loss in losses.items()}

    def _retrieval(self, answers: dict[str, np.ndarray]) -> dict[str, float]:
        rank = answers["rank"][answers["is_counted"]]
        if self._model.retrieval_name is None or rank.size == 0:
            return {}
        figures = {}
        for k in self._model.config.evaluation.ks:
            figures[f"hr@{k}"] = figures[f"recall@{k}"] = float(np.mean(rank <= k))
            figures[f"ndcg@{k}"] = float(np.mean(np.where(rank <= k, 1 / np.log2(rank + 1), 0)))
        return figures

    def _task(self, name: str, answers: dict[str, np.ndarray]) -> dict[str, float]:
        is_target = answers[f"{name}_is_target"] > 0
        if answers[f"{name}_label"].ndim == 2:
            is_target &= answers[f"{name}_label"].any(axis=1)
        if not is_target.any():
            return {}
        user, label, prediction = (answers[n][is_target] for n in ("user", f"{name}_label", f"{name}_prediction"))
        figures = _FIGURES[self._model.config.events[name].kind](user, label, prediction)
        return {f"{name}/{figure}": value for figure, value in figures.items()}


def tower_scores(model: RecommenderModel, window: Window, state: QueryState, candidates: tf.Tensor) -> tf.Tensor:
    """The towers' scores of all items as of each window's newest event: float [B, V], of `candidate_embeddings`."""
    time = window[layout.TIME][:, -1]
    return model.scores_as_of(time, state.embedding, lambda query: tf.matmul(query, candidates, transpose_b=True))


def counts(window: Window) -> tf.Tensor:
    """bool [B]: whether the newest event is a retrieval target of a warm user."""
    return window[layout.IS_POSITIVE][:, -1] & (window[layout.IS_COLD_USER] == 0)


def _regression(user: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    return {"rmse": float(np.sqrt(np.mean((prediction.astype(np.float64) - label) ** 2)))}


def _binary(user: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    return {"auc": area_under_curve(prediction, label)}


def _multiclass(user: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    is_right = label[np.arange(len(label)), prediction.argmax(axis=1)] > 0
    entropy = -(label * np.log(np.maximum(prediction, 1e-7))).sum(axis=1)
    return {"accuracy": float(np.mean(is_right)), "log_loss": float(np.mean(entropy))}


def _order(user: np.ndarray, label: np.ndarray, prediction: np.ndarray) -> dict[str, float]:
    known = user >= 0
    by_user = order_figures(Scores(user[known], label[known], prediction[known]))
    means = {name: values[~np.isnan(values)] for name, values in zip(ORDER_METRICS, by_user, strict=True)}
    return {name: float(values.mean()) for name, values in means.items() if values.size}


_FIGURES = {
    "binary": _binary,
    "regression": _regression,
    "multiclass": _multiclass,
    "pairwise": _order,
    "listwise": _order,
}
"""By the task's kind: from users int64 [N] (-1: unknown), labels and predictions to figures by name."""


def area_under_curve(score: np.ndarray, label: np.ndarray) -> float:
    """The share of pairs of a positive and a negative that the scores order right, ties half: NaN where no pair is.

    Args:
        score: float [N].
        label: [N], positive above 0.5.
    """
    positive = np.sort(score[label > 0.5])
    negative = score[label <= 0.5]
    if positive.size == 0 or negative.size == 0:
        return math.nan
    above = positive.size - np.searchsorted(positive, negative, side="right")
    tied = np.searchsorted(positive, negative, side="right") - np.searchsorted(positive, negative, side="left")
    return float((above + tied / 2).sum() / (positive.size * negative.size))
