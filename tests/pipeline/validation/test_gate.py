"""TFX's DistributionValidator and the gate behind it, on statistics that were written as StatisticsGen does."""

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import yaml
from tfx import v1 as tfx
from tfx.components.distribution_validator.executor import Executor as DistributionExecutor
from tfx.components.example_validator.executor import ARTIFACT_PROPERTY_BLESSED_KEY
from tfx.types import Artifact, Channel, standard_artifacts

from config import parse_config
from pipeline.runners.local import run_pipeline
from pipeline.validation.components import make_validation
from pipeline.validation.distances import Comparison, Distance, read_comparisons
from pipeline.validation.gate import AnomaliesError
from pipeline.validation.measures import JENSEN_SHANNON, L_INFINITY
from pipeline.validation.schema import infer_schema
from tests.pipeline.validation.conftest import EVAL, ITEMS, TRAIN, Row, Statistics, statistics_artifact, statistics_of
from tests.synthetic import default_config
from trainer.export.eval_requests import set_values

NAN = float("nan")
OLDER = [{**row, "user_age": [row["user_age"][0] + 30]} if "user_age" in row else row for row in TRAIN]


@pytest.fixture(scope="module")
def older(clean: dict[str, Statistics]) -> dict[str, Statistics]:
    """Statistics of an earlier run, whose users were older."""
    return {**clean, "train": statistics_of(OLDER)}


def output(kind: type[Artifact], folder: Path) -> Any:
    artifact = kind()
    artifact.uri = str(folder)
    return artifact


class Run:
    """The components' executors on a run's statistics."""

    def __init__(self, folder: Path, by_split: dict[str, Statistics]) -> None:
        self.folder = folder
        self.statistics = statistics_artifact(folder / "statistics", by_split)
        self.schema = output(standard_artifacts.Schema, folder / "schema")
        Path(self.schema.uri).mkdir()
        tfdv.write_schema_text(infer_schema(by_split), str(folder / "schema" / "schema.pbtxt"))
        self.comparisons = output(standard_artifacts.ExampleAnomalies, folder / "comparisons")

    def validate(self, *references: Any, statistics: Any = None, **pipeline: Any) -> list[Comparison]:
        """Returns the comparisons. Raises AnomaliesError where the run stops."""
        config = parse_config(yaml.safe_dump({**default_config("data"), "pipeline": pipeline}))
        made = make_validation(config, Channel(type=standard_artifacts.Examples))
        inputs = {"statistics": [statistics or self.statistics], "schema": [self.schema]}
        for node in made.components:
            name = {"ExampleValidator": "anomalies", "DriftValidator": "drift", "SkewValidator": "skew"}.get(node.id)
            if name is None:
                continue
            if name == "drift":
                inputs["baseline_statistics"] = inputs["reference"] = list(references)
            if name == "skew":
                inputs["baseline_statistics"] = inputs["statistics"]
            found = output(standard_artifacts.ExampleAnomalies, self.folder / name)
            properties = dict(node.exec_properties)
            node.EXECUTOR_SPEC.executor_class().Do(inputs, {"anomalies": [found]}, properties)
            inputs[name] = [found]
        gate = made.gate
        gate.EXECUTOR_SPEC.executor_class().Do(
            {key: value for key, value in inputs.items() if key in gate.inputs},
            {"comparisons": [self.comparisons]},
            dict(gate.exec_properties),
        )
        return read_comparisons(self.comparisons.uri)

    def blessed(self) -> dict[str, int]:
        anomalies = output(standard_artifacts.ExampleAnomalies, self.folder / "again")
        node = make_validation(
            parse_config(yaml.safe_dump(default_config("data"))), Channel(type=standard_artifacts.Examples)
        ).components[2]
        inputs = {"statistics": [self.statistics], "schema": [self.schema]}
        node.EXECUTOR_SPEC.executor_class().Do(inputs, {"anomalies": [anomalies]}, dict(node.exec_properties))
        return anomalies.get_json_value_custom_property(ARTIFACT_PROPERTY_BLESSED_KEY)


@pytest.fixture
def run(clean: dict[str, Statistics], tmp_path: Path) -> Run:
    return Run(tmp_path, clean)


def test_the_inferred_schema_finds_no_anomaly_in_its_own_data(run: Run) -> None:
    assert run.validate() == []
    assert run.blessed() == {"train": 1, "eval": 1, "items": 1, "test": 1}


