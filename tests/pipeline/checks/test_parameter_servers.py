import pytest

from config import Config
from pipeline.checks.parameter_servers import check_parameter_servers
from tests.trainer.small import small_config

UNORDERED = "should be left out with `parameter_server`, whose workers do not wait for each other"


def config(training=None, negatives="mixed", **changes) -> Config:
    tasks = {"retrieval": {"kind": "retrieval", "negatives": negatives}}
    training = {"strategy": "parameter_server", **(training or {})}
    return small_config(tasks=tasks, training=training, **changes)


@pytest.mark.parametrize("negatives", ["in_batch", "uniform", "frequency", "mixed"])
def test_sampled_negatives_can_be_trained(negatives):
    assert list(check_parameter_servers(config(negatives=negatives))) == []


@pytest.mark.parametrize("negatives", ["auto", "full", "hard"])
def test_negatives_that_read_whole_tables_are_refused(negatives):
    ((location, message),) = check_parameter_servers(config(negatives=negatives))
    assert location == ("tasks", "retrieval", "negatives")
    allowed = "should be `in_batch`, `uniform`, `frequency` or `mixed` with `parameter_server`: no step reads a whole"
    assert message == f"{allowed} table. Received: {negatives!r}"


@pytest.mark.parametrize(
    ("changes", "location"),
    [
        ({"training": {"averaging": {}}}, ("training", "averaging")),
        ({"training": {"pruning": {}}}, ("training", "pruning")),
        ({"training": {"warm_start": {}}}, ("training", "warm_start")),
        ({"training": {"distillation": {"teacher": "/t"}}}, ("training", "distillation")),
        ({"training": {"precision": "mixed_bfloat16"}}, ("training", "precision")),
        ({"model": {"batch_norm": True, "query_layers": [8]}}, ("model", "batch_norm")),
        ({"model": {"generator": {}, "id_dropout": 0.1}}, ("model", "generator")),
    ],
)
def test_what_needs_one_step_after_the_other_is_refused(changes, location):
    assert list(check_parameter_servers(config(**changes))) == [(location, UNORDERED)]


@pytest.mark.parametrize("method", ["gradnorm", "pcgrad", "dwa"])
def test_balancing_by_all_steps_is_refused(method):
    ((location, message),) = check_parameter_servers(config({"balancing": method}))
    assert location == ("training", "balancing")
    assert message == f"should be `fixed` or `uncertainty` with `parameter_server`. Received: {method!r}"


def test_other_strategies_train_all_of_it():
    assert list(check_parameter_servers(config({"strategy": "one_device", "averaging": {}}, "full"))) == []
