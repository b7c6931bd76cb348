"""The output of a CustomJob's workers, from Cloud Logging."""

import sys
from collections import defaultdict, deque
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from config.progress import LASTING, PASSING

LOGGING_URL: Final = "https://logging.googleapis.com/v2/entries:list"
_CHIEF: Final = "workerpool0-0"
_PAGE: Final = 1000
_LATE: Final = timedelta(seconds=60)
"""Entries may come so much later than younger ones."""
_SHOWN_LINES: Final = 5
_TIMEOUT_SECONDS: Final = 60


class VertexLogs:
    """Prints a job's entries once each, behind their worker; the chief's progress is left as it is.

    Args:
        session: An authorized HTTP session of `requests`.
        url: Where entries are listed.
        project: The Google Cloud project.
        job_id: The job's number.
    """

    def __init__(self, session: Any, url: str, project: str, job_id: str) -> None:
        self._session, self._url, self._project, self._job_id = session, url, project, job_id
        self._newest = datetime.now(UTC) - _LATE
        self._seen: dict[str, datetime] = {}
        self._lines: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_SHOWN_LINES))
        self._problem = ""

    def print_new(self) -> None:
        """Prints what has come since. Where entries cannot be read, it says so once: the job goes on without."""
        since, token = self._newest - _LATE, ""
        self._seen = {name: moment for name, moment in self._seen.items() if moment >= since}
        while True:
            page = self._page(since, token)
            for entry in page.get("entries", ()):
                self._print(entry)
            token = page.get("nextPageToken", "")
            if not token:
                return

    def last_lines(self, message: str) -> list[str]:
        """Returns the last lines of the worker that an error message names, or else of the chief."""
        named = next((name for name in self._lines if name in message), _CHIEF)
        return [*self._lines[named]]

    def _page(self, since: datetime, token: str) -> dict[str, Any]:
        query = {
            "resourceNames": [f"projects/{self._project}"],
            "filter": f'resource.type="ml_job" AND resource.labels.job_id="{self._job_id}"'
            f' AND timestamp>="{since.isoformat()}"',
            "orderBy": "timestamp asc",
            "pageSize": _PAGE,
            **({"pageToken": token} if token else {}),
        }
        try:
            answer = self._session.post(self._url, json=query, timeout=_TIMEOUT_SECONDS)
            problem = "" if answer.ok else f"{answer.status_code} {answer.text[:200]}"
            page: dict[str, Any] = answer.json() if answer.ok else {}
        except OSError as error:
            problem, page = str(error), {}
        if problem and problem != self._problem:
            print(f"the workers' output cannot be read from Cloud Logging: {problem}", flush=True)
        self._problem = problem
        return page

    def _print(self, entry: dict[str, Any]) -> None:
        if entry["insertId"] in self._seen:
            return
        moment = datetime.fromisoformat(entry["timestamp"])
        self._seen[entry["insertId"]] = moment
        self._newest = max(self._newest, moment)
        worker = entry["resource"]["labels"].get("task_name", "service")
        text = entry.get("textPayload") or entry.get("jsonPayload", {}).get("message", "")
        for line in text.splitlines():
            self._lines[worker].append(line)
            is_progress = worker == _CHIEF and line.startswith((LASTING, PASSING))
            sys.stdout.write(f"{line}\n" if is_progress else f"[{worker}] {line}\n")
        sys.stdout.flush()
