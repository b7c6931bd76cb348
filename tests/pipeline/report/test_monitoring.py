"""The dashboard and the alert rules name metrics that exist."""

import json
import re
from pathlib import Path

import pytest
import yaml

from pipeline.online import prometheus as online
from pipeline.report import prometheus as run
from serving.server.calls import Metrics

FOLDER = Path(__file__).parents[3] / "deploy" / "monitoring"
NAME = re.compile(r"(?<![\w:])(?:recommender_\w+|:tensorflow:serving:\w+)")
LABELS = re.compile(r"(recommender_\w+|:tensorflow:serving:\w+)\{([^}]*)\}")


def expressions(file: str) -> list[str]:
    if file.endswith(".yaml"):
        groups = yaml.safe_load((FOLDER / file).read_text())["groups"]
        return [rule["expr"] for group in groups for rule in group["rules"]]
    dashboard = json.loads((FOLDER / file).read_text())
    queries = [variable["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    return queries + [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", [])]


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """The labels of every metric by its name: of runs, of the job `online`, and of a server that was asked once."""
    labels = {}
    for module in (run, online):
        labels |= {module.PREFIX + name: {"pipeline", *own} for name, (own, _) in module.METRICS.items()}
    served = Metrics()
    with served.measured("recommender", "GRPC"):
        pass
    for name, of in re.findall(r"^(:tensorflow:serving:\w+)\{(.*)\}", served.page().decode(), re.M):
        labels[name] = set(re.findall(r"(\w+)=", of))
    return labels


@pytest.mark.parametrize("file", ["grafana-dashboard.json", "alerts.yaml"])
def test_a_file_names_metrics_and_labels_that_exist(file: str, known: dict[str, set[str]]) -> None:
    found = expressions(file)
    assert len(found) > 5
    for expression in found:
        names = NAME.findall(expression)
        assert names, expression
        assert set(names) <= set(known), expression
        for name, matchers in LABELS.findall(expression):
            assert set(re.findall(r"(\w+)\s*=~?", matchers)) <= known[name], expression
        labels = [label for name in names for label in known[name]]
        for group in re.findall(r"(?:by|ignoring) \(([^)]*)\)|ignoring\((\w+)\)", expression):
            assert set(re.findall(r"\w+", " ".join(group))) <= set(labels), expression
