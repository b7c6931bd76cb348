"""Kubeflow's jobs in which several workers run the whole pipeline together, and the runtime of submitted ones.

They are for those who start runs themselves, or by a queue: worker 0 runs the pipeline, the others train with it. Where
`training.job` is set the daily run's Trainer submits a job of its own, and of these files only the runtime is needed.
"""

from typing import Any, Final

from config import Config
from config.cluster_jobs import StorageConfig, TfJobConfig, TrainJobConfig
from pipeline.deploy.image import CONFIGURATION, PYTHON, RUNNER
from pipeline.deploy.places import image_of, object_name
from trainer.cluster_jobs.manifests import tf_job, train_job, training_runtime

_WORKERS: Final = 2
_COMMAND: Final = (PYTHON, RUNNER, "worker", "--config", CONFIGURATION)

Manifest = dict[str, Any]


def job_manifests(config: Config) -> dict[str, list[Manifest]]:
    """Returns the manifests by file name."""
    job = _train_job(config)
    name = object_name(config, "run")
    values = job.model_dump(exclude={"kind", "runtime"})
    return {
        "training-runtime.yaml": [training_runtime(job)],
        "train-job.yaml": [train_job(job, name, _COMMAND)],
        "tf-job.yaml": [tf_job(TfJobConfig(kind="tf_job", **values), name, _COMMAND)],
    }


def _train_job(config: Config) -> TrainJobConfig:
    """Returns the settings: those of `training.job` as far as they are of Kubernetes, in the namespace of `deploy`."""
    job, deploy = config.training.job, config.deploy
    here = {"namespace": deploy.namespace, "storage": _mounted(config), "env_secret": deploy.env_secret}
    if isinstance(job, TrainJobConfig):
        return job.model_copy(update={key: value for key, value in here.items() if getattr(job, key) is None})
    if isinstance(job, TfJobConfig):
        own = job.model_dump(exclude={"kind"}, exclude_none=True)
        return TrainJobConfig.model_validate({"kind": "train_job", **here, **own})
    workers = _WORKERS if job is None else job.workers
    settings = {"image": image_of(config), "resources": deploy.run.resources, "workers": workers, **here}
    return TrainJobConfig.model_validate({"kind": "train_job", **settings})


def _mounted(config: Config) -> StorageConfig:
    return StorageConfig(claim=config.deploy.storage.claim, path=config.deploy.storage.path)
