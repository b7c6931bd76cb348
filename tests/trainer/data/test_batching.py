from itertools import pairwise

import numpy as np
import pytest

from config.training import TrainingConfig
from trainer.data.batching import BatchPlan, DataSummary, plan_batches

LONGEST = 100


def summary(windows_of_length, targets=None):
    """Windows by their length; every event is a target where nothing else is said."""
    windows, of_length = np.zeros([2, LONGEST + 1], np.int64)
    for length, count in windows_of_length.items():
        windows[length] = count
        of_length[length] = length * count if targets is None else targets
    return DataSummary(windows, of_length, {})


def plan(windows_of_length, targets=None, replicas=1, **training):
    return plan_batches(TrainingConfig(**training), summary(windows_of_length, targets), replicas)


@pytest.mark.parametrize(
    ("windows", "targets", "size"),
    [
        (2_000, 100_000, 16),  # 50 events a window: 800 are in 16
        (20_000, 200_000, 80),  # 10 events a window: 800 are in 80
        (200_000, 210_000, 761),
        (1_000_000, 500_000, 1_024),  # windows without a target count, too
        (3_000, 30_000, 30),  # 80 would leave fewer than a hundred batches
        (500, 5_000, 16),
        (0, 0, 16),
    ],
)
def test_a_batch_holds_about_800_targets(windows, targets, size):
    assert plan({50: windows}, targets) == BatchPlan((), (size,), -(-windows // size), windows)


def test_windows_of_like_length_are_a_group_with_batches_of_its_own():
    found = plan({2: 10_000, 3: 10_000, 6: 9_000, 100: 1_000})
    assert found.bounds == (4, 8)
    assert found.sizes == (320, 133, 16)  # 800 / 2.5, 800 / 6, no fewer than 16
    assert found.steps == 63 + 68 + 63


def test_a_group_that_would_not_fill_a_batch_is_joined_to_its_neighbours():
    assert plan({2: 50, 6: 9_000, 100: 1_000}).bounds == (8,)
    assert plan({2: 50, 6: 9_000, 100: 3}).bounds == ()


def test_replicas_share_a_batch_evenly():
    assert plan({10: 20_000}, 200_000, replicas=3).sizes == (81,)


def test_what_is_configured_is_taken_as_it_is():
    assert plan({2: 10_000, 100: 1_000}, replicas=3, batch_size=7) == BatchPlan((), (7,), 1572, 11_000)


def test_every_length_is_in_one_group():
    rng = np.random.default_rng(0)
    found = plan({length: int(rng.integers(0, 500)) for length in range(LONGEST + 1)})
    assert all(shorter < longer for shorter, longer in pairwise(found.bounds))
    assert len(found.sizes) == len(found.bounds) + 1


@pytest.mark.parametrize(("steps", "epochs"), [(0, 16), (120, 16), (666, 16), (1_000, 10), (1_045, 10), (9_000, 5)])
def test_a_large_log_is_read_fewer_times(steps, epochs):
    assert BatchPlan.mixed(16, windows=16 * steps).epochs == epochs
