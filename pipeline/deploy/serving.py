"""TensorFlow Serving on Kubernetes: Deployment, Service, autoscaling, disruption budget and its files."""

import hashlib
import math
from typing import Any, Final

from config import Config, paths
from config.deploy import BatchingConfig
from pipeline.deploy.places import in_pod, labels, metadata, object_name, serves_from_storage
from trainer.cluster_jobs.pods import own_container, own_pod, resources

PART: Final = "serving"
_GRPC_PORT: Final = 8500
_REST_PORT: Final = 8501
_CONFIGURATION: Final = "configuration"
_CONFIGURATION_PATH: Final = "/etc/serving"
_MODELS, _BATCHING, _MONITORING = "models.config", "batching.config", "monitoring.config"
_METRICS_PATH: Final = "/monitoring/prometheus/metrics"
_VERSION_POLL_SECONDS: Final = 30
_PROBE_SECONDS: Final = 10
_DRAIN_SECONDS: Final = 10
_GRPC_THREADS: Final = 256
"""Batching can join only calls that have a thread."""

Manifest = dict[str, Any]


def serving_manifests(config: Config) -> list[Manifest]:
    """Returns all objects of the model servers."""
    files = _files(config)
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(config, PART), "data": files},
        _deployment(config, files),
        _service(config),
        _autoscaler(config),
        _disruption_budget(config),
    ]


def _files(config: Config) -> dict[str, str]:
    """Returns TensorFlow Serving's configuration files, protocol buffers in text form, by name."""
    name, folder = config.serving.model_name, in_pod(config, paths.serving(config))
    models = f'model_config_list {{\n  config {{\n    name: "{name}"\n    base_path: "{folder}"\n'
    files = {
        _MODELS: f'{models}    model_platform: "tensorflow"\n  }}\n}}\n',
        _MONITORING: f'prometheus_config {{ enable: true, path: "{_METRICS_PATH}" }}\n',
    }
    batching = config.deploy.serving.batching
    return files if batching is None else files | {_BATCHING: _batching(batching, config)}


def _batching(batching: BatchingConfig, config: Config) -> str:
    numbers = {
        "max_batch_size": batching.max_batch_size,
        "batch_timeout_micros": batching.timeout_micros,
        "max_enqueued_batches": batching.max_enqueued_batches,
        "num_batch_threads": max(1, math.ceil(cores(config.deploy.serving.resources.cpu))),
    }
    return "".join(f"{name} {{ value: {number} }}\n" for name, number in numbers.items())


def cores(cpu: str) -> float:
    """Returns an amount of cores in Kubernetes' notation as a number: 0.5 for `500m`."""
    return float(cpu.removesuffix("m")) / 1000 if cpu.endswith("m") else float(cpu)


def _deployment(config: Config, files: dict[str, str]) -> Manifest:
    own = labels(config, PART)
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]
    annotations = {
        "checksum/configuration": digest,  # a changed file replaces the pods
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(_REST_PORT),
        "prometheus.io/path": _METRICS_PATH,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(config, PART),
        "spec": {
            # No `replicas`: the autoscaler sets them, and applying this again would undo it.
            "selector": {"matchLabels": own},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": math.ceil(config.deploy.serving.load_minutes * 60) * 2,
            "template": {"metadata": {"labels": own, "annotations": annotations}, "spec": _pod(config)},
        },
    }


def _pod(config: Config) -> Manifest:
    storage = config.deploy.storage if serves_from_storage(config) else None
    pod = own_pod(storage, is_read_only=True)
    volume = {"name": _CONFIGURATION, "configMap": {"name": object_name(config, PART)}}
    spread = {
        "maxSkew": 1,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels(config, PART)},
    }
    return {
        **pod,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 3 * _DRAIN_SECONDS,
        "topologySpreadConstraints": [
            {**spread, "topologyKey": "topology.kubernetes.io/zone"},
            {**spread, "topologyKey": "kubernetes.io/hostname"},
        ],
        "containers": [_container(config)],
        "volumes": [*pod["volumes"], volume],
    }


def _container(config: Config) -> Manifest:
    settings = config.deploy.serving
    storage = config.deploy.storage if serves_from_storage(config) else None
    own = own_container(storage, config.deploy.env_secret)
    mounts = [
        *({**mount, **({"readOnly": True} if mount["name"] == "storage" else {})} for mount in own["volumeMounts"]),
        {"name": _CONFIGURATION, "mountPath": _CONFIGURATION_PATH, "readOnly": True},
    ]
    flags = {
        "port": _GRPC_PORT,
        "rest_api_port": _REST_PORT,
        "model_config_file": f"{_CONFIGURATION_PATH}/{_MODELS}",
        "monitoring_config_file": f"{_CONFIGURATION_PATH}/{_MONITORING}",
        "file_system_poll_wait_seconds": _VERSION_POLL_SECONDS,
        "grpc_max_threads": _GRPC_THREADS,
    }
    if settings.batching is not None:
        flags |= {"enable_batching": "true", "batching_parameters_file": f"{_CONFIGURATION_PATH}/{_BATCHING}"}
    # The metadata of a model need a loaded version; ports are open earlier, and stay open when it goes.
    loaded = {"httpGet": {"path": f"/v1/models/{config.serving.model_name}/metadata", "port": "rest"}}
    probe = {"periodSeconds": _PROBE_SECONDS, "timeoutSeconds": 5}
    return {
        **own,
        "name": "tensorflow-serving",
        "image": settings.image,
        "command": ["/usr/bin/tensorflow_model_server"],
        "args": [f"--{name}={value}" for name, value in flags.items()],
        "ports": [
            {"name": "grpc", "containerPort": _GRPC_PORT},
            {"name": "rest", "containerPort": _REST_PORT},
        ],
        "resources": resources(settings.resources),
        "startupProbe": {**loaded, **probe, "failureThreshold": math.ceil(settings.load_minutes * 60 / _PROBE_SECONDS)},
        "readinessProbe": {**loaded, **probe, "failureThreshold": 2},
        "livenessProbe": {"tcpSocket": {"port": "grpc"}, **probe, "failureThreshold": 3},
        # Endpoints forget the pod before the server ends, so that no call is sent to it that it would not answer.
        "lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN_SECONDS}}},
        "volumeMounts": mounts,
    }


def _service(config: Config) -> Manifest:
    ports = [
        {"name": "grpc", "port": _GRPC_PORT, "targetPort": "grpc", "appProtocol": "kubernetes.io/h2c"},
        {"name": "rest", "port": _REST_PORT, "targetPort": "rest", "appProtocol": "http"},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(config, PART),
        "spec": {"selector": labels(config, PART), "ports": ports},
    }


def _autoscaler(config: Config) -> Manifest:
    settings = config.deploy.serving
    target = {"type": "Utilization", "averageUtilization": settings.cpu_percent}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(config, PART),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": object_name(config, PART)},
            "minReplicas": settings.replicas,
            "maxReplicas": settings.max_replicas,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            # Warming up a model takes cores for a while, which is no load.
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        },
    }


def _disruption_budget(config: Config) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(config, PART),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels(config, PART)}},
    }
