import re

import pytest

from config import ConfigError
from config.local_cluster import LocalCluster

WORKERS = {"worker": 3}


def test_the_first_worker_is_the_chief_and_the_others_are_started():
    cluster = LocalCluster.of_options("multi_worker", WORKERS, {})
    assert cluster is not None
    assert (cluster.chief, cluster.others) == (("worker", 0), [("worker", 1), ("worker", 2)])


def test_a_chief_of_its_own_is_no_worker():
    cluster = LocalCluster({"chief": 1, "worker": 2, "ps": 1})
    assert (cluster.chief, cluster.others) == (("chief", 0), [("worker", 0), ("worker", 1), ("ps", 0)])


def test_it_reaches_the_trainer_by_the_environment_and_ends_with_the_block():
    environment: dict[str, str] = {}
    with LocalCluster(WORKERS).announced(environment):
        assert LocalCluster.read(environment) == LocalCluster(WORKERS)
    assert environment == {}
    assert LocalCluster.read(environment) is None


def test_servers_have_a_chief_that_trains_nothing_itself():
    cluster = LocalCluster.of_options("parameter_server", {"worker": 1, "ps": 2}, {})
    assert cluster == LocalCluster({"chief": 1, "worker": 1, "ps": 2})


@pytest.mark.parametrize("strategy", ["one_device", "multi_worker"])
def test_without_options_nothing_is_started(strategy):
    assert LocalCluster.of_options(strategy, {"worker": None}, {"TF_CONFIG": "{}"}) is None


@pytest.mark.parametrize(
    ("strategy", "counts", "environment", "message"),
    [
        (
            "mirrored",
            {"worker": 2},
            {},
            "`--workers` should be left out, or `training.strategy` be `multi_worker` or `parameter_server`."
            " Received: --workers 2, and the strategy 'mirrored'",
        ),
        (
            "multi_worker",
            {"worker": 2, "ps": 1},
            {},
            "`--servers` should be left out, or `training.strategy` be `parameter_server`. Received: --servers 1",
        ),
        ("multi_worker", {"worker": 1}, {}, "`--workers` should be at least 2 with the strategy `multi_worker`."),
        (
            "parameter_server",
            {"worker": 2, "ps": None},
            {},
            "`--servers` should be at least 1 with the strategy `parameter_server`. Received: nothing",
        ),
        (
            "multi_worker",
            {"worker": 2},
            {"TF_CONFIG": "{}"},
            "`TF_CONFIG` should not be set with `--workers`: either it names",
        ),
    ],
)
def test_options_that_do_not_fit_say_what_would(strategy, counts, environment, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        LocalCluster.of_options(strategy, counts, environment)
