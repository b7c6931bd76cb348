from typing import get_args

import pytest
import yaml

from benchmarks.console import wide_console
from benchmarks.peers.evaluation import State
from benchmarks.quality.__main__ import _cell, _table
from benchmarks.quality.studies import ROOT, Study, read_studies


@pytest.mark.parametrize(
    ("study", "variant"), [(name, variant) for name, study in read_studies().items() for variant in study.variants]
)
def test_every_variant_is_a_configuration_of_the_shipped_one(study, variant):
    config = read_studies()[study].configuration(variant, seed=7)
    assert config.training.seed == 7
    assert config.pipeline.root == ROOT


def test_a_variants_changes_come_after_those_of_all(tmp_path):
    file = tmp_path / "log.yaml"
    tasks = {"retrieval": {"kind": "retrieval"}, "like": {"kind": "binary", "label": "rating >= 4"}}
    data = {"folder": "data", "interactions": {"path": "log.csv"}}
    file.write_text(yaml.safe_dump({"name": "log", "data": data, "tasks": tasks}))
    base = {"model.history.layers": 2, "model.dimension": 32}
    study = Study("", str(file), (), {"small": {"tasks.like": None, "model.history.layers": 3}}, base)
    config = study.configuration("small", seed=1)
    assert set(config.tasks) == {"retrieval"}
    assert config.model.history.layers == 3
    assert config.model.dimension == 32


def test_peers_are_compared_in_states_that_they_know():
    states = {name: study.peers for name, study in read_studies().items() if study.peers}
    assert set(states) == {"movielens", "global-time", "ratings", "sparse", "choices"}
    assert {state for known in states.values() for state in known} <= set(get_args(State))


def test_a_cell_holds_mean_and_deviation():
    assert _cell([0.1, 0.2, 0.3]) == ".2000 ±.1000"
    assert _cell([0.9]) == ".9000"


def test_metrics_that_a_variant_does_not_have_stay_empty():
    training = {"seconds": 10.0, "epochs": 2}
    runs = [{"metrics": {"test": {"rating/rmse": rmse}}, "training": training} for rmse in (0.9, 1.0)]
    console = wide_console(80)
    with console.capture() as captured:
        console.print(_table(Study("a title", "", ("ndcg@10", "rating/rmse"), {}), {"ratings alone": runs}))
    assert captured.get().splitlines()[-1].split() == ["ratings", "alone", ".9500", "±.0707", "10", "5.0"]


def test_a_study_of_requests_has_a_row_for_every_form():
    metrics = {"everything_hr@10": 0.5, "ids_alone_hr@10": 0.4, "rating/ids_alone_rmse": 1.25}
    runs = [{"metrics": {"test": metrics}, "training": {"seconds": 10.0, "epochs": 2}}]
    console = wide_console(100)
    with console.capture() as captured:
        console.print(_table(Study("", "", ("hr@10", "rating/rmse"), {}, by_request=True), {"plain": runs}))
    rows = {line[:50].strip(): line[50:].split() for line in captured.get().splitlines() if "plain: " in line}
    assert rows["plain: everything"] == [".5000", "10", "5.0"]
    assert rows["plain: ids of user and items alone"] == [".4000", "1.2500"]
    assert len(rows) == 6
