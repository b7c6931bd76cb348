"""The weights and slots of one model in a model of other data."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from config import Config
from tests.trainer.small import FEATURES, ITEMS, STATISTICS, USERS, many_tasks_config, small_catalogue
from trainer.data.catalogue import Catalogue
from trainer.model.recommender import RecommenderModel
from trainer.model.row_keys import Vocabularies, weights_of
from trainer.training.kept_state import DamagedStateError, KeptState, has_state, keep_state
from trainer.training.optimizers import make_optimizer, parts_of, slots_of
from trainer.training.warm_start import WarmStart, group_means

OLD = {
    "item_id": [f"i{n}".encode() for n in range(ITEMS)],
    "user_id": [f"u{n}".encode() for n in range(USERS)],
    "user_gender": [b"F"],
    "user_tags": [b"x", b"y", b"z"],
    "item_genres": [b"drama", b"noir"],
    "context_device": [b"tv"],
    "outcome_stars": [b"1", b"2", b"3", b"4"],
}
"""What the numbers of the small model's data stand for."""
NEW = {
    **OLD,
    "item_id": [b"new", *OLD["item_id"][:2:-1], b"newer"],
    "user_id": [b"u8", b"somebody", *OLD["user_id"][:8]],
    "item_genres": [b"noir", b"drama", b"war"],
}
"""Items and users in another order: three items have gone, two items, a user and a genre have come."""
BOTH = {"name": "adamw", "embeddings": {"name": "adagrad", "learning_rate": 0.1}}


def catalogue_of(vocabularies: Vocabularies, genres: np.ndarray) -> Catalogue:
    size = len(vocabularies["item_id"])
    ids = np.array(vocabularies["item_id"], object)
    features = {"item_genres": genres.astype(np.int32), "item_price": np.zeros(size + 1, np.float32)}
    return Catalogue(ids, np.arange(size, 0, -1).astype(np.float32), features)


def features_of(vocabularies: Vocabularies) -> tuple[Any, ...]:
    """The small features, with an OOV bucket and a missing value behind each vocabulary."""
    return tuple(f if f.size is None else replace(f, size=len(vocabularies[f.name]) + 2) for f in FEATURES)


class Trained:
    """A model with random weights and slots, as after a training."""

    def __init__(self, config: Config, vocabularies: Vocabularies, catalogue: Catalogue, seed: int) -> None:
        tf.keras.utils.set_random_seed(seed)
        self.config, self.catalogue, self.features = config, catalogue, features_of(vocabularies)
        users = len(vocabularies["user_id"])
        self.model = RecommenderModel(config, self.features, catalogue, users, STATISTICS)
        self.weights = weights_of(self.model, vocabularies)
        self.optimizer = make_optimizer(config.training.optimizer, 10, self.model.trainable_variables)
        rng = np.random.default_rng(seed)
        for variable in self.weights.variables.values():
            for values in (variable, *slots_of(self.optimizer, variable).values()):
                values.assign(rng.normal(size=values.shape))
        for part in parts_of(self.optimizer):
            part.iterations.assign(77)

    def started(self, state: KeptState, ids: bool = True) -> WarmStart:
        start = WarmStart(state, self.weights, self.catalogue, self.features, ids)
        start.move_weights()
        start.move_slots(self.optimizer, self.config.training.optimizer)
        return start

    def values(self, path: str) -> dict[str, np.ndarray]:
        """The weight and its slots."""
        variable = self.weights.variables[path]
        slots = slots_of(self.optimizer, variable)
        return {"": variable.numpy(), **{name: slot.numpy() for name, slot in slots.items()}}


@pytest.fixture(scope="module", params=["one optimizer", "two"])
def moved(request, tmp_path_factory) -> tuple[Trained, Trained, WarmStart]:
    optimizer = BOTH if request.param == "two" else {}
    config = many_tasks_config(training={"optimizer": optimizer}, model={"batch_norm": True, "query_layers": [8]})
    old = Trained(config, OLD, small_catalogue(), seed=1)
    folder = str(tmp_path_factory.mktemp("model"))
    keep_state(folder, config, old.weights, old.optimizer)
    # "new" is noir and war, "newer" war alone, which no known item is; of the others i3 and i5 are noir.
    genres = np.full([len(NEW["item_id"]) + 1, 2], -1)
    genres[0], genres[-2] = [0, 2], [2, -1]
    for item in (b"i3", b"i5"):
        genres[NEW["item_id"].index(item), 0] = 0
    new = Trained(config, NEW, catalogue_of(NEW, genres), seed=2)
    return old, new, new.started(KeptState(folder))


