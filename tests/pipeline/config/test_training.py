import pytest

from pipeline.config.training import EarlyStopping


@pytest.mark.parametrize(("epochs", "patience"), [(1, 5), (5, 5), (11, 5), (12, 6), (16, 8), (100, 50)])
def test_half_of_a_training_may_pass_without_an_improvement_but_five_epochs_at_least(epochs: int, patience: int):
    assert EarlyStopping().patience_in(epochs) == patience


def test_a_configured_patience_is_that_of_every_length():
    stopping = EarlyStopping(patience=2)
    assert [stopping.patience_in(epochs) for epochs in (1, 16, 100)] == [2, 2, 2]
