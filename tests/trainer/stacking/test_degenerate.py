"""Logs in which there is little or nothing to relate: all fits are finite, and what is left out is reported."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from tests.trainer.small import USERS, draw_row, sampled, small_config, small_model, small_spec, write_rows
from trainer.data.dataset import WindowData
from trainer.export.user_snapshot import load_snapshot
from trainer.stacking.bias_terms import TrainLabels, fit_bias_terms
from trainer.stacking.blend import IdentityLink, LogitLink
from trainer.stacking.factors import fit_factors
from trainer.stacking.fit_baseline import fit_rating_baselines
from trainer.stacking.fit_neighbours import fit_neighbours
from trainer.stacking.history import outcome_labels
from trainer.stacking.item_pairs import correlation_links, cosine_links, regression_links, transition_links
from trainer.stacking.recommender import LeftOut
from trainer.stacking.weights import LabelledEvents, stack
from transform.features import ModelFeature

STARS = ModelFeature("stars", "outcome", "category", 4)
KINDS = {
    "equal labels": lambda rng, size: {"label": np.full(size, 5.0)},
    "nearly equal labels": lambda rng, size: {"label": 0.1 + rng.normal(size=size) * 1e-12},
    "huge labels": lambda rng, size: {"label": rng.normal(size=size) * 1e30},
    "yes or no": lambda rng, size: {"label": rng.integers(0, 2, size).astype(float)},
    "one item": lambda rng, size: {"item": np.zeros(size, int)},
    "one user": lambda rng, size: {"user": np.zeros(size, int)},
    "one label a user": lambda rng, size: {"user": np.arange(size), "item": rng.integers(0, 3, size)},
    "nothing in common": lambda rng, size: {"user": np.arange(size), "item": np.arange(size)},
}


def draw_labels(kind, seed):
    """A few labels, some of them of positives; the numbers of users and items."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 25))
    drawn = {"user": rng.integers(0, 8, size), "item": rng.integers(0, 6, size)}
    drawn |= {"label": rng.integers(1, 6, size).astype(float), **KINDS[kind](rng, size)}
    pairs = np.stack([drawn["user"], drawn["item"]], axis=1)[rng.random(size) < rng.random()]
    labels = TrainLabels(**drawn, outcomes={"stars": rng.integers(0, 3, size)}, positives=pairs)
    return labels, int(drawn["user"].max()) + 2, int(drawn["item"].max()) + 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("kind", "seed"), itertools.product(KINDS, range(3)))
def test_all_fits_of_labels_are_finite(kind, seed):
    labels, users, items = draw_labels(kind, seed)
    bias_terms = fit_bias_terms(labels, users, items)
    residual = labels.to_matrix(labels.label - bias_terms.predict(labels.user, labels.item), users, items)
    interactions = labels.interactions(users, items)
    factors = fit_factors(residual, interactions, 1 + seed * 3)
    parts = np.stack([labels.label - labels.label.mean(), np.zeros(len(labels.label))], axis=1)
    weights = [
        stack(IdentityLink(1, 5), LabelledEvents(parts, labels.label, labels.user), 3.0, 0).weights,
        stack(
            LogitLink(), LabelledEvents(np.sign(parts), (labels.label > 3).astype(float), labels.user), 0.0, 0
        ).weights,
    ]
    observed = outcome_labels(labels, [STARS])
    tables = [*factors, bias_terms.user, bias_terms.item, *weights, *([observed.label] if observed else [])]
    ones = interactions.minimum(1)
    links = [
        correlation_links(residual, 2),
        cosine_links(ones, 2),
        regression_links(ones, 2, 4, 300),
        transition_links(sp.csr_matrix((items, items), dtype=np.float32), ones, 2, 0.3),
    ]
    assert all(np.isfinite(table).all() for table in [*tables, *(link.data for link in links)])
    assert {link.shape for link in links} == {(items, items)}


def write(folder, settings, **features):
    """A window of two events for each user; the eval split has the first four again, with one target each."""
    rng, spec = np.random.default_rng(0), small_spec(settings)
    own = [{name: value(n) for name, value in features.items()} for n in range(USERS)]
    train = [draw_row(rng, 2, user_id=[n], **own[n]) for n in range(USERS)]
    held_out = [{**row, "is_target": [0, 1], "seen_item_id": [], "is_cold_user": [0]} for row in train[:4]]
    paths = [write_rows(folder / f"{split}.gz", rows) for split, rows in (("train", train), ("eval", held_out))]
    train, held_out = (WindowData([path], spec) for path in paths)
    return train, sampled(held_out)


def test_equal_labels_have_no_baseline_and_one_item_no_neighbours(tmp_path, capsys):
    settings = small_config()
    equal = {"label_rating": lambda n: [5.0, 5.0], "weight_like": lambda n: [0.0, 0.0]}
    train, held_out = write(tmp_path, settings, item_id=lambda n: [n, n], is_positive=lambda n: [0, 1], **equal)
    model, left_out = small_model(settings), LeftOut()
    assert fit_neighbours(model, train, held_out, left_out) is None
    assert fit_rating_baselines(model, train, held_out, left_out) == []
    linked = dict.fromkeys(["cosine", "regression", "transitions"], "the train log links no two items")
    assert left_out.reasons["retrieval"] == linked
    assert left_out.reasons["rating"] == {"baseline": "all labels of the train log are 5"}
    assert left_out.reasons["like"] == {"baseline": "no event of the train log is labelled"}
    assert "rating: without baseline: all labels of the train log are 5" in capsys.readouterr().out
    assert len(load_snapshot(train, model.spec).events["item_id"]) == USERS


def test_parts_without_a_pair_of_items_are_left_out_and_the_others_stay(tmp_path):
    """Every user has one item; the second label is lower, so no outcome determines what is liked."""
    settings = small_config()
    stars = {"outcome_stars": lambda n: [5, 1 + n % 3], "label_rating": lambda n: [5.0, 1.0 + n % 3]}
    train, held_out = write(tmp_path, settings, item_id=lambda n: [n, n], **stars)
    model, left_out = small_model(settings), LeftOut()
    rating, like = fit_rating_baselines(model, train, held_out, left_out)
    assert rating.names == ("bias", "session_bias_60", "session_bias_3600", "session_bias_604800")
    assert np.isfinite(list(rating.blends["rating"].weights.values())).all()
    assert left_out.reasons["rating"] == {
        "cosine": "no user has labelled two items",
        "correlation": "no two items have positively correlated labels",
        "factors": "the labels show no latent factors",
    }
    assert like.names == ("bias",)
    reason = "no categorical outcome in `features.outcome` tells the labels of a history"
    parts = ["cosine", "correlation", "factors", "session_bias_60", "session_bias_3600", "session_bias_604800"]
    assert left_out.reasons["like"] == dict.fromkeys(parts, reason)
