import json
from pathlib import Path
from typing import Any

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tensorflow.core.protobuf import saved_model_pb2
from tfx import v1 as tfx
from tfx.dsl.components.common.resolver import RESOLVER_CONFIG
from tfx.types import standard_artifacts

from config import parse_config
from pipeline.evaluation.baseline import (
    BLESSING,
    CANDIDATE,
    MODEL,
    BaselineError,
    BlessedBeforeCandidate,
    blessed_before,
)

CONFIG: dict[str, Any] = {"name": "shop", "data": {"folder": "shop", "interactions": {"path": "events.csv"}}}


class Trainings:
    """A store of ML Metadata in memory; models get the ids 1, 2, ..."""

    def __init__(self) -> None:
        self.store = MetadataStore(mlmd.ConnectionConfig(fake_database=mlmd.FakeDatabaseConfig()))
        self._trainer = self.store.put_execution_type(mlmd.ExecutionType(name="Trainer"))

    def model(self, uri: str = "", **config: Any) -> standard_artifacts.Model:
        """A model that was trained with sections of the configuration."""
        model = standard_artifacts.Model()
        model.type_id, model.uri = self.store.put_artifact_type(model.artifact_type), uri
        (model.id,) = self.store.put_artifacts([model.mlmd_artifact])
        training = mlmd.Execution(type_id=self._trainer)
        custom_config = json.dumps({"config": json.dumps({**CONFIG, **config})})
        training.custom_properties["custom_config"].string_value = custom_config
        (number,) = self.store.put_executions([training])
        made = mlmd.Event(artifact_id=model.id, execution_id=number, type=mlmd.Event.OUTPUT)
        self.store.put_events([made])
        return model

    def push(self, model: standard_artifacts.Model, folder: Path) -> None:
        """Records that the model was pushed as a version."""
        pushed = standard_artifacts.PushedModel()
        pushed.set_string_custom_property("pushed_destination", str(folder))
        pushed.type_id = self.store.put_artifact_type(pushed.artifact_type)
        (number,) = self.store.put_artifacts([pushed.mlmd_artifact])
        (push,) = self.store.put_executions([mlmd.Execution(type_id=self._trainer)])
        read = mlmd.Event(artifact_id=model.id, execution_id=push, type=mlmd.Event.INPUT)
        read.path.steps.add().key = "model"
        self.store.put_events([read, mlmd.Event(artifact_id=number, execution_id=push, type=mlmd.Event.OUTPUT)])


def _blessing(model: int, is_blessed: bool) -> standard_artifacts.ModelBlessing:
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", int(is_blessed))
    blessing.set_int_custom_property("current_model_id", model)
    return blessing


@pytest.mark.parametrize(
    ("blessed", "candidate", "expected"),
    [
        ({1, 2, 3}, 3, [2]),  # the candidate itself, blessed in an earlier run, is not what it has to measure up to
        ({1}, 3, [1]),
        ({1, 2, 3}, 2, [1]),  # nor is anything newer
        ({3}, 3, []),
        (set(), 3, []),
        ({1, 2, 3}, 1, []),
    ],
)
def test_resolves_the_latest_blessed_model_before_the_candidate(
    blessed: set[int], candidate: int, expected: list[int]
) -> None:
    trainings = Trainings()
    models = {number: trainings.model() for number in (1, 2, 3)}
    found = BlessedBeforeCandidate().resolve_artifacts(
        trainings.store,
        {
            CANDIDATE: [models[candidate]],
            MODEL: list(models.values()),
            BLESSING: [_blessing(number, number in blessed) for number in models],
        },
    )
    assert [model.id for model in found[MODEL]] == expected
    assert [b.get_int_custom_property("current_model_id") for b in found[BLESSING]] == expected


def _saved(folder: Path, **signatures: list[str]) -> str:
    """The folder of a model whose signatures have these outputs."""
    saved = saved_model_pb2.SavedModel()
    graph = saved.meta_graphs.add()
    for name, outputs in signatures.items():
        for output in outputs:
            graph.signature_def[name].outputs[output].name = output
    path = folder / "Format-Serving"
    path.mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(saved.SerializeToString())
    return str(folder)


def _baseline(trainings: Trainings, models: list[standard_artifacts.Model], is_required: bool = False) -> list[int]:
    """The id of what the last of the models is compared with, where all are blessed."""
    found = BlessedBeforeCandidate(is_required).resolve_artifacts(
        trainings.store,
        {CANDIDATE: models[-1:], MODEL: models, BLESSING: [_blessing(model.id, True) for model in models]},
    )
    return [model.id for model in found[MODEL]]


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ({"evaluate": ["rank"]}, [3]),
        ({"evaluate": ["rank", "rating"], "evaluation_labels": ["target_rating"]}, [2]),
        ({"evaluate": ["rank", "like"], "evaluation_labels": ["target_like"]}, []),
    ],
)
def test_a_model_of_other_tasks_is_no_baseline(
    tmp_path: Path, candidate: dict[str, list[str]], expected: list[int]
) -> None:
    trainings = Trainings()
    saved = [
        _saved(tmp_path / "2", evaluate=["rank", "rating"], evaluation_labels=["target_rating"]),
        _saved(tmp_path / "3", evaluate=["rank"]),
        _saved(tmp_path / "4", **candidate),
    ]
    models = [trainings.model(), *map(trainings.model, saved)]  # the files of the first are gone
    assert _baseline(trainings, models) == expected


