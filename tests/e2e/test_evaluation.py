"""The evaluation's metrics equal those that NumPy computes from the scores of another signature."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from config import feature_names
from pipeline.evaluation.results import headline
from tests.e2e.conftest import Passes
from tests.e2e.metadata import artifacts
from trainer.export.eval_requests import as_request, set_values

K = 10


def _windows(uri: str, split: str) -> list[tf.train.Example]:
    files = tf.io.gfile.glob(f"{uri}/Split-{split}/*")
    return [tf.train.Example.FromString(r) for r in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()]


def _values(window: tf.train.Example, name: str) -> list[Any]:
    feature = window.features.feature[name]
    return list(getattr(feature, feature.WhichOneof("kind")).value) if feature.WhichOneof("kind") else []


def _newest(passes: Passes, type_name: str, component: str) -> str:
    return next(a.uri for a in reversed(artifacts(passes.home.runs, type_name)) if f"/{component}/" in a.uri)


@pytest.fixture(scope="module")
def ranks(passes: Passes) -> dict[bytes, float]:
    """The rank of each warm test user's one target, by NumPy after `rank` has scored the whole catalogue."""
    model = tf.saved_model.load(str(passes.home.serving / str(passes.versions[2][-1])))
    examples = _newest(passes, "Examples", "InteractionExampleGen")
    windows = [w for w in _windows(examples, "test") if _values(w, feature_names.IS_COLD_USER) == [0]]
    train, catalogue = _windows(examples, "train"), _windows(examples, "items")
    ids = sorted(
        {i for w in train for i in _values(w, feature_names.ITEM_ID)}
        | {_values(w, "catalogue_id")[0] for w in catalogue}
    )
    requests = [as_request(window) for window in windows]
    for request in requests:
        set_values(request, feature_names.CANDIDATE_ITEM_ID, ids)
    examples = tf.constant([request.SerializeToString() for request in requests])
    all_scores = model.signatures["rank"](examples=examples)["retrieval_score"].numpy()
    place = {item: n for n, item in enumerate(ids)}
    found = {}
    for window, scores in zip(windows, all_scores, strict=True):
        seen = [place[i] for i in _values(window, feature_names.SEEN_ITEM_ID) if i in place]
        target = place.get(_values(window, feature_names.ITEM_ID)[-1])
        scores[seen] = -np.inf
        is_lost = target is None or target in seen
        found[_values(window, feature_names.USER_ID)[0]] = (
            np.inf if is_lost else 1 + int((scores > scores[target]).sum())
        )
    return found


def test_hit_rate_recall_ndcg_and_mrr_equal_numpys(passes: Passes, ranks: dict[bytes, float]) -> None:
    rank = np.array(list(ranks.values()))
    found = headline(_newest(passes, "ModelEvaluation", "Evaluator"), "test")
    assert found["users"] == len(ranks)
    assert found[f"hr@{K}"] == pytest.approx((rank <= K).mean(), abs=1e-6)
    assert found[f"recall@{K}"] == pytest.approx((rank <= K).mean(), abs=1e-6)
    assert found[f"ndcg@{K}"] == pytest.approx(np.where(rank <= K, 1 / np.log2(1 + rank), 0).mean(), abs=1e-6)
    assert found["mrr"] == pytest.approx((1 / rank).mean(), abs=1e-6)


def test_the_model_beats_popularity_by_far(passes: Passes) -> None:
    found = headline(_newest(passes, "ModelEvaluation", "Evaluator"), "test")
    assert found[f"ndcg@{K}"] > found[f"popularity_ndcg@{K}"] + 0.05


def test_every_task_is_measured(passes: Passes) -> None:
    found = headline(_newest(passes, "ModelEvaluation", "Evaluator"), "test")
    binary = {f"like/{name}" for name in ("auc", "log_loss", "accuracy", "precision", "recall", "f1")}
    assert binary | {"rating/rmse", "rating/mae", "order/pairwise_accuracy", "order/ndcg"} <= set(found)
    assert found["order/users"] == 0, "with one target a user there is nothing to order"
    assert found["genre/accuracy"] > 0.4, "a user stays mostly in one of five genres"
    assert 0 < found["rating/rmse"] < 2
    assert Path(_newest(passes, "ModelEvaluation", "Evaluator")).exists()
