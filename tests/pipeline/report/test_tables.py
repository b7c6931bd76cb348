import math

from pipeline.evaluation.results import Metric
from pipeline.report.plots import Estimate
from pipeline.report.tables import by_slice, compared, headline_rows, leaves, request_table, text
from trainer.metrics.request_forms import of_form

VALUES = {
    "users": 3.0,
    "mrr": 0.25,
    "stderr_mrr": 0.05,
    "popularity_mrr": 0.125,
    "stderr_popularity_mrr": math.nan,
    "lift_mrr": 0.125,
    "like/auc": math.nan,
}


def test_slices_stand_in_reading_order() -> None:
    slices = [("eval", "all"), ("eval", "warm"), ("eval", "warm, user_x=b"), ("eval", "cold"), ("test", "all")]
    found = by_slice([Metric(split, name, "mrr", 1.0) for split, name in sorted(slices, reverse=True)])
    assert list(found) == slices


def test_a_row_holds_model_popularity_and_lift() -> None:
    assert compared(VALUES) == ["mrr"]
    assert headline_rows(VALUES) == [
        ("mrr", "0.2500 ± 0.0500", "0.1250", "0.1250"),
        ("like/auc", "undefined", "", ""),
    ]


def test_counts_are_printed_as_counts() -> None:
    assert text(Estimate(1943.0, math.nan)) == "1,943"
    assert text(Estimate(1.0, math.nan)) == "1.0000"


def test_nested_counts_become_lines() -> None:
    counts = {"rows": 10, "dropped": {"bad_time": {"empty": 1}, "duplicate": 2}}
    assert leaves(counts) == [("rows", 10), ("dropped: bad time: empty", 1), ("dropped: duplicate", 2)]


def test_requests_have_a_row_for_each_form() -> None:
    forms = {"everything": (0.5, 0.25, 0.9, 1.0), "ids_alone": (0.4, 0.125, math.nan, 1.5)}
    names = ("hr@10", "ndcg@10", "recall@100", "rating/rmse")
    values = {of_form(form, name): v for form, found in forms.items() for name, v in zip(names, found, strict=True)}
    values |= {"stderr_everything_hr@10": 0.01, "everything_hr@100": 0.9, "rating/rmse": 1.0, "mrr": 0.1}
    metrics, rows = request_table(values)
    assert metrics == ["hr@10", "ndcg@10", "recall@100", "rating/rmse"]
    assert rows == [
        ("everything", ["0.5000 ± 0.0100", "0.2500", "0.9000", "1.0000"]),
        ("ids of user and items alone", ["0.4000", "0.1250", "undefined", "1.5000"]),
    ]
    assert [row.metric for row in headline_rows(values)] == ["rating/rmse"]
    assert request_table(VALUES).rows == []