def rows(values: np.ndarray, vocabulary: list[bytes], *ids: bytes) -> np.ndarray:
    return values[[vocabulary.index(i) for i in ids]]


def test_rows_and_slots_of_known_ids_are_bit_equal(moved: tuple[Trained, Trained, WarmStart]) -> None:
    old, new, _ = moved
    for table, path in (
        ("item_id", "candidates.ids.embeddings"),
        ("item_id", "candidates.bias"),
        ("item_id", "heads.rating.item_bias.embeddings"),
        ("user_id", "queries.user_ids.embeddings"),
        ("item_genres", "candidates.content.tables.item_genres.embeddings"),
    ):
        known = [value for value in NEW[table] if value in OLD[table]]
        before, after = old.values(path), new.values(path)
        assert len(before) > 1, "there are slots"
        for name, values in before.items():
            expected = rows(values, OLD[table], *known)
            np.testing.assert_array_equal(rows(after[name], NEW[table], *known), expected, f"{path} {name}")
            np.testing.assert_array_equal(after[name][-1], values[-1], "the last row is of unknown or missing values")


def test_the_classes_of_a_head_are_its_last_axis(moved: tuple[Trained, Trained, WarmStart]) -> None:
    old, new, _ = moved
    for name, values in old.values("classifiers.genre.project.kernel").items():
        after = new.values("classifiers.genre.project.kernel")[name]
        np.testing.assert_array_equal(after[:, :2], values[:, 1::-1])
        np.testing.assert_allclose(after[:, 2], values.mean(axis=1), rtol=1e-5)


def test_all_else_moves_by_name(moved: tuple[Trained, Trained, WarmStart]) -> None:
    old, new, _ = moved
    others = [path for path in old.weights.variables if path not in old.weights.rows]
    assert "queries.hidden.norms.0.moving_mean" in others, "the moving averages of batch normalisation"
    assert len(others) > 20
    for path in others:
        for name, values in old.values(path).items():
            np.testing.assert_array_equal(new.values(path)[name], values, f"{path} {name}")
    assert [int(part.iterations) for part in parts_of(new.optimizer)] == [77] * len(parts_of(new.optimizer))


def test_new_rows_start_from_content(moved: tuple[Trained, Trained, WarmStart]) -> None:
    old, new, _ = moved
    for path in ("candidates.ids.embeddings", "heads.like.item_bias.embeddings"):
        for name, values in old.values(path).items():
            after = new.values(path)[name]
            np.testing.assert_allclose(after[0], (values[3] + values[5]) / 2, rtol=1e-5)
            # Nobody known is of its genre: the mean of the items 3 to 11 that are still there.
            np.testing.assert_allclose(after[-2], values[3:12].mean(axis=0), rtol=1e-4, atol=1e-6)
    users = new.values("queries.user_ids.embeddings")[""]
    np.testing.assert_array_equal(users[1], users[-1], "a new user starts as an unknown one")
    genres, before = (t.values("candidates.content.tables.item_genres.embeddings")[""] for t in (new, old))
    np.testing.assert_allclose(genres[2], before[:2].mean(axis=0), rtol=1e-5)


def test_the_report_counts_what_is_known(moved: tuple[Trained, Trained, WarmStart]) -> None:
    assert set(moved[2].report) == {
        "`item_id`: 9 of 11 are known; 3 are no longer there",
        "`user_id`: 9 of 10 are known; 0 are no longer there",
        "`item_genres`: 2 of 3 are known; 0 are no longer there",
    }


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> tuple[Trained, str]:
    """A small model, and the folder with its state."""
    config = many_tasks_config()
    old = Trained(config, OLD, small_catalogue(), seed=1)
    folder = str(tmp_path_factory.mktemp("kept"))
    keep_state(folder, config, old.weights, old.optimizer)
    return old, folder


