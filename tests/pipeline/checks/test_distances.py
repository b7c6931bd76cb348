from typing import Any

import pytest
import yaml

from config import ConfigError, parse_config
from config.errors import show
from pipeline.checks.configuration import check_distances
from tests.synthetic import default_config

WINDOWS = (
    "user_id, item_id, user_age, user_gender, context_device, outcome_rating, is_positive, label_rating, label_like"
)


def text(**pipeline: Any) -> str:
    return yaml.safe_dump({**default_config("data"), "pipeline": pipeline}, sort_keys=False)


def problems(**pipeline: Any) -> list[str]:
    return [f"{show(location)}: {message}" for location, message in check_distances(parse_config(text(**pipeline)))]


def test_off_and_well() -> None:
    assert problems() == []
    assert problems(drift={"threshold": 0.1}, skew={"features": {"user_age": 0.1}, "splits": ["test"]}) == []
    assert problems(drift={"features": {"item_year": 0.1, "label_like": 0}}) == []
    assert problems(drift={}, schema_file="with-comparators.pbtxt") == []


def test_an_unknown_feature() -> None:
    assert problems(drift={"features": {"user_aeg": 0.1}}) == [
        f"pipeline.drift.features.user_aeg: should name a feature that distances are measured of ({WINDOWS}, "
        "item_genres, item_year). Did you mean `user_age`? Received: 'user_aeg'"
    ]


@pytest.mark.parametrize("name", ["time", "item_title", "split", "session_page"])
def test_a_feature_that_has_no_distance(name: str) -> None:
    (problem,) = problems(drift={"features": {name: 0.1}})
    assert problem.startswith(f"pipeline.drift.features.{name}: should name a feature that distances are measured of (")
    assert problem.endswith(f"Received: {name!r}")


def test_skew_is_not_of_the_catalogue() -> None:
    (problem,) = problems(skew={"features": {"item_year": 0.1}})
    assert problem.startswith(
        f"pipeline.skew.features.item_year: should name a feature that distances are measured of ({WINDOWS})"
    )


def test_something_is_to_be_compared() -> None:
    assert problems(drift={"stop": False}, skew={"threshold": 0.1, "splits": []}) == [
        "pipeline.drift: should have `threshold`, `features` or both, or `schema_file` a schema with comparators",
        "pipeline.skew.splits: should name `eval`, `test` or both. Received: []",
    ]


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        ({"threshold": 1.5}, r"`pipeline\.drift\.threshold`: should be less than or equal to 1\. Received: 1\.5"),
        (
            {"features": {"item_id": -1}},
            r"`pipeline\.drift\.features\.item_id`: should be greater than .* Received: -1",
        ),
        ({"treshold": 0.1}, r"`pipeline\.drift\.treshold`: unknown key\. Did you mean `threshold`\?"),
    ],
)
def test_thresholds_are_shares(drift: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        parse_config(text(drift=drift))
