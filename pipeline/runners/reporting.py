"""The files that a local run leaves: its page, its metrics as JSON and for Prometheus, and its record."""

import json
import traceback
from collections.abc import Mapping
from pathlib import Path

from config import Config, paths
from pipeline.push.withdraw import version_numbers
from pipeline.runners.display import headline
from pipeline.runners.outcome import Outcome


def write_report_files(config: Config, outcome: Outcome, metrics: Mapping[str, str]) -> None:
    """Writes the run's page, metrics and record, unless the newest ones are of this run already, and `metrics.prom`.

    An error does not fail the run: `report_problem` holds it.

    Args:
      config: The configuration that ran.
      outcome: The run's; `report`, `metrics` and `report_problem` are set.
      metrics: The main metric of each component.
    """
    page, file = Path(paths.report(config)), Path(paths.metrics(config))
    try:
        from pipeline.report.run import has_digest, run_digest

        is_new = outcome.failed or not has_digest(page, run_digest(config, outcome.outputs, outcome.verdict))
        if is_new or not file.exists():
            _write_kept(config, outcome, metrics, page, file)
        _write_prometheus(config, outcome)
    except Exception as error:
        print("the report could not be written:")
        traceback.print_exc()
        outcome.report_problem = headline(error)
    else:
        outcome.report, outcome.metrics = page, file


def _write_kept(config: Config, outcome: Outcome, metrics: Mapping[str, str], page: Path, file: Path) -> None:
    """Writes the files of `reports/<run>`, and makes page and metrics the newest ones."""
    from pipeline.report.metrics import write_metrics
    from pipeline.report.record import METRICS, PAGE, RECORD, publish, write_record
    from pipeline.report.run import evaluation_of, report_run

    kept = Path(paths.reports(config), outcome.run_id)
    kept.parent.mkdir(paths.PRIVATE, exist_ok=True)
    kept.mkdir(paths.PRIVATE, exist_ok=True)
    evaluation = evaluation_of(outcome.outputs)
    write_metrics(kept / METRICS, config, outcome.run_id, evaluation, outcome.failed, outcome.pushed)
    publish(kept / METRICS, file)
    write_record(kept / RECORD, config, outcome.run_id, outcome.states, outcome.outputs, outcome.verdict)
    publish(kept / RECORD, file.with_name(RECORD))
    report_run(kept / PAGE, config, outcome.states, outcome.outputs, metrics, outcome.verdict)
    publish(kept / PAGE, page)


def _write_prometheus(config: Config, outcome: Outcome) -> None:
    from pipeline.report.prometheus import FILE, record_points, run_points, served_points, write_prometheus
    from pipeline.report.record import RECORD
    from pipeline.retention import disk_bytes

    home, serving = Path(paths.home(config)), paths.serving(config)
    record, metrics = (json.loads((home / name).read_text()) for name in (RECORD, Path(paths.metrics(config)).name))
    components = {name: (outcome.states[name], seconds) for name, seconds in outcome.component_seconds.items()}
    points = run_points(outcome.seconds, components, bool(outcome.failed), bool(outcome.pushed))
    points += record_points(record, metrics)
    points += served_points(max([] if "://" in serving else version_numbers(serving), default=None))
    points.append(("disk_bytes", (), disk_bytes(home)))
    write_prometheus(home / FILE, config.name, points)
