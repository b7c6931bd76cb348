import json

import numpy as np

from pipeline.evaluation.eval_config import make_eval_config
from pipeline.evaluation.list_metrics import ListMeans, list_rows
from tests.pipeline.evaluation.runs import make_config

NAMES = ["novelty@1", "novelty@2", "intra_list_distance@1", "intra_list_distance@2"]
OUTPUTS = {
    "retrieval_weight": np.array([1.0, 0.0, 1.0]),
    "novelty": np.array([[1.0, 2.0], [9, 9], [3, 4]]),
    "intra_list_distance": np.array([[np.nan, 0.5], [9, 9], [np.nan, np.nan]]),
    "popularity_novelty": np.array([[0.0, 0.5], [9, 9], [0, 0.5]]),
}


def test_only_the_listed_ks_are_measured() -> None:
    def measured(evaluation: str) -> list[str]:
        specs = make_eval_config(make_config(evaluation)).metrics_specs
        return [json.loads(s.metrics[0].config)["names"] for s in specs if s.metrics[0].class_name == "ListMetrics"]

    assert measured("{ks: [10, 200]}") == [["novelty@10"]]
    assert measured("{ks: [200]}") == []


def test_lists_of_positive_targets_count() -> None:
    rows = list_rows(NAMES, OUTPUTS)
    np.testing.assert_array_equal(rows[:, :4], [[1, 2, np.nan, 0.5], [3, 4, np.nan, np.nan]])
    np.testing.assert_array_equal(rows[:, 4:6], [[0, 0.5], [0, 0.5]])
    assert np.isnan(rows[:, 6:]).all()


def test_undefined_figures_do_not_count() -> None:
    means = ListMeans(NAMES)
    rows = list_rows(NAMES, OUTPUTS)[:, :4]
    merged = means.merge([means.add(means.start(), rows[:1]), means.add(means.start(), rows[1:])])
    found = means.read(merged)
    assert [found[name] for name in ("novelty@1", "novelty@2", "intra_list_distance@2")] == [2, 3, 0.5]
    assert np.isnan(found["intra_list_distance@1"])
