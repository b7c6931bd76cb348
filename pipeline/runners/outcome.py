"""What a local run came to."""

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.runners.display import State
from pipeline.runners.metrics import Outputs


@dataclass
class Outcome:
    """The outcome of a run."""

    run_id: str
    log: Path
    states: dict[str, State] = field(default_factory=dict)
    outputs: dict[str, Outputs] = field(default_factory=dict)
    """By component."""
    component_seconds: dict[str, float] = field(default_factory=dict)
    """By component."""
    warnings: dict[str, list[str]] = field(default_factory=dict)
    """By component; see `pipeline.messages`."""
    seconds: float = 0.0
    failed: str | None = None
    """The component that failed."""
    message: str = ""
    is_refused: bool = False
    """Whether it failed by a `ConfigError`: the configuration does not suit the data."""
    is_lost: bool = False
    """Whether it failed because a process of the training was lost."""
    pushed: str | None = None
    """The folder of the pushed version, where servers answer from it."""
    verdict: str = ""
    """The version that was pushed, or why servers do not answer from one of this run."""
    report: Path | None = None
    """The run's page, when it was written, now or before."""
    metrics: Path | None = None
    """The run's metrics as JSON, likewise."""
    report_problem: str = ""
    """Why page and metrics could not be written."""