def test_a_model_whose_versions_were_withdrawn_is_no_baseline(tmp_path: Path) -> None:
    trainings = Trainings()
    models = [trainings.model() for _ in range(4)]
    for model, versions in zip(models, [["10"], ["20", "21"], ["30"]], strict=False):
        for version in versions:
            (tmp_path / "serving" / version).mkdir(parents=True)
            trainings.push(model, tmp_path / "serving" / version)
    assert _baseline(trainings, models) == [3]
    (tmp_path / "serving.withdrawn").mkdir()
    for version, expected in [("30", [2]), ("21", [2]), ("20", [1])]:  # 2 is still served as version 20
        (tmp_path / "serving" / version).rename(tmp_path / "serving.withdrawn" / version)
        assert _baseline(trainings, models) == expected


_AGE = {"name": "age", "kind": "categorical"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"evaluation": {"ks": [10, 50, 100]}}, "evaluation.ks [10, 100], not [10, 50, 100]"),
        ({"evaluation": {"ks": [20, 100]}}, "evaluation.ks [10, 100], not [20, 100]"),
        ({"evaluation": {"mask_seen": False}}, "evaluation.mask_seen True, not False"),
        ({"features": {"user": [{**_AGE, "kind": "numeric"}]}}, "user_age as text, not number"),
        ({"features": {"user": [_AGE], "context": [{"name": "hour", "kind": "numeric"}]}}, "context_hour as time"),
        ({"tasks": {"retrieval": {"kind": "retrieval"}, "like": {"kind": "regression", "label": "x"}}}, "like.kind"),
    ],
)
def test_a_model_whose_answers_mean_something_else_is_no_baseline(
    changed: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    usual: dict[str, Any] = {
        "features": {"user": [_AGE], "context": [{"name": "hour", "kind": "time"}]},
        "tasks": {"retrieval": {"kind": "retrieval"}, "like": {"kind": "binary", "label": "x"}},
    }
    trainings = Trainings()
    same = trainings.model(**{**usual, **changed})
    other = trainings.model(**usual)
    assert _baseline(trainings, [same, other, trainings.model(**{**usual, **changed})]) == [same.id]
    assert f"Model {other.id} is no baseline: it was trained with " in caplog.text
    assert said in caplog.text


def test_what_no_answer_depends_on_leaves_a_baseline() -> None:
    trainings = Trainings()
    old = trainings.model(features={"user": [_AGE]}, evaluation={"ks": [10, 100]})
    features = {"user": [{"name": "age", "kind": "text"}, {"name": "sex", "kind": "categorical"}]}
    assert _baseline(trainings, [old, trainings.model(features=features, training={"epochs": 3})]) == [old.id]
    likes = {"tasks": {"like": {"kind": "binary", "label": "x"}}}
    old = trainings.model(**likes)
    assert _baseline(trainings, [old, trainings.model(**likes, evaluation={"ks": [5]})]) == [old.id]


def test_a_model_of_which_nothing_is_known_is_no_baseline(caplog: pytest.LogCaptureFixture) -> None:
    trainings = Trainings()
    models = [trainings.model(gone={"key": 1}), trainings.model()]
    assert _baseline(trainings, models) == []
    assert "what a model was trained with cannot be read: Trainer of model 1" in caplog.text


def test_a_comparison_that_is_required_and_impossible_is_an_error() -> None:
    trainings = Trainings()
    first = trainings.model(evaluation={"ks": [10, 100]})
    assert _baseline(trainings, [first], is_required=True) == []  # a first model
    changed = trainings.model(evaluation={"ks": [5]})
    with pytest.raises(BaselineError, match=r"the newest is model 1: it was trained with evaluation\.ks \[10, 100\]"):
        _baseline(trainings, [first, changed], is_required=True)
    again = trainings.model(evaluation={"ks": [10, 100]})
    assert _baseline(trainings, [first, changed, again], is_required=True) == [first.id]


@pytest.mark.parametrize(
    ("evaluation", "is_required"),
    [
        ("{gates: [{metric: mrr, max_regression: 0.1}]}", True),
        ("{gates: [{metric: mrr, max_regression: 0.1}], incomparable_baseline: ignore}", False),
        ("{gates: [{metric: mrr, min: 0.1}]}", False),
    ],
)
def test_gates_on_regressions_require_a_comparison(evaluation: str, is_required: bool) -> None:
    data = "data: {folder: t, interactions: {path: e.csv}}"
    config = parse_config(f"name: a\n{data}\nevaluation: {evaluation}\n")
    (resolver,) = blessed_before(config, tfx.dsl.Channel(type=standard_artifacts.Model))
    assert resolver.exec_properties[RESOLVER_CONFIG] == {"is_required": is_required}
