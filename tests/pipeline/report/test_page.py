"""The report of a real evaluation, beside what training and ingest leave behind."""

import json
import math
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.report.metrics import write_metrics
from pipeline.report.page import Artifacts, write_report
from pipeline.report.plots import read_curves
from pipeline.report.run import report_run
from pipeline.validation.distances import Comparison, Distance, write_comparisons
from pipeline.validation.measures import JENSEN_SHANNON, L_INFINITY
from tests.pipeline.evaluation.runs import Event, evaluate, make_config, save, write_examples
from trainer.training.diagnostics import ScalarLog

CONFIG = make_config("{ks: [1, 2], slices: [user_gender], gates: [{metric: ndcg@2, min: 0.99}], beat_popularity: null}")


GENDERS = ("F", "$\\frac{$", "<b>bold</b>&amp;", "bell\x07 line\nturn\u202e", "שלום", "x" * 3000)
"""A value of each kind that a table may hold."""


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += [data.strip()] * bool(data.strip())


def _read(path: Path) -> _Text:
    parser = _Text()
    parser.feed(path.read_text())
    return parser


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    folder = tmp_path_factory.mktemp("run")
    events = [Event(user, rank=1 + user % 3, popularity=2, gender=GENDERS[user]) for user in range(6)]
    examples = write_examples(folder / "examples", {"eval": events, "test": events[:3]})
    (evaluation, _) = evaluate(CONFIG, examples, save(folder / "model"), folder)
    counts = {"interactions": {"rows": 1234, "dropped": {"duplicate": 7}}, "splits": {"eval": {"examples": 6}}}
    counts["warnings"] = ["3 of <30> items are in items.csv"]
    sample = {"table": "interactions", "reason": "unparsable t", "file": "data/log.csv", "line": 7, "column": "t"}
    counts["samples"] = [sample | {"value": "<soon>", "expected": "a number"}]
    (examples / "ingest.json").write_text(json.dumps(counts))
    return Artifacts(str(examples), str(_model_run(folder / "model_run")), evaluation)


def _model_run(folder: Path) -> Path:
    balancing = {"weight/like": 0.5, "gradient_cosine/retrieval/like": -0.1, "gate/like/expert_0": 0.25}
    train = {"retrieval": 6.5, "learning_rate": 0.004, "learning_rate/embeddings": 0.1, **balancing}
    for part, metrics in (("train", train), ("eval", {"ndcg@2": 0.5})):
        ScalarLog(str(folder / part)).write(metrics, 118)
    result = {"epochs": 1, "steps": 1118, "train": {}, "evaluation": {}, "best_epoch": 0, "seconds": 2.4}
    result["weights"] = {"like": {"network": 0.8124, "bias": 0.5}}
    result["left_out"] = {"like": {"correlation": "no two items"}}
    (folder / "training.json").write_text(json.dumps(result))
    return folder


def test_holds_every_part_of_the_run(artifacts: Artifacts, tmp_path: Path) -> None:
    outputs = {
        "InteractionExampleGen": {"examples": [SimpleNamespace(uri=artifacts.examples)]},
        "Trainer": {"model": [SimpleNamespace(uri="<model>")], "model_run": [SimpleNamespace(uri=artifacts.model_run)]},
        "Evaluator": {"evaluation": [SimpleNamespace(uri=artifacts.evaluation)]},
    }
    states = {"InteractionExampleGen": "done", "Trainer": "cached", "Evaluator": "done"}
    report_run(tmp_path / "report.html", CONFIG, states, outputs, {"Trainer": "1 epochs"}, "nothing was pushed")
    page = _read(tmp_path / "report.html")
    for word in (
        "toy",
        "nothing was pushed",
        "InteractionExampleGen: 3 of <30> items are in items.csv",
        "interactions: unparsable t",
        "log.csv, line 7: t is '<soon>', expected a number",
        "Not blessed",
        "ndcg@2 on eval, warm users",
        "at least 0.99",
        "eval, 6 warm users",
        "warm, user_gender=F",
        "dropped: duplicate",
        "1,234",
        "cached",
        "<model>",
        "tensorflow-recommenders",
        "stars/rmse",
        "network 0.812, bias 0.5",
        "no two items",
        "train: losses",
        "train: weights of the losses",
        "train: cosines of gradients",
        "eval: retrieval",
    ):
        assert word in page.words, word
    assert not [word for word in page.words if word.startswith(("learning_rate", "gate/"))]
    assert any(word.startswith("1 epochs, 1,118 steps, 2 s") for word in page.words)
    assert page.tags.count("svg") == 3, "bars, slices and curves"


