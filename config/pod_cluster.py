"""The `TF_CONFIG` of a pod of an indexed job, which no controller sets: from its index and all pods' host names."""

import json
from collections.abc import MutableMapping
from typing import Final

from config.cluster import VARIABLE
from config.load import ConfigError

HOSTS: Final = "CLUSTER_HOSTS"
"""The environment variable with the addresses of all workers, `host:port` with commas between, the chief's first."""
INDEX: Final = "JOB_COMPLETION_INDEX"
"""The environment variable with this pod's index, which Kubernetes sets in the pods of an indexed job."""


def complete_tf_config(environment: MutableMapping[str, str]) -> None:
    """Sets `TF_CONFIG` in the pods of an indexed job; elsewhere, and where it is set, it changes nothing.

    Raises:
        ConfigError: The index is missing, or is no index of the addresses.
    """
    if VARIABLE in environment or not (hosts := environment.get(HOSTS, "")):
        return
    addresses, text = hosts.split(","), environment.get(INDEX, "")
    if not text.isdigit() or int(text) >= len(addresses):
        allowed = f"should be an index of `{HOSTS}`, which names {len(addresses)} workers"
        raise ConfigError(f"the environment variable `{INDEX}` {allowed}. Received: {text!r}")
    task = {"type": "worker", "index": int(text)}
    environment[VARIABLE] = json.dumps({"cluster": {"worker": addresses}, "task": task})
