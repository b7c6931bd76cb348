"""The output of a job's pods, printed here as it comes."""

import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from kubernetes.client import ApiException, CoreV1Api
from urllib3.exceptions import HTTPError

from config.progress import LASTING, PASSING
from trainer.cluster_jobs.pod_reports import PodReport

_KEPT_LINES: Final = 20
_SILENCE_SECONDS: Final = 300
"""A connection without a line for so long is opened again."""
_PAUSE_SECONDS: Final = 1.0


class PodLogs:
    """Follows the pods of a job, each in a thread of its own.

    A line is printed behind its worker, except for the chief's progress, which the local runner shows.

    Args:
        core: The API of pods.
        namespace: The pods' namespace.
        container: The container with the worker: a pod may have others beside it.
    """

    def __init__(self, core: CoreV1Api, namespace: str, container: str) -> None:
        self._core, self._namespace, self._container = core, namespace, container
        self._lines: dict[str, deque[str]] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._ended: set[str] = set()

    def follow(self, reports: Sequence[PodReport]) -> None:
        """Begins to follow pods that have started since."""
        self._ended.update(report.name for report in reports if report.has_ended)
        for report in reports:
            if report.has_started and report.name not in self._threads:
                self._lines[report.name] = deque(maxlen=_KEPT_LINES)
                self._threads[report.name] = threading.Thread(target=self._follow, args=(report,), daemon=True)
                self._threads[report.name].start()

    def finish(self, seconds: float) -> None:
        """Waits until all that pods have printed before their end is here, so many seconds at most."""
        end = time.monotonic() + seconds
        for name in self._ended & set(self._threads):
            self._threads[name].join(max(0.0, end - time.monotonic()))

    def last_lines(self, name: str) -> list[str]:
        """Returns the last lines of a pod, the oldest first."""
        return [line for line in self._lines.get(name, ()) if line.strip()]

    def _follow(self, report: PodReport) -> None:
        """Reads the pod's lines with their times; a connection that ended is opened again after the last one."""
        last, is_last = "", False
        while not is_last:
            is_last = report.name in self._ended  # before it is read: then nothing can come after
            try:
                for stamped in self._open(report.name):
                    stamp, _, text = stamped.decode(errors="backslashreplace").rstrip("\n").partition(" ")
                    if stamp > last:
                        last = stamp
                        self._print(report, text)
            except (ApiException, HTTPError):
                pass  # the pod is gone, or the connection is: what was printed meanwhile comes with the next one
            if not is_last:
                time.sleep(_PAUSE_SECONDS)

    def _open(self, name: str) -> Any:
        return self._core.read_namespaced_pod_log(
            name,
            self._namespace,
            container=self._container,
            follow=True,
            timestamps=True,
            _preload_content=False,
            _request_timeout=(10, _SILENCE_SECONDS),
        )

    def _print(self, report: PodReport, text: str) -> None:
        self._lines[report.name].append(text)
        is_progress = report.worker == 0 and text.startswith((LASTING, PASSING))
        who = report.name if report.worker is None else f"worker {report.worker}"
        sys.stdout.write(f"{text}\n" if is_progress else f"[{who}] {text}\n")  # at once: other threads print, too
        sys.stdout.flush()
