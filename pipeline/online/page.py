"""The page of what was measured, as one HTML file with its plots inside."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from pipeline.online.gates import Verdict
from pipeline.online.measures import Measured
from pipeline.report import plots
from pipeline.report.templates import template


def write_page(
    path: Path,
    name: str,
    measured: Sequence[Measured],
    version: int,
    verdicts: Sequence[Verdict],
    skipped: Mapping[str, int],
    window_hours: float,
) -> None:
    """Writes the page.

    Args:
      path: The file; its folder exists.
      name: The configuration's name.
      measured: All versions in the logs, the newest first.
      version: The version that the verdicts are of.
      verdicts: Of the gates.
      skipped: The number of logged requests that were not used, by reason.
      window_hours: How long after an answer an event counts as its outcome.

    Raises:
      OSError: The file cannot be written.
    """
    page = template("pipeline.online").render(
        name=name,
        measured=measured,
        version=version,
        verdicts=verdicts,
        skipped=skipped,
        window_hours=window_hours,
        ranks=_ranks(measured),
        calibration=_calibration(measured),
        shares={
            "Coverage of the catalogue": [m.coverage for m in measured],
            "Requests of unknown users": [m.unknown_users for m in measured],
            "Unknown items in histories": [m.unknown_items for m in measured],
        },
    )
    path.write_text(page, encoding="utf-8")


def _ranks(measured: Sequence[Measured]) -> Markup | None:
    lines = {f"version {m.version}": [(float(r.rank), r.ctr) for r in m.ranks] for m in measured if m.ranks}
    return Markup(plots.curves({"click-through rate": lines}, "rank")) if lines else None


def _calibration(measured: Sequence[Measured]) -> Markup | None:
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for found in measured:
        for calibration in found.calibrations:
            points = [(b.predicted, b.label) for b in calibration.bins]
            panels.setdefault(calibration.task, {"calibrated": [(0, 0), (1, 1)]})[f"version {found.version}"] = points
    return Markup(plots.curves(panels, "prediction")) if panels else None
