import json
import re
from types import SimpleNamespace

import pytest

from config import parse_config, paths
from pipeline.cli import main
from pipeline.report.record import METRICS, RECORD, publish, write_record

CONFIG = "{{name: shop, data: {{folder: {0}, interactions: {{path: a.csv}}}}, pipeline: {{root: {0}}}, {1}}}"


@pytest.fixture
def runs(tmp_path):
    """Two runs: 100 and 120 rows, 2 and 4 epochs, ndcg@10 .30 ± .03 and .35 ± .04, one model each."""
    (tmp_path / "a.csv").write_text("user_id,item_id\n1,2\n")
    (tmp_path / "shop.yaml").write_text(CONFIG.format(tmp_path, "positive: null"))
    for day, (rows, epochs, value, error) in enumerate([(100, 2, 0.30, 0.03), (120, 4, 0.35, 0.04)], start=1):
        config = parse_config(CONFIG.format(tmp_path, f"training: {{epochs: {epochs}}}"))
        examples = tmp_path / f"examples-{day}"
        examples.mkdir()
        report = {"interactions": {"rows": rows, "kept": 90}, "splits": {"train": {"examples": 9}}}
        (examples / "ingest.json").write_text(json.dumps(report))
        outputs = {
            "InteractionExampleGen": {"examples": [SimpleNamespace(uri=str(examples))]},
            "Trainer": {"model": [SimpleNamespace(uri=f"{paths.artifacts(config)}/Trainer/model/{day}")]},
        }
        folder = tmp_path / "shop" / "reports" / f"2026010{day}-000000-000"
        folder.mkdir(parents=True)
        write_record(folder / RECORD, config, folder.name, {"Trainer": "done"}, outputs, "version 7 serves")
        metric = {"value": value, "standard_error": error}
        metrics = {"splits": {"test": {"metrics": {"ndcg@10": metric, "mrr": {"value": 0.1 * day}}}}}
        (folder / METRICS).write_text(json.dumps(metrics))
    return tmp_path


def test_what_differs_is_told_with_errors_and_nothing_else(runs, capsys):
    assert main(["compare", "--config", str(runs / "shop.yaml")]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["log:", "rows", "100", "120"] in rows
    assert ["training.epochs", "2", "4"] in rows
    # .05 / sqrt(.03^2 + .04^2) = 1
    assert ["test", "ndcg@10", "0.3000", "±", "0.0300", "0.3500", "±", "0.0400", "+0.0500", "+1.0"] in rows
    assert ["test", "mrr", "0.1000", "0.2000", "+0.1000"] in rows
    assert ["Trainer:", "model", "Trainer/model/1", "Trainer/model/2"] in rows
    words = {row[0] for row in rows if row}
    assert not words & {"Trainer's", "outcome", "name", "data.folder"}


def test_a_run_equals_itself(runs, capsys):
    name = "20260101-000000-000"
    assert main(["compare", "--config", str(runs / "shop.yaml"), name, str(runs / "shop" / "reports" / name)]) == 0
    assert capsys.readouterr().out.count("no difference") == 3


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["20260101-000000-000", "x"], "there is no run x. Found in .*: 20260101-000000-000, 20260102-000000-000"),
        (["x"], "needs two runs, or none for the newest two. Received: x"),
    ],
)
def test_a_run_that_is_not_there_is_named(runs, capsys, names, problem):
    assert main(["compare", "--config", str(runs / "shop.yaml"), *names]) == 1
    assert re.search(problem, capsys.readouterr().err)


def test_the_newest_runs_file_is_replaced_and_the_kept_one_stays(tmp_path):
    newest = tmp_path / "report.html"
    for day in ("1", "2"):
        kept = tmp_path / day
        kept.write_text(day)
        publish(kept, newest)
    assert [path.read_text() for path in (tmp_path / "1", tmp_path / "2", newest)] == ["1", "2", "2"]
