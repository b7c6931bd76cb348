"""A TrainJob or TFJob that this process submits to a Kubernetes cluster."""

import json
import time
from typing import Any, Final

from kubernetes.client import ApiException, V1DeleteOptions

from config.cluster_jobs import KubernetesJobConfig, TrainJobConfig
from trainer.cluster_jobs.kubernetes_api import CONFLICT, NOT_FOUND, TIMEOUT, Kubernetes, may_pass, transient_errors
from trainer.cluster_jobs.manifests import CONTAINERS, RUNTIMES, TF_GROUP, TRAINER_GROUP, Manifest
from trainer.cluster_jobs.pod_logs import PodLogs
from trainer.cluster_jobs.pod_reports import PodReport, first_lost, report_of
from trainer.cluster_jobs.waiting import ClusterJobError, JobState, SilentApiError

_GROUPS: Final = {"TrainJob": TRAINER_GROUP, "TFJob": TF_GROUP}
_PODS: Final = {"TrainJob": "jobset.sigs.k8s.io/jobset-name", "TFJob": "training.kubeflow.org/job-name"}
"""By kind, the label of a job's pods."""
_SUCCEEDED: Final = ("Complete", "Succeeded")
_FAILED: Final = "Failed"
_SUSPENDED: Final = "Suspended"
_LOG_SECONDS: Final = 10.0
_GONE_SECONDS: Final = 120.0
_SHOWN_LINES: Final = 5


class KubernetesJob:
    """One job.

    Args:
        kubernetes: The cluster and the namespace.
        manifest: The job. Its name follows from what it does, so a job of this name is an earlier try's.
        workers: The number of its workers.
        pause: Seconds between two looks at a job that is being deleted.
    """

    def __init__(self, kubernetes: Kubernetes, manifest: Manifest, workers: int, pause: float = 2.0) -> None:
        self._kubernetes, self._manifest, self._workers, self._pause = kubernetes, manifest, workers, pause
        self._kind, self._name = manifest["kind"], manifest["metadata"]["name"]
        group, version, plural = _GROUPS[self._kind]
        self._place = (group, version, kubernetes.namespace, plural)
        self._logs = PodLogs(kubernetes.core, kubernetes.namespace, CONTAINERS[self._kind])
        self._started: set[str | int] = set()

    def __str__(self) -> str:
        return f"{self._kind} {self._name} in the namespace {self._kubernetes.namespace}"

    def submit(self) -> str:
        """Creates the job, or attaches to that of an earlier try; one that has failed is made anew."""
        with transient_errors():
            try:
                return self._create()
            except ApiException as error:
                if may_pass(error):
                    raise
                if error.status != CONFLICT:
                    raise ClusterJobError(f"{self} was refused: {_reason(error)}") from error
            found = self._get()
            if found is not None and not _is_ending(found):
                return "found: an earlier try of this step had submitted it"
            self._delete_and_wait()
        return self.submit()

    def state(self) -> JobState:
        """Returns what the job does, and prints what its pods have printed."""
        with transient_errors():
            found, reports = self._get(), self._reports()
        self._logs.follow(reports)
        self._started.update(r.name if r.worker is None else r.worker for r in reports if r.has_started)
        if found is None:
            return JobState("failed", "it was deleted by someone else")
        conditions = _conditions(found)
        if _FAILED in conditions or any(name in conditions for name in _SUCCEEDED):
            self._logs.finish(_LOG_SECONDS)
        if any(name in conditions for name in _SUCCEEDED):
            return JobState("succeeded")
        if _FAILED in conditions:
            return JobState("failed", self._why_failed(conditions[_FAILED], reports))
        if _SUSPENDED in conditions:
            return JobState("queued", "it is suspended, as by a queue")
        if len(self._started) < self._workers:
            return JobState("waiting", _why_waiting(reports) or f"{len(self._started)} of {self._workers} workers run")
        return JobState("running", _lost_pods(reports))

    def delete(self) -> None:
        """Deletes the job and, by their owner, its pods; it is no error if it is gone."""
        with transient_errors():
            try:
                options = V1DeleteOptions(propagation_policy="Foreground")
                self._kubernetes.objects.delete_namespaced_custom_object(
                    *self._place, self._name, body=options, _request_timeout=TIMEOUT
                )
            except ApiException as error:
                if error.status != NOT_FOUND:
                    raise SilentApiError(_reason(error)) from error

    def _create(self) -> str:
        objects = self._kubernetes.objects
        objects.create_namespaced_custom_object(*self._place, self._manifest, _request_timeout=TIMEOUT)
        return "submitted"

    def _get(self) -> Manifest | None:
        try:
            objects = self._kubernetes.objects
            found: Manifest = objects.get_namespaced_custom_object(*self._place, self._name, _request_timeout=TIMEOUT)
        except ApiException as error:
            if may_pass(error):
                raise
            if error.status != NOT_FOUND:
                raise ClusterJobError(f"{self} cannot be read: {_reason(error)}") from error
            return None
        return found

    def _reports(self) -> list[PodReport]:
        try:
            pods = self._kubernetes.core.list_namespaced_pod(
                self._kubernetes.namespace,
                label_selector=f"{_PODS[self._kind]}={self._name}",
                _request_timeout=TIMEOUT,
            )
        except ApiException as error:
            if may_pass(error):
                raise
            raise ClusterJobError(f"the pods of {self} cannot be listed: {_reason(error)}") from error
        return [report_of(pod) for pod in pods.items]

    def _delete_and_wait(self) -> None:
        self.delete()
        end = time.monotonic() + _GONE_SECONDS
        while self._get() is not None:
            if time.monotonic() > end:
                raise ClusterJobError(f"{self} failed before and is not gone {_GONE_SECONDS:.0f} s after its deletion")
            time.sleep(self._pause)

    def _why_failed(self, condition: Manifest, reports: list[PodReport]) -> str:
        """Returns the job's own reason, that of the worker that failed first, and the worker's last lines."""
        said = ": ".join(filter(None, [condition.get("reason"), condition.get("message")])) or "no reason is given"
        lost = first_lost(reports)
        if lost is None:
            return said
        lines = self._logs.last_lines(lost.name)[-_SHOWN_LINES:]
        last = "; it printed nothing" if not lines else f". Its last lines:\n{chr(10).join(lines)}"
        return f"{lost} ended with {lost.trouble} ({said}){last}"


