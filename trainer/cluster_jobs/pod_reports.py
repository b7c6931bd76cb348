"""What a job's pods are doing: which worker each is, what keeps it from starting, and why it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from trainer.cluster_jobs.manifests import RETRY

_INDEX_KEYS: Final = ("batch.kubernetes.io/job-completion-index", "training.kubeflow.org/replica-index")
"""The annotation or label with a worker's index: of indexed jobs, of the training operator."""
_ON_ITS_WAY: Final = ("ContainerCreating", "PodInitializing")
_STARTED: Final = ("Running", "Succeeded", "Failed")


@dataclass(frozen=True)
class PodReport:
    """One pod.

    Attributes:
        name: The pod's name.
        worker: The worker's index; None if the pod names none.
        has_started: Whether its container has run.
        has_ended: Whether it will print no more.
        trouble: What keeps it from starting, or why it failed; "" otherwise.
        code: The exit code of a container that failed.
        ended_at: When, as a text that sorts.
    """

    name: str
    worker: int | None
    has_started: bool
    has_ended: bool
    trouble: str = ""
    code: int | None = None
    ended_at: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether it ended without success."""
        return self.has_ended and bool(self.trouble)

    def __str__(self) -> str:
        return f"pod {self.name}" if self.worker is None else f"worker {self.worker} (pod {self.name})"


def report_of(pod: Any) -> PodReport:
    """Describes a pod of Kubernetes' client."""
    metadata, status = pod.metadata, pod.status
    marks = {**(metadata.labels or {}), **(metadata.annotations or {})}
    index = next((marks[key] for key in _INDEX_KEYS if key in marks), None)
    worker = None if index is None else int(index)
    phase = status.phase
    states = [found.state for found in status.container_statuses or () if found.state is not None]
    if phase == "Failed":
        ended = next((s.terminated for s in states if s.terminated is not None and s.terminated.exit_code), None)
        code = ended.exit_code if ended else None
        return PodReport(metadata.name, worker, True, True, _why_failed(status, ended), code, _moment(ended))
    if phase == "Pending":
        return PodReport(metadata.name, worker, False, False, _why_pending(status, states))
    return PodReport(metadata.name, worker, phase in _STARTED, phase == "Succeeded")


def first_lost(reports: Sequence[PodReport]) -> PodReport | None:
    """Returns the pod that failed first, rather one that did not end because another had; None where none failed."""
    failed = [report for report in reports if report.has_failed]
    return min(failed, key=lambda report: (report.code == RETRY, report.ended_at), default=None)


def _why_failed(status: Any, ended: Any) -> str:
    """Returns the reason that the container or else the pod has, such as OOMKilled or Evicted."""
    parts = [status.reason, status.message]
    if ended is not None:
        reason = f"{ended.reason or 'Error'} (exit code {ended.exit_code})"
        parts = [reason, ended.message, *parts]
    return ": ".join(part.strip() for part in parts if part) or "it failed, and the cluster gives no reason"


def _why_pending(status: Any, states: Sequence[Any]) -> str:
    for state in states:
        if state.waiting is not None and state.waiting.reason not in (None, *_ON_ITS_WAY):
            return ": ".join(filter(None, [state.waiting.reason, state.waiting.message]))
    for condition in status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return ": ".join(filter(None, [condition.reason, condition.message]))
    return ""


def _moment(ended: Any) -> str:
    return ended.finished_at.isoformat() if ended is not None and ended.finished_at is not None else ""
