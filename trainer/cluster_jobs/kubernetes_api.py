"""The client of Kubernetes' API: which cluster and namespace, and which errors may pass."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kubernetes import client, config
from urllib3.exceptions import HTTPError

from trainer.cluster_jobs.waiting import ClusterJobError, SilentApiError

TIMEOUT: Final = (10, 60)
"""Seconds to connect, and to wait for an answer."""
NOT_FOUND: Final = 404
CONFLICT: Final = 409
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
_DEFAULT_NAMESPACE: Final = "default"
_KUBECONFIG: Final = "~/.kube/config"
_OWN_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Kubernetes:
    """A cluster and a namespace.

    Attributes:
        objects: The API of custom objects.
        core: The API of pods.
        namespace: The namespace.
    """

    objects: client.CustomObjectsApi
    core: client.CoreV1Api
    namespace: str

    @classmethod
    def connect(cls, namespace: str | None) -> "Kubernetes":
        """Returns the cluster that this pod runs in, or else that of the kubeconfig's current context.

        Args:
            namespace: The namespace; None: that of the pod or of the context.

        Raises:
            ClusterJobError: There is neither.
        """
        settings = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=settings)
            own = _OWN_NAMESPACE.read_text().strip() if _OWN_NAMESPACE.exists() else None
        except config.ConfigException:
            own = _from_kubeconfig(settings)
        api = client.ApiClient(settings)
        return cls(client.CustomObjectsApi(api), client.CoreV1Api(api), namespace or own or _DEFAULT_NAMESPACE)


def _from_kubeconfig(settings: Any) -> str | None:
    """Reads the kubeconfig and returns the namespace of its current context."""
    file = os.environ.get("KUBECONFIG", _KUBECONFIG)  # kubernetes.config has read it when it was imported
    try:
        config.load_kube_config(file, client_configuration=settings)
        _, context = config.list_kube_config_contexts(file)
    except (config.ConfigException, OSError) as error:
        raise ClusterJobError(
            "a cluster is needed: run this in one of its pods, or let KUBECONFIG name a file with a current context."
            f" Received: {error}"
        ) from error
    namespace = context["context"].get("namespace")
    return None if namespace is None else str(namespace)


def may_pass(error: client.ApiException) -> bool:
    """Returns whether the same request may succeed later."""
    return error.status is None or error.status in (0, _TOO_MANY) or error.status >= _SERVER_ERROR


@contextmanager
def transient_errors() -> Iterator[None]:
    """Turns errors that may pass into `SilentApiError`."""
    try:
        yield
    except HTTPError as error:
        raise SilentApiError(str(error)) from error
    except client.ApiException as error:
        if may_pass(error):
            raise SilentApiError(f"{error.status} {error.reason}") from error
        raise
