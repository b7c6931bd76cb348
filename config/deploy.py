"""What `tfx_runner.py deploy` renders: the image, the model servers, the daily run, the training jobs."""

from typing import Literal, Self

from pydantic import Field, model_validator

from config.base import Section
from config.cluster_jobs import ObjectName, Quantity, ResourcesConfig, StorageConfig


class DeployedStorageConfig(StorageConfig):
    """The PersistentVolumeClaim with the tables, the pipeline's folder and the pushed models."""

    size: Quantity = "50Gi"
    """What is requested."""
    access: Literal["ReadWriteMany", "ReadWriteOnce"] = "ReadWriteMany"
    """`ReadWriteOnce` where one node holds all pods, as on kind."""
    storage_class: ObjectName | None = None
    """The StorageClass. Defaults to the cluster's own."""


class BatchingConfig(Section):
    """TensorFlow Serving joins concurrent calls into one batch."""

    max_batch_size: int = Field(default=64, ge=1)
    """The maximum number of rows; at most `serving.max_rows`."""
    timeout_micros: int = Field(default=1000, ge=0)
    """How long a call waits for others, in microseconds."""
    max_enqueued_batches: int = Field(default=100, ge=1)
    """How many batches may wait; calls beyond are refused (UNAVAILABLE)."""


class DeployedServingConfig(Section):
    """The Deployment of TensorFlow Serving, and what scales and protects it."""

    image: str = "tensorflow/serving:2.21.0"
    """TensorFlow Serving's image."""
    replicas: int = Field(default=2, ge=1)
    """The minimum number of pods."""
    max_replicas: int = Field(default=6, ge=1)
    """The maximum number of pods."""
    cpu_percent: int = Field(default=70, ge=1, le=100)
    """The share of the reserved cores above which pods are added."""
    resources: ResourcesConfig = ResourcesConfig()
    """Of each pod. Memory holds two versions of the model while a new one is loaded."""
    batching: BatchingConfig | None = BatchingConfig()
    """`null`: every call by itself, which callers of the signatures of plain tensors need: TensorFlow Serving cannot
    join calls whose histories differ in length. This project's clients send tf.Examples, which it can."""
    load_minutes: float = Field(default=10, gt=0)
    """How long a pod may take to load and warm up the model before it is started again."""

    @model_validator(mode="after")
    def _scales_upwards(self) -> Self:
        if self.max_replicas < self.replicas:
            allowed = f"`max_replicas` should be at least `replicas` ({self.replicas})"
            raise ValueError(f"{allowed}. Received: {self.max_replicas}")
        return self


class DeployedRunConfig(Section):
    """The CronJob that runs the pipeline."""

    schedule: str = Field(default="0 3 * * *", pattern=r"^(\S+\s+){4}\S+$")
    """When, in cron's notation."""
    time_zone: str = "Etc/UTC"
    """The time zone of the schedule."""
    max_hours: float = Field(default=12, gt=0)
    """A run is ended after so many hours."""
    retries: int = Field(default=1, ge=0)
    """How often a run that failed is started again; it goes on from the cache and the last checkpoint."""
    resources: ResourcesConfig = ResourcesConfig(cpu="4", memory="16Gi")
    """Of the run's pod."""


class DeployConfig(Section):
    """The values of what `deploy` renders."""

    image: str | None = Field(default=None, min_length=1)
    """The name of the image that the rendered Dockerfile makes. Defaults to `training.job.image`, or to
    `tfx-recommender:0.1.0`."""
    namespace: ObjectName = "recommender"
    """The namespace of all objects."""
    storage: DeployedStorageConfig = DeployedStorageConfig()
    """The volume."""
    env_secret: ObjectName | None = None
    """A Secret whose keys become environment variables of all pods, such as the credentials of an object store."""
    serving: DeployedServingConfig = DeployedServingConfig()
    """The model servers."""
    run: DeployedRunConfig = DeployedRunConfig()
    """The daily run."""
