"""Which components run again when a key of the configuration changes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from config import Config, load_config
from config.fingerprint import ROOT, TRAINING_CODE, code_fingerprint
from config.load import changed_config
from pipeline.dag import create_pipeline

TUNED = {"objective": "ndcg@10", "parameters": {"model.dimension": {"choices": [16, 32]}}}
CONFIG = changed_config(
    load_config(Path(__file__).parents[2] / "examples" / "movielens-100k.yaml"),
    {"tuner": TUNED, "pipeline.drift": {}, "tasks.genre": {"kind": "multiclass", "attribute": "genres"}},
)
TRAINED = {"Tuner", "Trainer"}
EXAMPLES = {"InteractionExampleGen", *TRAINED}
READ = {"Transform", "InfraValidator", *TRAINED}
"""Those that read of each feature and label what it is."""


def properties(config: Config) -> Mapping[str, Any]:
    """What stands in each component's cache key beside its inputs."""
    return {node.id: dict(node.exec_properties) for node in create_pipeline(config).components}


@pytest.fixture(scope="module")
def before() -> Mapping[str, Any]:
    return properties(CONFIG)


@pytest.mark.parametrize(
    ("key", "value", "rerun"),
    [
        ("tasks.rating.baseline", None, {"Trainer"}),
        ("tasks.rating.baseline", {"session_bias": [60]}, {"Trainer"}),
        ("model.neighbours", None, {"Trainer"}),
        ("tasks.rating.weight", 0.7, TRAINED),
        ("tasks.rating.hidden", [8], TRAINED),
        ("tasks.rating.max", 6, TRAINED),
        ("tasks.retrieval.temperature", 0.1, TRAINED),
        ("model.dimension", 24, TRAINED),
        ("training.epochs", 3, TRAINED),
        ("training.memory_limit", 10**12, TRAINED),
        ("training.job", {"kind": "train_job", "image": "i"}, {"Trainer"}),
        ("deploy", {"serving": {"replicas": 3}}, set()),
        ("tuner", {**TUNED, "trials": 2}, {"Tuner"}),
        ("evaluation.ks", [10, 20], {"Evaluator", *TRAINED}),
        ("evaluation.max_users", 100, {"Evaluator"}),
        ("evaluation.min_slice_users", 5, {"Evaluator"}),
        ("evaluation.incomparable_baseline", "ignore", {"latest_blessed_model"}),
        ("evaluation.gates", [{"metric": "ndcg@10", "min": 0.01}], {"Evaluator", "latest_blessed_model"}),
        ("serving.default_k", 7, {"Trainer", "InfraValidator"}),
        ("serving.infra", {"max_p99_ms": 500}, {"InfraValidator"}),
        ("serving.embeddings", True, set()),
        ("serving.log_requests", {"folder": "logs"}, set()),
        ("online.gates", {"max_skew": 0.1}, set()),
        ("tasks.rating.label", "rating * 2", {"InteractionExampleGen", *READ}),
        ("tasks.rating.where", "rating > 1", {"InteractionExampleGen", *READ}),
        ("model.user_min_count", 2, {"Transform", *TRAINED}),
        ("model.history.max_events", 33, EXAMPLES),
        ("split.method", "random", EXAMPLES),
        ("cleaning.core", {"users": 3}, EXAMPLES),
        ("features.trend.days", [1], READ),
        ("pipeline.drift", {"threshold": 0.2}, {"DriftValidator", "AnomalyGate"}),
        ("pipeline.cache", False, set()),
    ],
)  # fmt: skip
def test_a_changed_key_runs_again_what_reads_it(
    key: str, value: object, rerun: set[str], before: Mapping[str, Any]
) -> None:
    after = properties(changed_config(CONFIG, {key: value}))
    changed = {name for name in before if before[name] != after[name]}
    assert changed - {"Pusher"} == rerun


def test_code_that_follows_the_epochs_does_not_train_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (
        ("trainer/stacking/a.py", "1"),
        ("trainer/training/loop.py", "2"),
        ("trainer/export/saved_model.py", "3"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr("config.fingerprint.ROOT", tmp_path)

    def digest() -> str:
        return code_fingerprint(*TRAINING_CODE)

    before = digest()
    (tmp_path / "trainer/stacking/a.py").write_text("4")
    (tmp_path / "trainer/export/saved_model.py").write_text("5")
    assert digest() == before
    (tmp_path / "trainer/training/loop.py").write_text("6")
    assert digest() != before


def test_every_package_of_trained_weights_is_there() -> None:
    assert [name for name in TRAINING_CODE if not (ROOT / name).is_dir()] == []
