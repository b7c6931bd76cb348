"""What a server logs of the requests that it answers, and how the job `online` judges these logs."""

from pathlib import PurePosixPath

from pydantic import Field, field_validator

from config.base import Section
from config.evaluation import Threshold


class RequestLogConfig(Section):
    """The server writes a sample of the requests, with their answers, as files of PredictionLogs.

    They hold what callers send: ids of users, histories, features. Disk is bounded by `max_files` x `max_file_mb`.
    """

    folder: str
    """The folder of the files. It is made with access for the user and the group of the server alone."""
    sampling_rate: float = Field(default=0.1, gt=0, le=1)
    """The probability with which a request is logged."""
    max_file_mb: float = Field(default=64, ge=0.001)
    """The size in megabytes at which the next file is begun."""
    max_file_minutes: float = Field(default=60, gt=0)
    """The age in minutes at which the next file is begun."""
    max_files: int = Field(default=48, ge=2)
    """The number of files that are kept, the newest ones, of all servers that write to the folder."""

    @field_validator("folder")
    @classmethod
    def _is_on_a_file_system(cls, folder: str) -> str:
        if "://" in folder or not PurePosixPath(folder).name:
            raise ValueError(f"should be a folder of a file system. Received: {folder!r}")
        return folder


class OnlineGates(Section):
    """Bounds on what was measured of the newest pushed version's requests. A gate that cannot be measured fails."""

    min_requests: int = Field(default=100, ge=1)
    """The minimum number of requests. With fewer, no other gate is judged, and nothing is rolled back."""
    min_ctr_ratio: float | None = Field(default=None, gt=0)
    """The minimum click-through rate relative to the version before it in the logs. It fails if the upper end of the
    ratio's 95 % confidence interval is below. It holds for the first version."""
    max_skew: Threshold | None = None
    """The maximum distance of a feature in the requests from the training examples, in the measures of `pipeline.skew`.
    A distance counts if it is significant: see docs/how-to/watch.md."""
    max_unknown_users: Threshold | None = None
    """The maximum share of the requests with a user id whose user the model does not know."""
    max_unknown_items: Threshold | None = None
    """The maximum share of the items in the requests' histories that the model does not know."""


class OnlineConfig(Section):
    """The job `online`: it joins logged recommendations with what users did afterwards."""

    window_hours: float = Field(default=24, gt=0)
    """How long after an answer an event of one of its items counts as its outcome."""
    gates: OnlineGates = OnlineGates()
    """The bounds."""