def test_values_of_the_data_stand_in_the_page_as_they_are(artifacts: Artifacts, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", CONFIG, artifacts)
    text, page = (tmp_path / "report.html").read_text(), _read(tmp_path / "report.html")
    assert page.tags.count("svg") == 3, "bars, slices and curves"
    assert "b" not in page.tags
    cut = "warm, user_gender=" + "x" * 181 + "…"
    for value in ("$\\frac{$", "<b>bold</b>&amp;", "bell\\x07 line\\nturn\\u202e", "שלום"):
        assert f"warm, user_gender={value}" in page.words, "in the table"
        assert f"warm, user_gender={value} (1)" in page.words, "in the plot"
    assert cut in page.words
    assert not any(character in text for character in "\x07\u202e")


def test_metrics_for_programs(artifacts: Artifacts, tmp_path: Path) -> None:
    write_metrics(tmp_path / "metrics.json", CONFIG, "run-1", artifacts.evaluation, None, "models/7")
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found | {"splits": 0, "gates": 0} == {
        **{"pipeline": "toy", "run": "run-1", "failed": None, "pushed": "models/7", "blessed": False},
        **{"main": {"metric": "ndcg@1", "split": "eval"}, "splits": 0, "gates": 0},
    }
    second = 1 / math.log2(3)  # the gain of rank 2, where popularity has everybody's target
    for split, users in (("eval", 6), ("test", 3)):
        of = found["splits"][split]
        assert (of["group"], of["users"], of["example_count"]) == ("warm", users, users)
        gains = np.array([1, second, 0] * (users // 3))
        ndcg = of["metrics"]["ndcg@2"]
        assert ndcg["value"] == pytest.approx(gains.mean())
        assert ndcg["standard_error"] == pytest.approx(gains.std(ddof=1) / math.sqrt(users))
        assert ndcg["popularity"] == pytest.approx({"value": second, "standard_error": 0})
        assert ndcg["lift"]["value"] == pytest.approx(gains.mean() - second)
        assert of["metrics"]["stars/rmse"] == {"value": 0.0}
        assert of["metrics"]["like/auc"] == {"value": None}, "all labels are equal"
    gate = {"metric": "ndcg@2", "split": "eval", "group": "warm", "wanted": "at least 0.99", "passed": False}
    assert found["gates"] == [gate | {"found": pytest.approx((1 + second) / 3)}]


def test_a_run_that_failed_early_has_no_metrics(tmp_path: Path) -> None:
    write_metrics(tmp_path / "metrics.json", CONFIG, "run-1", None, "Trainer", None)
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert (found["failed"], found["blessed"], found["splits"], found["gates"]) == ("Trainer", None, {}, [])


def test_distances_have_a_table(tmp_path: Path) -> None:
    distances = (
        Distance("item_id", L_INFINITY, 0.5512, 0.1, "i7"),
        Distance("user_age", JENSEN_SHANNON, None, 0.1),
        Distance("is_positive", JENSEN_SHANNON, 0.0125, 0.1),
    )
    write_comparisons(str(tmp_path), [Comparison("drift", "train", "runs/9", "runs/3", distances)])
    outputs = {"AnomalyGate": {"comparisons": [SimpleNamespace(uri=str(tmp_path))]}}
    report_run(tmp_path / "report.html", CONFIG, {"AnomalyGate": "done"}, outputs)
    page = _read(tmp_path / "report.html")
    wanted = {"Drift and skew", "drift of train", "runs/9", "runs/3", "0.5512", "no values", "✓ near enough"}
    assert wanted | {"✗ too far, most of it by i7", "✗ too far"} <= set(page.words)


def test_a_run_that_failed_early_has_a_page_too(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", CONFIG, Artifacts(), verdict="Trainer failed")
    page = _read(tmp_path / "report.html")
    assert "Trainer failed" in page.words
    assert "svg" not in page.tags
    assert "Evaluation" not in page.words


def test_ranking_tasks_alone_make_a_page(tmp_path: Path) -> None:
    tasks = {name: task for name, task in CONFIG.tasks.items() if name != "retrieval"}
    settings = CONFIG.evaluation.model_copy(update={"gates": ()})
    config = CONFIG.model_copy(update={"tasks": tasks, "evaluation": settings})
    events = [Event(user, 1, 1, like=user / 4, liked=float(user > 1), gender="FM"[user % 2]) for user in range(4)]
    examples = write_examples(tmp_path / "examples", {"eval": events, "test": events})
    evaluation, blessed = evaluate(config, examples, save(tmp_path / "model"), tmp_path)
    write_report(tmp_path / "report.html", config, Artifacts(evaluation=evaluation))
    page = _read(tmp_path / "report.html")
    assert blessed
    assert {"eval, 4 examples of warm users", "eval: like/auc", "example_count on eval, all users"} <= set(page.words)
    assert page.tags.count("svg") == 1, "slices"


def test_the_page_needs_nothing_from_elsewhere(artifacts: Artifacts, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", CONFIG, artifacts)
    text = (tmp_path / "report.html").read_text()
    assert "<script" not in text
    assert "src=" not in text
    assert "@import" not in text


def test_reads_the_curves_of_a_resumed_training(tmp_path: Path) -> None:
    for value in (6.5, 6.25):
        ScalarLog(str(tmp_path / "train")).write({"retrieval": value}, 118)
    ScalarLog(str(tmp_path / "train")).write({"retrieval": 5.5}, 236)
    assert read_curves(str(tmp_path)) == {"train": {"retrieval": [(118, 6.25), (236, 5.5)]}}
