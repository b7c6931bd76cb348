import pytest

from config import ConfigError
from config.cluster import Cluster
from config.pod_cluster import complete_tf_config

HOSTS = {"CLUSTER_HOSTS": "shop-node-0-0.shop:2222,shop-node-0-1.shop:2222"}


def test_a_pod_of_an_indexed_job_finds_its_place():
    environment = HOSTS | {"JOB_COMPLETION_INDEX": "1"}
    complete_tf_config(environment)
    assert Cluster.read(environment) == Cluster(("shop-node-0-0.shop:2222", "shop-node-0-1.shop:2222"), 1)


@pytest.mark.parametrize("environment", [{}, HOSTS | {"TF_CONFIG": "set by a controller"}])
def test_elsewhere_nothing_changes(environment):
    before = dict(environment)
    complete_tf_config(environment)
    assert environment == before


@pytest.mark.parametrize("index", [{}, {"JOB_COMPLETION_INDEX": "2"}, {"JOB_COMPLETION_INDEX": "x"}])
def test_an_index_that_cannot_be_is_refused(index):
    found = index.get("JOB_COMPLETION_INDEX", "")
    with pytest.raises(ConfigError, match=rf"should be an index of `CLUSTER_HOSTS`, .* 2 workers. Received: '{found}'"):
        complete_tf_config(HOSTS | index)