def test_anomalies_stop_the_run_and_are_described(run: Run, clean: dict[str, Statistics], tmp_path: Path) -> None:
    swapped = statistics_artifact(tmp_path / "swapped", {**clean, "train": clean["items"]})
    with pytest.raises(AnomaliesError, match=r"(?s)train: `user_id`: Column dropped.*stop_on_anomalies: false"):
        run.validate(statistics=swapped)


def test_anomalies_are_written_where_they_do_not_stop_the_run(
    run: Run, clean: dict[str, Statistics], tmp_path: Path
) -> None:
    run.statistics = statistics_artifact(tmp_path / "swapped", {**clean, "train": clean["items"]})
    assert run.validate(stop_on_anomalies=False) == []
    assert run.blessed() == {"train": 0, "eval": 1, "items": 1, "test": 1}
    assert (tmp_path / "anomalies" / "Split-train" / "SchemaDiff.pb").stat().st_size > 0


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


def test_drift_stops_the_run_and_names_both_statistics(run: Run, older: dict[str, Statistics], tmp_path: Path) -> None:
    earlier = statistics_artifact(tmp_path / "earlier", older)
    with pytest.raises(AnomaliesError) as caught:
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


def test_skew_compares_splits_with_train(run: Run) -> None:
    """The devices of train are 10 `tv` and 5 `pc`, those of eval are all `phone`."""
    with pytest.raises(AnomaliesError, match=r"`context_device`: L-infinity distance 1, .* by 'phone'"):
        run.validate(skew={"features": {"context_device": 0.9}})
    eval_, test = run.validate(skew={"features": {"context_device": 0.9}, "stop": False})
    assert (eval_.split, test.split) == ("eval", "test")
    assert eval_.statistics == f"{run.statistics.uri}/Split-eval"
    assert eval_.reference == test.reference == f"{run.statistics.uri}/Split-train"
    (only,) = run.validate(skew={"threshold": 1, "splits": ["test"]})
    assert only.split == "test"


def test_only_what_stops_the_run_is_in_the_error(run: Run, older: dict[str, Statistics], tmp_path: Path) -> None:
    skew = {"features": {"context_device": 0.9}}
    with pytest.raises(AnomaliesError) as caught:
        run.validate(statistics_artifact(tmp_path / "earlier", older), drift={"threshold": 0, "stop": False}, skew=skew)
    assert "drift" not in str(caught.value)


def test_splits_without_examples_are_not_compared(clean: dict[str, Statistics], tmp_path: Path) -> None:
    run = Run(tmp_path, {**clean, "test": statistics_of([])})
    (only,) = run.validate(skew={"threshold": 1}, stop_on_anomalies=False)
    assert only.split == "eval"
    with pytest.raises(AnomaliesError, match="test: has no example"):
        run.validate()


def distances(tmp_path: Path, rows: list[Row], reference: list[Row], threshold: float = 0.1) -> list[Distance]:
    """The distances of `item_id` and `user_age` in the training examples."""
    found, earlier = (statistics_of(split) for split in (rows, reference))
    run = Run(tmp_path, {"train": found})
    features = {"item_id": threshold, "user_age": threshold}
    (train,) = run.validate(
        statistics_artifact(tmp_path / "earlier", {"train": earlier}),
        drift={"features": features, "stop": False},
        stop_on_anomalies=False,
    )
    return list(train.distances)


def numbers(*values: float) -> list[Row]:
    return [{"user_age": [value]} for value in values]


def test_l_infinity_is_the_largest_difference_of_a_share_over_all_events(tmp_path: Path) -> None:
    windows = [{"item_id": ["a", "a", "a"]}, {"item_id": ["b", "c"]}]  # shares .6, .2, .2
    reference = [{"item_id": ["a"]}, {"item_id": ["b", "b", "b"]}]  # shares .25, .75
    (found,) = distances(tmp_path, windows, reference)
    assert found == Distance("item_id", L_INFINITY, pytest.approx(0.55), 0.1, "b")
    assert found.is_too_far


