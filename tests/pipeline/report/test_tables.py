import math

from pipeline.evaluation.results import Figure
from pipeline.report.plots import Estimate
from pipeline.report.tables import by_slice, compared, headline_rows, leaves, text

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
    places = [("eval", "all"), ("eval", "warm"), ("eval", "warm, user_x=b"), ("eval", "cold"), ("test", "all")]
    found = by_slice([Figure(split, place, "mrr", 1.0) for split, place in sorted(places, reverse=True)])
    assert list(found) == places


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
