import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow_data_validation as tfdv
import yaml
from tfx.types import standard_artifacts

from config import dump_config, parse_config
from config.dump import DISTRIBUTIONS
from pipeline.validation.comparison import Comparison, read_comparisons
from pipeline.validation.distance_words import DistributionError
from pipeline.validation.distribution_validator import Executor
from pipeline.validation.inference import infer_schema
from tests.pipeline.validation.conftest import TRAIN, Statistics, statistics_artifact, statistics_of
from tests.synthetic import default_config

OLDER = [{**row, "user_age": [row["user_age"][0] + 30]} if "user_age" in row else row for row in TRAIN]


@pytest.fixture(scope="module")
def older(clean: dict[str, Statistics]) -> dict[str, Statistics]:
    """Of an earlier run, whose users were older."""
    return {**clean, "train": statistics_of(OLDER)}


class Run:
    """The executor on a run's statistics."""

    def __init__(self, folder: Path, by_split: dict[str, Statistics]) -> None:
        self.folder = folder
        self.statistics = statistics_artifact(folder / "statistics", by_split)
        self.schema = standard_artifacts.Schema()
        self.schema.uri = str(folder / "schema")
        Path(self.schema.uri).mkdir()
        tfdv.write_schema_text(infer_schema(by_split), str(folder / "schema" / "schema.pbtxt"))
        self.anomalies = standard_artifacts.ExampleAnomalies()
        self.anomalies.uri = str(folder / "anomalies")

    def validate(self, *references: Any, **pipeline: Any) -> list[Comparison]:
        """What was compared. Raises DistributionError where the run stops."""
        config = parse_config(yaml.safe_dump({**default_config("data"), "pipeline": pipeline}))
        inputs = {"statistics": [self.statistics], "schema": [self.schema], "reference": list(references)}
        properties = {"config": dump_config(config, *DISTRIBUTIONS)}
        Executor().Do(inputs, {"anomalies": [self.anomalies]}, properties)
        return read_comparisons(self.anomalies.uri)


@pytest.fixture
def run(clean: dict[str, Statistics], tmp_path: Path) -> Run:
    return Run(tmp_path, clean)


def test_the_first_run_has_nothing_to_be_compared_with(run: Run) -> None:
    assert run.validate(drift={"threshold": 0}) == []


def test_a_run_without_drift_passes(run: Run, clean: dict[str, Statistics], tmp_path: Path) -> None:
    earlier = statistics_artifact(tmp_path / "earlier", clean)
    train, items = run.validate(earlier, drift={"threshold": 0})
    assert (train.kind, train.split, train.statistics) == ("drift", "train", f"{run.statistics.uri}/Split-train")
    assert train.reference == f"{earlier.uri}/Split-train"
    assert {"item_id", "user_age", "user_gender", "context_device", "is_positive"} <= {
        distance.feature for distance in train.distances
    }
    assert items.split == "items"
    assert [distance.feature for distance in items.distances] == ["item_genres", "item_year"]
    assert json.loads(run.anomalies.split_names) == ["drift_train", "drift_items"]
    assert Path(run.anomalies.uri, "SplitPair-drift_train", "SchemaDiff.pb").stat().st_size > 0


def test_drift_stops_the_run_and_says_where(run: Run, older: dict[str, Statistics], tmp_path: Path) -> None:
    earlier = statistics_artifact(tmp_path / "earlier", older)
    with pytest.raises(DistributionError) as caught:
        run.validate(earlier, drift={"threshold": 0.2})
    assert str(caught.value) == (
        "1 distribution is too far from the reference:\n"
        f"  drift of train: {run.statistics.uri}/Split-train from {earlier.uri}/Split-train\n"
        "    `user_age`: Jensen-Shannon divergence 1, threshold 0.2\n"
        "Correct the data. Where the change is meant, raise the thresholds in `pipeline.drift.features`; "
        "`pipeline.drift.stop: false` lets the run go on."
    )


@pytest.mark.parametrize(
    "drift",
    [{"threshold": 0.2, "stop": False}, {"threshold": 0.2, "features": {"user_age": 1}}, {"features": {"item_id": 0}}],
    ids=["reported only", "a threshold of its own", "not compared"],
)
def test_drift_that_is_allowed_lets_the_run_go_on(
    run: Run, older: dict[str, Statistics], tmp_path: Path, drift: dict[str, Any]
) -> None:
    train, _ = run.validate(statistics_artifact(tmp_path / "earlier", older), drift=drift)
    assert [distance.feature for distance in train.too_far] == ([] if "features" in drift else ["user_age"])


def test_skew_is_of_splits_against_train(run: Run) -> None:
    """Devices of train: 10 `tv`, 5 `pc`; of eval: `phone` alone."""
    with pytest.raises(DistributionError, match=r"`context_device`: L-infinity distance 1, .* by 'phone'"):
        run.validate(skew={"features": {"context_device": 0.9}})
    eval_, test = run.validate(skew={"features": {"context_device": 0.9}, "stop": False})
    assert (eval_.split, test.split) == ("eval", "test")
    assert eval_.statistics == f"{run.statistics.uri}/Split-eval"
    assert eval_.reference == test.reference == f"{run.statistics.uri}/Split-train"
    (only,) = run.validate(skew={"threshold": 1, "splits": ["test"]})
    assert only.split == "test"


def test_only_what_stops_is_in_the_error(run: Run, older: dict[str, Statistics], tmp_path: Path) -> None:
    skew = {"features": {"context_device": 0.9}}
    with pytest.raises(DistributionError) as caught:
        run.validate(statistics_artifact(tmp_path / "earlier", older), drift={"threshold": 0, "stop": False}, skew=skew)
    assert "drift" not in str(caught.value)


def test_splits_without_examples_are_not_compared(clean: dict[str, Statistics], tmp_path: Path) -> None:
    run = Run(tmp_path, {**clean, "test": statistics_of([])})
    (only,) = run.validate(skew={"threshold": 1})
    assert only.split == "eval"