def test_jensen_shannon_of_uniform_numbers(tmp_path: Path) -> None:
    """P is 1/10 on [0, 10], Q is 1/5 on [0, 5]; M, their mean, has shares 3/4 and 1/4 of the halves.

    KL(P, M) = 1/2 log2(2/3) + 1/2 log2(2), KL(Q, M) = log2(4/3), and the divergence is half of their sum: .3113.
    """
    wide, narrow = numbers(*(n / 100 for n in range(1001))), numbers(*(n / 100 for n in range(501)))
    (found,) = distances(tmp_path, wide, narrow)
    assert found == Distance("user_age", JENSEN_SHANNON, pytest.approx(0.3113, abs=0.002), 0.1)


def test_missing_numbers_of_events_are_values(tmp_path: Path) -> None:
    """Shares 1/2 and 1/2 beside 1: M has 3/4 and 1/4, as above."""
    (found,) = distances(tmp_path, numbers(1.0, NAN), numbers(1.0, 1.0))
    assert found.found == pytest.approx(0.3113, abs=1e-4)


@pytest.mark.parametrize(
    ("values", "reference"),
    [
        ([*[float(n % 50) for n in range(1000)], 10_000.0], [float(n % 50) for n in range(1000)]),
        ([*[1.0] * 999, 0.0], [1.0] * 1000),
    ],
    ids=["one outlier", "nearly constant"],
)
def test_single_values_are_no_drift(tmp_path: Path, values: list[float], reference: list[float]) -> None:
    (found,) = distances(tmp_path, numbers(*values), numbers(*reference))
    assert found.found is not None
    assert found.found < 0.1


def test_equal_distributions_have_no_distance(tmp_path: Path) -> None:
    rows = [{"item_id": ["a", "b"], "user_age": [float(n)]} for n in range(20)]
    found = distances(tmp_path, rows, rows, threshold=0)
    assert [(distance.feature, distance.found) for distance in found] == [("item_id", 0), ("user_age", 0)]
    assert not any(distance.is_too_far for distance in found)


def test_missing_values_are_too_far_and_new_features_have_no_distance(tmp_path: Path) -> None:
    (gone,) = distances(tmp_path, numbers(1.0), [{"item_id": ["a"]}], threshold=1)
    assert gone == Distance("item_id", L_INFINITY, None, 1)
    assert gone.is_too_far


def test_distribution_validator_is_tfx_own() -> None:
    config = parse_config(yaml.safe_dump({**default_config("data"), "pipeline": {"drift": {"threshold": 0.1}}}))
    made = make_validation(config, Channel(type=standard_artifacts.Examples))
    (drift,) = (node for node in made.components if node.id == "DriftValidator")
    assert issubclass(drift.EXECUTOR_SPEC.executor_class, DistributionExecutor)
    assert json.loads(drift.exec_properties["include_split_pairs"]) is None


def test_a_first_run_passes_with_drift_and_skew_and_is_cached(tmp_path: Path) -> None:
    for split, rows in {"train": TRAIN, "eval": EVAL, "test": EVAL, "items": ITEMS}.items():
        file = tmp_path / "examples" / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"
        file.parent.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(file), "GZIP") as writer:
            for row in rows:
                example = tf.train.Example()
                for name, values in row.items():
                    set_values(example, name, [v.encode() if isinstance(v, str) else v for v in values])
                writer.write(example.SerializeToString())
    importer = tfx.dsl.Importer(
        source_uri=str(tmp_path / "examples"),
        artifact_type=standard_artifacts.Examples,
        properties={"split_names": '["train", "eval", "test", "items"]'},
    ).with_id("examples")
    settings = {"drift": {"threshold": 0}, "skew": {"threshold": 1}}
    config = parse_config(yaml.safe_dump({**default_config("data"), "pipeline": settings}))

    def build() -> tfx.dsl.Pipeline:
        components = [importer, *make_validation(config, importer.outputs["result"]).components]
        return tfx.dsl.Pipeline("toy", str(tmp_path / "root"), components=components, enable_cache=True)

    outcome = run_pipeline(build, tmp_path)
    assert (outcome.failed, outcome.message) == (None, "")
    assert outcome.states["DriftValidator"] == outcome.states["AnomalyGate"] == "done"
    found = read_comparisons(outcome.outputs["AnomalyGate"]["comparisons"][0].uri)
    assert [(comparison.kind, comparison.split) for comparison in found] == [("skew", "eval"), ("skew", "test")]
    again = run_pipeline(build, tmp_path)
    names = ("SchemaGen", "ExampleValidator", "DriftValidator", "SkewValidator", "AnomalyGate")
    assert [again.states[name] for name in names] == ["cached"] * 5
