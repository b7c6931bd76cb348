import numpy as np
import pytest

from pipeline.evaluation.eval_config import make_eval_config
from pipeline.evaluation.request_metrics import FormsFold, MetricFold, RankFold, request_answers, request_events
from tests.pipeline.evaluation.runs import make_config
from trainer.metrics.names import check_gates, direction, known_metrics
from trainer.metrics.request_forms import request_forms

FORMS = ("everything", "ids_alone")
NAN = np.nan
OUTPUTS = {
    "user_key": np.array([1, 2, 3, 4]),
    "target_count": np.ones(4),
    "retrieval_weight": np.array([1.0, 1.0, 1.0, 0.0]),
    "request_rank": np.array([[1.0, 4.0], [NAN, NAN], [3.0, np.inf], [1.0, 1.0]]),
    "request_stars": np.array([[3.0, 5.0], [NAN, NAN], [2.0, 2.0], [1.0, 1.0]]),
}
LABELS = {"target_label_stars": np.array([4.0, 1.0, 2.0, 1.0]), "target_weight_stars": np.array([1.0, 1.0, 1.0, 0.0])}


def metrics(fold, rows):
    """Of rows in two batches that are merged, one of them empty."""
    return fold.read(fold.merge([fold.add(fold.start(), rows), fold.start()]))


def test_ranks_in_every_form_are_averaged_over_the_users_that_were_asked_for() -> None:
    found = metrics(FormsFold(FORMS, RankFold((3, 5), one_list=False)), request_events(2, OUTPUTS))
    assert [found[f"everything_hr@{k}"] for k in (3, 5)] == [1, 1]
    assert [found[f"ids_alone_recall@{k}"] for k in (3, 5)] == [0, 0.5]
    np.testing.assert_allclose(found["everything_ndcg@5"], (1 + 1 / 2) / 2)
    np.testing.assert_allclose(found["ids_alone_ndcg@5"], 1 / np.log2(5) / 2)
    np.testing.assert_allclose(found["stderr_everything_ndcg@5"], 0.25)
    assert not any("mrr" in name or "lift" in name for name in found)


def test_predictions_in_every_form_are_those_of_labelled_targets() -> None:
    found = metrics(FormsFold(FORMS, MetricFold("rmse")), request_answers(2, OUTPUTS, LABELS, "stars"))
    np.testing.assert_allclose(found["everything_rmse"], np.sqrt(1 / 2))
    np.testing.assert_allclose(found["ids_alone_rmse"], np.sqrt(1 / 2))
    assert set(found) == {"everything_rmse", "ids_alone_rmse"}


def test_a_model_that_does_not_answer_for_forms_has_no_figures() -> None:
    old = {name: values for name, values in OUTPUTS.items() if not name.startswith("request_")}
    assert np.isnan(metrics(FormsFold(FORMS, RankFold((3,), one_list=True)), request_events(2, old))["ids_alone_hr@3"])
    found = metrics(FormsFold(FORMS, MetricFold("auc")), request_answers(2, old, LABELS, "stars"))
    assert np.isnan(found["everything_auc"])


def test_gates_may_name_the_figures_of_forms() -> None:
    gates = "[{metric: ids_alone_ndcg@10, min: .1}, {metric: stars/month_later_rmse, max_regression: .1}]"
    config = make_config(f"{{ks: [10], gates: {gates}}}")
    assert check_gates(config) == []
    specs = {(spec.metrics[0].class_name, *spec.output_names): spec for spec in make_eval_config(config).metrics_specs}
    assert list(specs["RequestMetrics",].per_slice_thresholds) == ["ids_alone_ndcg@10"]
    assert list(specs["RequestTaskMetrics", "stars"].per_slice_thresholds) == ["month_later_rmse"]
    assert ("RequestTaskMetrics", "order") not in specs
    assert direction("stars/month_later_rmse") == "lower"
    assert direction("ids_alone_hr@10") == "higher"


@pytest.mark.parametrize(
    ("evaluation", "extra", "forms"),
    [
        ("{}", "", 6),
        ("{requests: 0}", "", 0),
        ("{}", "timeless", 2),
    ],
)
def test_there_is_a_form_where_it_differs(evaluation: str, extra: str, forms: int) -> None:
    config = make_config(evaluation)
    if extra:
        interactions = config.data.interactions.model_copy(update={"time": None})
        config = config.model_copy(update={"data": config.data.model_copy(update={"interactions": interactions})})
    assert len(request_forms(config)) == forms
    assert any("ids_alone" in name for name in known_metrics(config)) == (forms > 0)