def test_what_has_changed_is_named_and_starts_cold(kept: tuple[Trained, str]) -> None:
    old, folder = kept
    config = many_tasks_config(
        tasks={"order": {"kind": "listwise", "label": "rating >= 4", "session": "page"}},
        model={
            "feature_dimension": 6,
            "history": {"max_events": 6, "encoder": "mean"},
            "tables": {"user_id": {"method": "hash", "rows": 4}},
        },
        training={"optimizer": {"name": "adagrad"}},
    )
    new = Trained(config, OLD, small_catalogue(), seed=2)
    before = {path: new.values(path) for path in new.weights.variables}
    start = new.started(KeptState(folder))
    assert {
        "`item_genres`: 4 -> 6 dimensions: starts cold",
        "`heads.order`: pairwise -> listwise: starts cold",
        "`training.optimizer`: adamw -> adagrad: its slots start at zero",
        "`shared rows of user_id`: not in that model: starts cold",
        "`queries.user_ids`: no longer in the model",
    } <= set(start.report)
    for path in ("candidates.content.tables.item_genres.embeddings", "heads.order.project.kernel"):
        np.testing.assert_array_equal(new.values(path)[""], before[path][""])
    for path in ("candidates.ids.embeddings", "heads.like.project.kernel"):
        np.testing.assert_array_equal(new.values(path)[""], old.values(path)[""])
        np.testing.assert_array_equal(new.values(path)["accumulator"], before[path]["accumulator"])
    assert start.begin(config.training.optimizer) == 0


def test_a_new_feature_leaves_the_weights_of_the_others(kept: tuple[Trained, str]) -> None:
    old, folder = kept
    config = old.config
    features = (*old.features[:5], replace(old.features[3], name="item_age"), *old.features[5:])
    shuffled = [replace(f, section="item") if f.name == "item_age" else f for f in features]
    catalogue = small_catalogue()
    catalogue = replace(catalogue, features={**catalogue.features, "item_age": np.zeros(ITEMS + 1, np.int32)})
    new = RecommenderModel(config, shuffled, catalogue, USERS, STATISTICS)
    weights = weights_of(new, {**OLD, "item_age": OLD["outcome_stars"]})
    start = WarmStart(KeptState(folder), weights, catalogue, shuffled, ids=True)
    start.move_weights()
    kernel = new.candidates.content.project.kernel.numpy()
    np.testing.assert_array_equal(kernel[4:], old.values("candidates.content.project.kernel")[""])
    assert "`item_age`: not in that model: starts cold" in start.report


def test_ids_of_another_data_set_do_not_move(kept: tuple[Trained, str]) -> None:
    old, folder = kept
    new = Trained(old.config, OLD, small_catalogue(), seed=2)
    before = new.values("candidates.ids.embeddings")[""]
    start = new.started(KeptState(folder), ids=False)
    np.testing.assert_array_equal(new.values("candidates.ids.embeddings")[""][:-1], before[:-1])
    users, unknown = new.values("queries.user_ids.embeddings")[""], old.values("queries.user_ids.embeddings")[""][-1]
    np.testing.assert_array_equal(users, np.tile(unknown, [USERS + 1, 1]))
    path = "candidates.content.tables.item_genres.embeddings"
    np.testing.assert_array_equal(new.values(path)[""], old.values(path)[""])
    assert "`item_id`: none of 12 is known: start cold" in start.report


@pytest.mark.parametrize(("vocabularies", "is_warm"), [(OLD, True), (NEW, False)])
def test_shared_rows_move_whole_or_not_at_all(tmp_path, vocabularies: Vocabularies, is_warm: bool) -> None:
    config = many_tasks_config(model={"tables": {"user_id": {"method": "hash", "rows": 4}}})
    models = [
        Trained(config, own, catalogue_of(own, np.full([len(own["item_id"]) + 1, 1], -1)), seed)
        for seed, own in ((1, OLD), (2, vocabularies))
    ]
    keep_state(str(tmp_path), config, models[0].weights, models[0].optimizer)
    models[1].started(KeptState(str(tmp_path)))
    old, new = (m.values("queries.user_ids.parts.0.embeddings") for m in models)
    assert [np.array_equal(old[name], new[name]) for name in old] == [is_warm] * 3


def test_a_damaged_state_is_named(kept: tuple[Trained, str], tmp_path) -> None:
    assert not has_state(str(tmp_path))
    folder = tmp_path / "Format-Training"
    folder.mkdir()
    (folder / "state.index").write_bytes(b"nothing")
    assert has_state(str(tmp_path))
    with pytest.raises(DamagedStateError, match=r"Format-Training.*is damaged .*Remove this folder"):
        KeptState(str(tmp_path))


def test_a_new_row_is_the_mean_of_its_groups_means() -> None:
    groups = scipy.sparse.csr_matrix(np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 1]], np.float32))
    means = group_means(groups, np.array([True, True, False, False]), np.array([False, False, True, True]))
    # The first group's mean is 3, the second's 4; of the third no row is known, so the last row gets the mean of all.
    np.testing.assert_allclose(means.of(np.array([[2.0], [4.0], [9.0], [9.0]], np.float32)), [[3.5], [3.0]])
