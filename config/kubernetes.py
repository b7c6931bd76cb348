"""What the pods of a compiled pipeline get from Kubernetes: cores, memory, accelerators, nodes, secrets, volumes."""

import re
from typing import Final, Literal

from pydantic import Field, model_validator

from config.base import Section

ComponentName = Literal[
    "IngestDriver",
    "InteractionExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "ReferenceDriver",
    "ReferenceStatistics",
    "DriftValidator",
    "SkewValidator",
    "AnomalyGate",
    "Transform",
    "Tuner",
    "Trainer",
    "BaselineDriver",
    "BaselineModel",
    "Evaluator",
    "InfraValidator",
    "Pusher",
    "EmbeddingExporter",
]
_MEMORY: Final = re.compile(r"(\d+(?:\.\d+)?)(K|M|G|T|Ki|Mi|Gi|Ti)")
_UNITS: Final = {
    **{unit: 1000.0**power for power, unit in enumerate("KMGT", 1)},
    **{f"{unit}i": 1024.0**power for power, unit in enumerate("KMGT", 1)},
}
_NAME: Final = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
"""Of an object in Kubernetes."""
_VARIABLE: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"


class Accelerator(Section):
    """Accelerators of a pod."""

    type: str = Field(min_length=1)
    """The resource's name: `nvidia.com/gpu` in Kubernetes, such as `NVIDIA_L4` on Vertex AI."""
    count: int = Field(default=1, gt=0)
    """The number."""


class SecretVariable(Section):
    """An environment variable with a value from a secret."""

    env: str = Field(pattern=_VARIABLE)
    """The variable's name."""
    secret: str = Field(pattern=_NAME)
    """The secret's name."""
    key: str = Field(min_length=1)
    """The key in the secret."""


class Volume(Section):
    """A persistent volume claim that pods mount."""

    claim: str = Field(pattern=_NAME)
    """The claim's name. Several pods mount it, some at the same time: `ReadWriteMany`, or one node."""
    path: str = Field(pattern=r"^/[^/]")
    """The folder in the pods."""

    def holds(self, path: str) -> bool:
        """Returns whether an absolute path is in the volume."""
        folder = self.path.rstrip("/")
        return path == folder or path.startswith(f"{folder}/")


class PodConfig(Section):
    """One component's pod."""

    cpu: float | None = Field(default=None, gt=0)
    """The number of cores."""
    memory: str | None = Field(default=None, pattern=rf"^{_MEMORY.pattern}$")
    """The memory, such as `8Gi`: a pod that needs more is killed."""
    accelerator: Accelerator | None = None
    """Defaults to none."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that a node should have."""
    secrets: tuple[SecretVariable, ...] = ()
    """Environment variables from secrets."""
    retries: int | None = Field(default=None, ge=0)
    """How many times a component that failed is started again. Defaults to the cluster's rule."""
    retry_seconds: float = Field(default=60.0, ge=0)
    """The pause before it is, doubled each time."""

    @property
    def memory_gigabytes(self) -> float | None:
        """The memory in units of 10^9 bytes."""
        found = _MEMORY.fullmatch(self.memory or "")
        return None if found is None else float(found[1]) * _UNITS[found[2]] / 1e9


class KubernetesConfig(PodConfig):
    """The pods of a pipeline that `compile` writes. The keys beside `components` are for every component."""

    volumes: tuple[Volume, ...] = ()
    """The volumes of all pods: folders that are not on an object store have to be in one of them."""
    components: dict[ComponentName, PodConfig] = Field(default_factory=dict)
    """By component: the keys that differ from those for every component."""

    def of(self, component: str) -> PodConfig:
        """Returns a component's pod: the keys of its own, and of the others those for every component."""
        common = {key: getattr(self, key) for key in PodConfig.model_fields}
        own = next((pod for name, pod in self.components.items() if name == component), PodConfig())
        return PodConfig.model_validate(common | {key: getattr(own, key) for key in own.model_fields_set})

    @model_validator(mode="after")
    def _paths_differ(self) -> "KubernetesConfig":
        paths = [volume.path.rstrip("/") for volume in self.volumes]
        if repeated := sorted({path for path in paths if paths.count(path) > 1}):
            raise ValueError(f"`volumes` should have different paths. Received twice: {', '.join(repeated)}")
        return self
