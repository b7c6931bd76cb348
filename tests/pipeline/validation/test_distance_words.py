from pipeline.validation.comparison import Comparison, Distance
from pipeline.validation.distance_words import distribution_message, summary
from pipeline.validation.measures import JENSEN_SHANNON, L_INFINITY

NEAR = Distance("is_positive", JENSEN_SHANNON, 0.0125, 0.1)
FAR = Distance("item_id", L_INFINITY, 0.5512, 0.1, "i7")
GONE = Distance("user_age", JENSEN_SHANNON, None, 0.1)
DRIFT = Comparison("drift", "train", "statistics/9/Split-train", "statistics/3/Split-train", (NEAR, FAR))
SKEW = Comparison("skew", "eval", "statistics/9/Split-eval", "statistics/9/Split-train", (GONE,))


def test_the_message_names_features_distances_artifacts_and_what_to_do() -> None:
    assert distribution_message([DRIFT, SKEW]) == (
        "2 distributions are too far from the reference:\n"
        "  drift of train: statistics/9/Split-train from statistics/3/Split-train\n"
        "    `item_id`: L-infinity distance 0.551, threshold 0.1, most of it by 'i7'\n"
        "  skew of eval: statistics/9/Split-eval from statistics/9/Split-train\n"
        "    `user_age`: no values to compare, and the reference has some\n"
        "Correct the data. Where the change is meant, raise the thresholds in `pipeline.drift.features` and "
        "`pipeline.skew.features`; `pipeline.drift.stop: false` and `pipeline.skew.stop: false` let the run go on."
    )
    assert distribution_message([SKEW]).endswith(
        "raise the thresholds in `pipeline.skew.features`; `pipeline.skew.stop: false` lets the run go on."
    )


def test_nothing_too_far_has_no_message() -> None:
    assert distribution_message([Comparison("skew", "test", "a", "b", (NEAR,))]) == ""


def test_the_summary_is_a_line() -> None:
    assert summary([]) == "nothing to compare with"
    near = Comparison("skew", "test", "a", "b", (NEAR, Distance("label_like", JENSEN_SHANNON, 0.0, 0.1)))
    assert summary([near]) == (
        "2 distances, nearest to its threshold: skew of test: `is_positive`: Jensen-Shannon divergence 0.0125, "
        "threshold 0.1"
    )
    many = Comparison("drift", "train", "a", "b", (FAR,) * 4)
    far = "drift of train: `item_id`: L-infinity distance 0.551, threshold 0.1, most of it by 'i7'"
    assert summary([near, many]) == f"too far: {far}; {far}; {far}; 1 more"
