import pytest

from config import dump_config, parse_config
from config.dump import TRAINER, TRAINING
from config.training import EarlyStopping


@pytest.mark.parametrize(("epochs", "patience"), [(1, 5), (5, 5), (11, 5), (12, 6), (16, 8), (100, 50)])
def test_half_of_a_training_may_pass_without_an_improvement_but_five_epochs_at_least(epochs: int, patience: int):
    assert EarlyStopping().patience_in(epochs) == patience


def test_a_configured_patience_is_that_of_every_length():
    stopping = EarlyStopping(patience=2)
    assert [stopping.patience_in(epochs) for epochs in (1, 16, 100)] == [2, 2, 2]


def test_how_many_windows_are_asked_in_forms_is_of_the_export_and_not_of_the_epochs():
    text = "name: shop\ndata: {folder: data, interactions: {path: events.csv}}\nevaluation: {requests: 7}\n"
    config = parse_config(text)
    assert parse_config(dump_config(config, *TRAINER)).evaluation.requests == 7
    assert "requests" not in dump_config(config, *TRAINING)
