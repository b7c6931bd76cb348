"""Shifts of features: chance raises none, a planted one is named. The training examples are real files."""

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from pipeline.online.answers import Answer
from pipeline.online.measures import Measured, measure
from pipeline.online.skew import Bins, Sample, distance, make_bins, p_value, user_sums
from pipeline.online.sums import Joining, Sums, add, sums_of_user
from pipeline.online.training import Training, read_references
from pipeline.validation.measures import JENSEN_SHANNON, L_INFINITY, Measure
from trainer.export.eval_requests import set_values

MEASURES: dict[str, Measure] = {
    "user_age": JENSEN_SHANNON,
    "user_gender": L_INFINITY,
    "user_zip": L_INFINITY,
    "context_device": L_INFINITY,
    "context_price": JENSEN_SHANNON,
}
DEVICES = ("phone", "desktop", "tv", "watch")


class World:
    """Users, whose features hardly change from one request to the next."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def user(self) -> dict[str, tuple[str | float, ...]]:
        zips = self.rng.zipf(1.3, 1) % 500
        return {
            "user_age": (float(self.rng.integers(16, 80)),),
            "user_gender": ("FM"[self.rng.integers(2)],) if self.rng.random() < 0.9 else (),
            "user_zip": (f"z{zips[0]}",),
        }

    def event(self, device: int) -> dict[str, tuple[str | float, ...]]:
        """A user's own device four times in five."""
        found = device if self.rng.random() < 0.8 else int(self.rng.choice(4, p=(0.6, 0.3, 0.08, 0.02)))
        return {"context_device": (DEVICES[found],), "context_price": (float(self.rng.lognormal(2)),)}

    def requests(self, users: int) -> list[tuple[str, dict[str, tuple[str | float, ...]]]]:
        """Features of requests with their users, of whom some ask many times."""
        found = []
        for number in range(users):
            user, device = self.user(), int(self.rng.choice(4, p=(0.6, 0.3, 0.08, 0.02)))
            found += [(f"u{number}", {**user, **self.event(device)}) for _ in range(1 + self.rng.geometric(0.2))]
        return found


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    folder = tmp_path_factory.mktemp("examples")
    with tf.io.TFRecordWriter(str(folder / "data.gz"), "GZIP") as writer:
        for user, features in World(0).requests(800):
            example = tf.train.Example()
            for name, values in {"user_id": (user,), **features}.items():
                coded = [value.encode() if isinstance(value, str) else value for value in values]
                set_values(example, name, coded)
            writer.write(example.SerializeToString())
    return Training("", read_references(str(folder), MEASURES))


def replay(training: Training, requests: list[tuple[str, dict[str, tuple[str | float, ...]]]]) -> Measured:
    """What is measured of these requests. (They have no items and no user id, so no vocabulary is read.)"""
    by_user: dict[str, list[Answer]] = {}
    for user, features in requests:
        by_user.setdefault(user, []).append(Answer(3, 100, "", (), {}, (), features))
    joining = Joining(60, {3: training})
    sums = add(_features(user, answers, joining) for user, answers in by_user.items())
    return measure(sums, {3: training}, ())[0]


def _features(user: str, answers: list[Answer], joining: Joining) -> Sums:
    return sums_of_user(("", user), answers, (), 0, joining)


@pytest.fixture(autouse=True)
def no_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sums", "measures"):
        monkeypatch.setattr(f"pipeline.online.{module}.known_ids", lambda graph: (frozenset(), frozenset()))


def test_ten_unshifted_replays_raise_none(training: Training) -> None:
    found = [replay(training, World(seed).requests(60)) for seed in range(1, 11)]
    assert [m.shifted for m in found] == [()] * 10
    assert all(skew.found for m in found for skew in m.skews)  # none is 0: what chance does, is judged


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("user_gender", {"F": "M"}),
        ("user_age", 15.0),
        ("context_device", {"phone": "watch"}),
        ("context_price", 20.0),
        ("user_zip", {"z1": "new"}),
    ],
)
def test_a_planted_shift_is_named_alone(training: Training, name: str, values: dict[str, str] | float) -> None:
    requests = World(11).requests(120)
    for _, features in requests:
        if isinstance(values, dict):
            features[name] = tuple(values.get(str(value), value) for value in features[name])
        else:
            features[name] = tuple(float(value) + values for value in features[name])
    found = replay(training, requests)
    assert [skew.feature for skew in found.shifted] == [name]
    if isinstance(values, dict):
        assert found.shifted[0].value in {*values, *values.values(), "(other values)"}


def test_without_the_design_effect_chance_would_be_a_shift(training: Training) -> None:
    """The test's own check: as many independent values as the requests hold do raise alarms."""
    wrong = 0
    for seed in range(1, 11):
        requests = World(seed).requests(60)
        reference = training.features["user_age"]
        counts: Counter[int] = Counter()
        for _, features in requests:
            counts.update(reference.bins.counts(features["user_age"]))
        alone = add(user_sums({index: 1}) for index, number in counts.items() for _ in range(number))  # type: ignore[misc,arg-type]
        samples = [Sample(of, len(reference.bins.names)) for of in (alone, reference.sums)]  # type: ignore[arg-type]
        samples[1].design_effect = 1.0
        wrong += p_value(*samples) < 0.001
    assert wrong >= 5


def test_distances_are_tfdvs() -> None:
    bins = make_bins(L_INFINITY, Counter({"a": 6, "b": 4}))
    assert bins.names == ("a", "b", "(other values)")
    assert bins.counts(("b", "c", "b", "a")) == {0: 1, 1: 2, 2: 1}
    ours, theirs = np.array([0.25, 0.5, 0.25]), np.array([0.6, 0.4, 0.0])
    assert distance(bins, ours, theirs) == pytest.approx(0.35)
    # of the mixture (3/4, 1/4): half the sum of .5 log2(.5 / .75) + .5 log2(.5 / .25) and log2(1 / .75)
    halves = Bins(JENSEN_SHANNON, edges=(1.0,))
    assert distance(halves, np.array([0.5, 0.5]), np.array([1.0, 0.0])) == pytest.approx(0.311278, abs=1e-6)


def test_numbers_with_ties_have_each_value_in_one_bin() -> None:
    bins = make_bins(JENSEN_SHANNON, Counter({1.0: 45, 2.0: 55}))
    assert bins.names == ("below 1", "1 to 2", "2 and more")
    assert bins.counts((1.0, 2.0, 1.5, 0.0)) == {0: 1, 1: 2, 2: 1}


def test_the_design_effect_of_users_that_repeat_themselves() -> None:
    """20 users with 5 equal values each are 20 values: the effect is 5 (19/20 of it are lost to m / (m - 1))."""
    sums = add(user_sums({number % 2: 5}) for number in range(20))  # type: ignore[misc]
    sample = Sample(sums, 2)  # type: ignore[arg-type]
    assert (sample.size, sample.users) == (100, 20)
    assert sample.shares.tolist() == [0.5, 0.5]
    assert sample.design_effect == pytest.approx(5 * 20 / 19)
