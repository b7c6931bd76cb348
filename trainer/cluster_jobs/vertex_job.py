"""A CustomJob that this process submits to Vertex AI."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import google.auth
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from google.cloud.aiplatform_v1.services.job_service import JobServiceClient
from google.cloud.aiplatform_v1.types import CustomJob as CustomJobProto
from google.cloud.aiplatform_v1.types import CustomJobSpec, WorkerPoolSpec
from google.cloud.aiplatform_v1.types import JobState as VertexState

from config.cluster_jobs import CustomJobConfig
from trainer.cluster_jobs.vertex_logs import LOGGING_URL, VertexLogs
from trainer.cluster_jobs.waiting import ClusterJobError, JobState, SilentApiError

_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_TIMEOUT_SECONDS: Final = 60.0
_SUCCEEDED: Final = (VertexState.JOB_STATE_SUCCEEDED, VertexState.JOB_STATE_PARTIALLY_SUCCEEDED)
_ENDED: Final = (
    *_SUCCEEDED,
    VertexState.JOB_STATE_FAILED,
    VertexState.JOB_STATE_CANCELLED,
    VertexState.JOB_STATE_CANCELLING,
    VertexState.JOB_STATE_EXPIRED,
)
_RUNNING: Final = VertexState.JOB_STATE_RUNNING
"""Vertex AI starts a job's workers together."""
_PASSING: Final = (
    exceptions.ServerError,
    exceptions.TooManyRequests,
    exceptions.RetryError,
    OSError,  # requests' errors of connections
)


@dataclass(frozen=True)
class VertexApi:
    """The services of one region.

    Attributes:
        jobs: The client of jobs.
        session: The HTTP session of Cloud Logging.
        logging_url: Where Cloud Logging lists entries.
    """

    jobs: JobServiceClient
    session: Any
    logging_url: str = LOGGING_URL

    @classmethod
    def connect(cls, settings: CustomJobConfig) -> "VertexApi":
        """Returns the services with this process's credentials. Raises `ClusterJobError` where there are none."""
        try:
            credentials, _ = google.auth.default(scopes=[_SCOPE])
        except GoogleAuthError as error:
            raise ClusterJobError(f"Google Cloud's credentials are needed. Received: {error}") from error
        host = f"{settings.region}-aiplatform.googleapis.com"
        options = ClientOptions(api_endpoint=host)
        jobs = JobServiceClient(credentials=credentials, transport="rest", client_options=options)
        return cls(jobs, AuthorizedSession(credentials))


class CustomJob:
    """One job.

    Args:
        api: The services.
        settings: The job's.
        name: Its display name, which follows from what it does: an unfinished job of this name is an earlier try's.
        command: The program of all workers and its arguments.
    """

    def __init__(self, api: VertexApi, settings: CustomJobConfig, name: str, command: Sequence[str]) -> None:
        self._api, self._settings, self._name = api, settings, name
        self._parent = f"projects/{settings.project}/locations/{settings.region}"
        self._job = custom_job(settings, name, command)
        self._resource = ""
        self._logs: VertexLogs | None = None

    def __str__(self) -> str:
        return f"CustomJob {self._name} in {self._parent}" + (f" ({self._resource})" if self._resource else "")

    def submit(self) -> str:
        """Creates the job, or attaches to an unfinished one of the same name."""
        jobs, query = self._api.jobs, {"parent": self._parent, "filter": f'display_name="{self._name}"'}
        with self._errors("was refused"):
            found = [job for job in jobs.list_custom_jobs(query, timeout=_TIMEOUT_SECONDS) if job.state not in _ENDED]
            if not found:
                request = {"parent": self._parent, "custom_job": self._job}
                made = jobs.create_custom_job(request, timeout=_TIMEOUT_SECONDS)
        self._resource = found[0].name if found else made.name
        job_id = self._resource.rpartition("/")[2]
        self._logs = VertexLogs(self._api.session, self._api.logging_url, self._settings.project, job_id)
        return "found: an earlier try of this step had submitted it" if found else "submitted"

    def state(self) -> JobState:
        """Returns what the job does, and prints what Cloud Logging has of it."""
        with self._errors("cannot be read"):
            found = self._api.jobs.get_custom_job({"name": self._resource}, timeout=_TIMEOUT_SECONDS)
        if self._logs is not None:
            self._logs.print_new()
        if found.state in _SUCCEEDED:
            return JobState("succeeded")
        state = VertexState(found.state).name
        if found.state in _ENDED:
            return JobState("failed", self._why_failed(state, found.error))
        if found.state == _RUNNING:
            return JobState("running")
        return JobState("queued" if found.state == VertexState.JOB_STATE_QUEUED else "waiting", state)

    def delete(self) -> None:
        """Cancels the job where it is unfinished; Vertex AI keeps the record of finished ones."""
        if not self._resource:
            return  # it was not made
        with self._errors("cannot be cancelled"):
            found = self._api.jobs.get_custom_job({"name": self._resource}, timeout=_TIMEOUT_SECONDS)
            if found.state not in _ENDED:
                self._api.jobs.cancel_custom_job({"name": self._resource}, timeout=_TIMEOUT_SECONDS)

    def _why_failed(self, state: str, error: Any) -> str:
        said = error.message or "no reason is given"
        lines = [] if self._logs is None else self._logs.last_lines(said)
        last = f". Its last lines:\n{chr(10).join(lines)}" if lines else "; it printed nothing"
        return f"{state}: {said.rstrip('.')}{last}"

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turns errors that may pass into `SilentApiError`, others into `ClusterJobError`."""
        try:
            yield
        except _PASSING as error:
            raise SilentApiError(str(error)) from error
        except (exceptions.GoogleAPICallError, GoogleAuthError) as error:
            raise ClusterJobError(f"{self} {what}: {error}") from error


def custom_job(settings: CustomJobConfig, name: str, command: Sequence[str]) -> CustomJobProto:
    """Returns the job: Vertex AI gives the first pool's worker the role `chief` in `TF_CONFIG`, the second's `worker`.

    Args:
        settings: The job's.
        name: Its display name.
        command: The program of all workers and its arguments.
    """
    machine: dict[str, Any] = {"machine_type": settings.machine}
    if settings.accelerator is not None:
        machine |= {"accelerator_type": settings.accelerator, "accelerator_count": settings.accelerators}
    container = {"image_uri": settings.image, "command": [command[0]], "args": [*command[1:]]}
    pools = [
        WorkerPoolSpec(replica_count=count, machine_spec=machine, container_spec=container)
        for count in (1, settings.workers - 1)
    ]
    scheduling = {"timeout": timedelta(hours=settings.max_hours), "restart_job_on_worker_restart": True}
    spec = CustomJobSpec(worker_pool_specs=pools, scheduling=scheduling, service_account=settings.service_account or "")
    return CustomJobProto(display_name=name, job_spec=spec)
