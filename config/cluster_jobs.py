"""The job on a cluster in which the Trainer trains with several workers."""

from typing import Annotated, Literal

from pydantic import Field

from config.base import Section

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]
"""Kubernetes' notation of an amount: `500m` of a core, `4Gi` of memory."""
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
"""The name of an object of Kubernetes."""


class StorageConfig(Section):
    """A volume that all pods mount at the same path."""

    claim: ObjectName = "recommender"
    """The name of the PersistentVolumeClaim."""
    path: str = Field(default="/recommender", pattern=r"^/[^:]*[^:/]$")
    """Where it is mounted. Local paths of this file have to be below it; relative ones are, in the pods that `deploy`
    renders, since they start there."""


class ResourcesConfig(Section):
    """What a container asks for."""

    cpu: Quantity = "2"
    """The cores that are reserved. More are used where they are free."""
    memory: Quantity = "4Gi"
    """The memory that is reserved, which is also its limit."""
    gpus: int = Field(default=0, ge=0)
    """The number of GPUs (`nvidia.com/gpu`)."""


class _Job(Section):
    image: str = Field(min_length=1)
    """The container image with this project: the same code as that of the step that submits the job."""
    workers: int = Field(default=2, ge=2)
    """The number of workers, the chief among them."""
    start_minutes: float = Field(default=30, gt=0)
    """How long the workers may take to start, as where images are pulled or nodes are added, before the job is deleted
    and the step fails."""


class _KubernetesJob(_Job):
    namespace: ObjectName | None = None
    """The namespace. Defaults to that of the submitting pod, or to that of the kubeconfig's context."""
    storage: StorageConfig | None = None
    """The volume with the pipeline's folder. Needed where `pipeline.root` is no URI."""
    resources: ResourcesConfig = ResourcesConfig()
    """Of each worker."""
    env_secret: ObjectName | None = None
    """A Secret whose keys become environment variables, such as the credentials of an object store."""
    port: int = Field(default=2222, ge=1, le=65535)
    """The port on which workers talk to each other."""


class TrainJobConfig(_KubernetesJob):
    """A TrainJob of Kubeflow Trainer v2 with a plain runtime. `TF_CONFIG` follows from the pods' index and names."""

    kind: Literal["train_job"]
    """The kind."""
    runtime: ObjectName = "tfx-recommender"
    """The TrainingRuntime in the job's namespace, with storage and secrets; `deploy` renders it."""


class TfJobConfig(_KubernetesJob):
    """A TFJob of Kubeflow's training operator v1, which Kubeflow Trainer v2 deprecates."""

    kind: Literal["tf_job"]
    """The kind."""


class CustomJobConfig(_Job):
    """A CustomJob of Vertex AI with two worker pools, the chief's and the others'."""

    kind: Literal["custom_job"]
    """The kind."""
    project: str = Field(min_length=1)
    """The Google Cloud project."""
    region: str = Field(pattern=r"^[a-z0-9-]+$")
    """The region, such as `europe-west4`."""
    machine: str = "n1-standard-8"
    """The machine type of each worker."""
    accelerator: str | None = Field(default=None, pattern=r"^[A-Z0-9_]+$")
    """The type of each worker's accelerators, such as `NVIDIA_TESLA_T4`."""
    accelerators: int = Field(default=1, ge=1)
    """Their number, where there is a type."""
    service_account: str | None = None
    """The service account of the workers. Defaults to Vertex AI's own."""
    max_hours: float = Field(default=24, gt=0)
    """The job is cancelled after so many hours."""


KubernetesJobConfig = TrainJobConfig | TfJobConfig
AnyJob = Annotated[TrainJobConfig | TfJobConfig | CustomJobConfig, Field(discriminator="kind")]
