import math
from pathlib import Path

import pytest
import tensorflow as tf

from trainer.training.checkpoints import TrainingState

DAMAGES = {
    "cut": lambda data: data[: len(data) // 2],
    "one byte short": lambda data: data[:-1],
    "empty": lambda data: b"",
    "garbage": lambda data: b"\xff" * len(data),
    "one bit": lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
}


class Weights(tf.Module):
    """Stands for a model, or an optimizer."""

    def __init__(self) -> None:
        super().__init__()
        self.value = tf.Variable(tf.zeros([50]))

    def set(self, value: float) -> None:
        self.value.assign(tf.fill([50], float(value)))

    def get(self) -> float:
        return float(self.value[0])


class Training:
    """A state whose weights are the number of the epoch, and 100 more in the optimizer."""

    def __init__(self, folder: Path) -> None:
        self.model, self.optimizer = Weights(), Weights()
        self.state = TrainingState(str(folder), self.model, self.optimizer, {})  # type: ignore[arg-type]

    def train(self, epochs: int, best: tuple[int, ...] = ()) -> None:
        """Saves after each epoch, before that as the best in some, with a tenth of the epoch as the metric."""
        for epoch in range(1, epochs + 1):
            self.model.set(epoch)
            self.optimizer.set(100 + epoch)
            self.state.epoch.assign(epoch)
            if epoch in best:
                self.state.save_best(epoch / 10)
            self.state.save(epoch)

    def values(self) -> tuple[float, float, int]:
        return self.model.get(), self.optimizer.get(), int(self.state.epoch)


def damage(file: Path, how: str) -> None:
    file.write_bytes(DAMAGES[how](file.read_bytes()))


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("kind", ["index", "data-00000-of-00001"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, how, kind):
    Training(tmp_path).train(4)
    file = tmp_path / "last" / f"last-4.{kind}"
    damage(file, how)
    resumed = Training(tmp_path)
    assert resumed.state.restore()
    assert resumed.values() == (3, 103, 3)
    (warning,) = resumed.state.warnings
    assert f"the checkpoint {file} is damaged" in warning
    assert "it was passed over, nothing has to be done" in warning


def test_other_files_beside_checkpoints_are_ignored(tmp_path):
    Training(tmp_path).train(3)
    (tmp_path / "last" / "checkpoint").write_bytes(b"\xff\x00 model_checkpoint_path")
    (tmp_path / "last" / "last-9_temp").mkdir()
    resumed = Training(tmp_path)
    assert resumed.state.restore()
    assert resumed.values() == (3, 103, 3)
    assert resumed.state.warnings == []


def test_without_a_whole_checkpoint_training_begins_anew_and_says_so(tmp_path):
    Training(tmp_path).train(3)
    for file in (tmp_path / "last").glob("*.data-*"):
        damage(file, "cut")
    resumed = Training(tmp_path)
    assert not resumed.state.restore()
    assert resumed.values() == (0, 0, 0)
    assert resumed.state.warnings[-1] == f"no checkpoint in {tmp_path}/last is whole: training began anew"
    assert len(resumed.state.warnings) == 3
    fresh = Training(tmp_path / "other")
    assert not fresh.state.restore()
    assert fresh.state.warnings == []


def test_two_checkpoints_are_kept(tmp_path):
    training = Training(tmp_path)
    training.train(5, best=(1, 2, 4))
    assert {path.name for path in (tmp_path / "last").glob("*.index")} == {"last-4.index", "last-5.index"}
    assert {path.name for path in (tmp_path / "best").glob("*.index")} == {"best-2.index", "best-4.index"}
    training.state.restore_best()
    assert (training.model.get(), training.optimizer.get()) == (4, 105)


@pytest.mark.parametrize(("broken", "best", "best_epoch"), [((3,), 0.2, 2), ((2, 3), math.nan, 0)])
def test_without_the_best_weights_those_of_an_earlier_epoch_count(tmp_path, broken, best, best_epoch):
    Training(tmp_path).train(4, best=(2, 3))
    for epoch in broken:
        damage(tmp_path / "best" / f"best-{epoch}.index", "cut")
    resumed = Training(tmp_path)
    assert resumed.state.restore()
    assert resumed.values() == (4, 104, 4)
    assert resumed.state.has_lost_best
    assert float(resumed.state.best) == pytest.approx(best, nan_ok=True)
    assert int(resumed.state.best_epoch) == best_epoch
    assert f"{tmp_path}/best/best-3.index is damaged" in resumed.state.warnings[0]
    resumed.state.restore_best()
    assert resumed.model.get() == (best_epoch or 4)


def test_the_best_of_epochs_that_are_trained_again_does_not_count(tmp_path):
    Training(tmp_path).train(4, best=(2, 4))
    damage(tmp_path / "last" / "last-4.index", "empty")
    resumed = Training(tmp_path)
    assert resumed.state.restore()
    assert (int(resumed.state.epoch), int(resumed.state.best_epoch)) == (3, 2)
    assert not resumed.state.has_lost_best
    resumed.state.restore_best()
    assert (resumed.model.get(), float(resumed.state.best)) == (2, 0.2)
