from pathlib import Path

from pipeline.validation.comparison import Comparison, Distance, read_comparisons, write_comparisons
from pipeline.validation.measures import JENSEN_SHANNON, L_INFINITY


def test_comparisons_are_kept(tmp_path: Path) -> None:
    distances = (Distance("item_id", L_INFINITY, 0.5, 0.1, "i7"), Distance("user_age", JENSEN_SHANNON, None, 0.1))
    comparisons = [
        Comparison("drift", "train", "runs/9", "runs/3", distances),
        Comparison("skew", "eval", "a", "b", ()),
    ]
    write_comparisons(str(tmp_path), comparisons)
    assert read_comparisons(str(tmp_path)) == comparisons
