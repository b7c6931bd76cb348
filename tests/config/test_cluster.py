import json
import re

import pytest

from config import ConfigError
from config.cluster import Cluster

TWO = {"worker": ["a:1", "b:2"]}
SERVERS = {**TWO, "chief": ["c:3"], "ps": ["d:4"]}


def environment(cluster=TWO, kind="worker", index=0):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def test_the_first_worker_is_the_chief():
    assert Cluster.of_chief(environment()) == Cluster(("a:1", "b:2"), 0)
    assert Cluster.of_worker(environment(index=1)) == Cluster(("a:1", "b:2"), 1)


def test_a_chief_of_its_own_stands_before_the_workers():
    cluster = {"worker": ["a:1", "b:2"], "chief": ["c:3"]}
    assert Cluster.of_chief(environment(cluster, "chief")) == Cluster(("c:3", "a:1", "b:2"), 0)
    assert str(Cluster.of_worker(environment(cluster, index=0))) == "worker 1 of 3 (a:1)"


@pytest.mark.parametrize(
    ("kind", "index", "name"),
    [("worker", 1, "worker 1 of 2 (b:2)"), ("ps", 0, "server 0 of 1 (d:4)")],
)
def test_servers_stand_behind_the_workers(kind, index, name):
    assert str(Cluster.of_worker(environment(SERVERS, kind, index))) == name
    assert str(Cluster.of_chief(environment(SERVERS, "chief"), "parameter_server")) == "chief 0 of 1 (c:3)"


@pytest.mark.parametrize(
    ("cluster", "kind", "strategy", "message"),
    [
        (TWO, "worker", "parameter_server", "`TF_CONFIG.cluster.ps` should name a server at least where"),
        (SERVERS, "chief", "multi_worker", "`TF_CONFIG.cluster.ps` should be left out where `training.strategy` is"),
    ],
)
def test_servers_and_the_strategy_go_together(cluster, kind, strategy, message):
    with pytest.raises(ConfigError, match=message):
        Cluster.of_chief(environment(cluster, kind), strategy)


def test_without_the_variable_servers_are_asked_for():
    with pytest.raises(ConfigError, match=r'"ps": \["host3:2222"\].* `run --workers N --servers M` start them'):
        Cluster.of_chief({}, "parameter_server")


def test_what_other_programs_read_is_passed_over():
    assert Cluster.read({"TF_CONFIG": json.dumps({"cluster": TWO, "task": {"type": "worker", "index": 1}, "job": {}})})


@pytest.mark.parametrize(
    ("found", "is_named"),
    [({}, False), (environment({"chief": ["a:1"]}, "chief"), False), (environment(), True), ({"TF_CONFIG": "{"}, True)],
)
def test_a_platform_may_name_this_process_alone(found, is_named):
    assert Cluster.is_named(found) == is_named


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`TF_CONFIG` should name the workers where `training.strategy` is `multi_worker`: {"),
        ("{", '`TF_CONFIG` should be JSON such as {"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task"'),
        ('{"cluster": {"worker": ["a:1", "b:2"]}}', "`TF_CONFIG.task` is required and missing"),
        (environment(index=2), "`TF_CONFIG.task.index` should be below 2, the number of addresses of `worker`"),
        (environment(kind="chief"), "`TF_CONFIG.task.index` should be below 0, the number of addresses of `chief`"),
        (environment(index=-1), "`TF_CONFIG.task.index` should be greater than or equal to 0. Received: -1"),
        (environment(kind="tpu"), "`TF_CONFIG.task.type` should be 'chief', 'worker' or 'ps'. Received: 'tpu'"),
        (
            environment({**TWO, "tpu": ["c:3"]}),
            "`TF_CONFIG.cluster.tpu` should be left out: `chief`, `worker` and `ps`",
        ),
        (environment({**TWO, "ps": ["c:3"]}), "`TF_CONFIG.cluster` should name a `chief` and a `worker` at least"),
        (environment({"worker": ["a:1"]}), "`TF_CONFIG.cluster` should name two workers at least. Received: 1"),
        (environment({"worker": ["a:1", "a:1"]}), "`TF_CONFIG.cluster` should name each address once. Received: a:1,"),
        (environment({"worker": ["a:1", "b"]}), "`TF_CONFIG.cluster.worker[1]` should be host:port. Received: 'b'"),
        (environment({"worker": "a:1"}), "`TF_CONFIG.cluster.worker` should be a valid array. Received: 'a:1'"),
    ],
)
def test_a_variable_that_cannot_be_used_says_what_it_should_be(text, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        Cluster.read(text if isinstance(text, dict) else {"TF_CONFIG": text})


def test_without_the_variable():
    with pytest.raises(ConfigError, match="Received: nothing"):
        Cluster.read({})


def test_the_pipeline_runs_on_the_chief():
    with pytest.raises(ConfigError, match=r"should be the chief's \(a:1\) where the pipeline .* worker 1 of 2 \(b:2\)"):
        Cluster.of_chief(environment(index=1))


def test_the_chief_is_no_other_worker():
    with pytest.raises(ConfigError, match=r"should not be the chief's, .* Received: worker 0 of 2 \(a:1\)"):
        Cluster.of_worker(environment())
