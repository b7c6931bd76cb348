import pytest

from pipeline.config.training import TrainingConfig
from trainer.batch_size import choose_batch_size
from trainer.data import DataSummary


@pytest.mark.parametrize(
    ("windows", "targets", "size"),
    [
        (2_000, 100_000, 16),  # 50 events a window: 800 are in 16
        (20_000, 200_000, 80),  # 10 events a window: 800 are in 80
        (200_000, 210_000, 761),
        (200_000, 200_000, 800),
        (1_000_000, 500_000, 1_024),  # windows without a target count, too
        (3_000, 30_000, 30),  # 80 would leave fewer than a hundred batches
        (500, 5_000, 16),
        (1_000, 100_000, 16),
        (0, 0, 16),
    ],
)
def test_a_batch_holds_about_800_targets(windows, targets, size):
    summary = DataSummary(windows, targets, {})
    assert choose_batch_size(TrainingConfig(), summary, replicas=1) == size


def test_replicas_share_a_batch_evenly():
    assert choose_batch_size(TrainingConfig(), DataSummary(20_000, 200_000, {}), replicas=3) == 81


def test_what_is_configured_is_taken_as_it_is():
    assert choose_batch_size(TrainingConfig(batch_size=7), DataSummary(20_000, 200_000, {}), replicas=3) == 7
