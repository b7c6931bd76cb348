import math
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.report.prometheus import record_points, run_points, served_points, write_prometheus


def read(path: Path) -> dict[tuple[str, ...], float]:
    """The value of each sample by its name and its sorted labels but the pipeline."""
    families = text_string_to_metric_families(path.read_text())
    samples = [sample for family in families for sample in family.samples]
    assert {sample.labels.pop("pipeline") for sample in samples} == {"shop"}
    return {(s.name.removeprefix("recommender_run_"), *sorted(s.labels.values())): s.value for s in samples}


def test_the_file_holds_what_is_known(tmp_path):
    record = {"data": {"spans": "span 1", "log: rows": 100, "log: kept": 90, "train: examples": 9, "train: users": 5}}
    ndcg, undefined = {"value": 0.3, "standard_error": 0.03}, {"value": None}
    gates = [{"metric": "ndcg@10", "split": "test", "passed": False}]
    metrics = {"splits": {"test": {"metrics": {"ndcg@10": ndcg, "auc": undefined}}}, "gates": gates}
    pushed = int(time.time()) - 3600
    points = run_points(12.5, {"Trainer": ("done", 9.5), "Pusher": ("cached", 0.5)}, failed=False, serves=True)
    points += [*record_points(record, metrics), *served_points(pushed), ("disk_bytes", (), math.nan)]
    write_prometheus(tmp_path / "metrics.prom", "shop", points)
    found = read(tmp_path / "metrics.prom")
    assert abs(found.pop(("timestamp_seconds",)) - time.time()) < 60
    assert found.pop(("served_version_age_seconds",)) == pytest.approx(3600, abs=60)
    assert found == {
        ("duration_seconds",): 12.5,
        ("failed",): 0,
        ("serves",): 1,
        ("component_duration_seconds", "Trainer", "done"): 9.5,
        ("component_duration_seconds", "Pusher", "cached"): 0.5,
        ("log_rows", "rows"): 100,
        ("log_rows", "kept"): 90,
        ("examples", "train"): 9,
        ("metric", "ndcg@10", "test"): 0.3,
        ("metric_standard_error", "ndcg@10", "test"): 0.03,
        ("gate_passed", "ndcg@10", "test"): 0,
        ("served_version_timestamp_seconds",): pushed,
    }