def _conditions(job: Manifest) -> dict[str, Manifest]:
    found = job.get("status", {}).get("conditions", ())
    return {condition["type"]: condition for condition in found if condition.get("status") == "True"}


def _is_ending(job: Manifest) -> bool:
    """Returns whether a job has failed, or is being deleted."""
    return _FAILED in _conditions(job) or "deletionTimestamp" in job["metadata"]


def _why_waiting(reports: list[PodReport]) -> str:
    return next((f"{report}: {report.trouble}" for report in reports if report.trouble and not report.has_ended), "")


def _lost_pods(reports: list[PodReport]) -> str:
    """Returns which worker was lost, where the job goes on: its pods start again."""
    lost = first_lost(reports)
    return "" if lost is None else f"{lost} ended with {lost.trouble}, and starts again"


def _reason(error: Any) -> str:
    """Returns the message of the API's answer, a Status object, or its HTTP reason."""
    try:
        return f"{error.status} {json.loads(error.body)['message']}"
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"


def require_kind(kubernetes: Kubernetes, settings: KubernetesJobConfig) -> None:
    """Checks that the cluster has the kind of job, and the runtime of a TrainJob.

    Raises:
        ClusterJobError: One is missing, or may not be read.
        SilentApiError: No answer.
    """
    objects, namespace = kubernetes.objects, kubernetes.namespace
    group, version, plural = TRAINER_GROUP if isinstance(settings, TrainJobConfig) else TF_GROUP
    try:
        with transient_errors():
            objects.list_namespaced_custom_object(group, version, namespace, plural, limit=1, _request_timeout=TIMEOUT)
    except ApiException as error:
        raise ClusterJobError(
            f"the cluster should have {plural}.{group}, which this process may list in the namespace {namespace}."
            f" Received: {_reason(error)}"
        ) from error
    if not isinstance(settings, TrainJobConfig):
        return
    try:
        with transient_errors():
            objects.get_namespaced_custom_object(
                group, version, namespace, RUNTIMES, settings.runtime, _request_timeout=TIMEOUT
            )
    except ApiException as error:
        raise ClusterJobError(
            f"`runtime` should name a TrainingRuntime in the namespace {namespace}, such as `tfx_runner.py deploy`"
            f" renders. Received: {settings.runtime!r}: {_reason(error)}"
        ) from error
