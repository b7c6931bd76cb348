from pathlib import Path

import pytest
from rich.console import Console

from config import paths
from pipeline.evaluation.results import metrics_table, newest_evaluation
from tests.pipeline.evaluation.runs import make_config


def test_the_newest_evaluation_is_that_of_the_highest_execution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = make_config("{}")
    with pytest.raises(FileNotFoundError, match="no evaluation in"):
        newest_evaluation(config)
    for number in (9, 10):
        Path(paths.artifacts(config), "Evaluator", "evaluation", str(number)).mkdir(parents=True)
    assert newest_evaluation(config).name == "10"


def test_a_metric_stands_beside_its_error_and_popularity() -> None:
    metrics = {"ndcg@10": 0.131, "stderr_ndcg@10": 0.009, "popularity_ndcg@10": 0.045, "rating/rmse": 0.9}
    console = Console(width=80)
    with console.capture() as capture:
        console.print(metrics_table(metrics, "test"))
    lines = [line for line in capture.get().splitlines() if "ndcg@10" in line or "rmse" in line]
    assert len(lines) == 2
    assert [part for part in lines[0].split() if part[0] == "0"] == ["0.1310", "0.0090", "0.0450"]
