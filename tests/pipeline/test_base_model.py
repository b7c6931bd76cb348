"""The model that a training starts from."""

from pathlib import Path

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.types import standard_artifacts

from config import load_config
from config.load import changed_config
from pipeline.base_model import DATA, BlessedBeforeData
from pipeline.dag import create_pipeline
from pipeline.evaluation.baseline import BLESSING, MODEL

CONFIG = load_config(Path(__file__).parents[2] / "examples" / "movielens-100k.yaml")
TUNER = {"objective": "ndcg@10", "parameters": {"model.dimension": {"choices": [16, 32]}}}


def model(number: int) -> standard_artifacts.Model:
    artifact = standard_artifacts.Model()
    artifact.id = number
    return artifact


def blessing(number: int, is_blessed: bool) -> standard_artifacts.ModelBlessing:
    artifact = standard_artifacts.ModelBlessing()
    artifact.set_int_custom_property("blessed", int(is_blessed))
    artifact.set_int_custom_property("current_model_id", number)
    return artifact


@pytest.mark.parametrize(
    ("graph", "blessed", "expected"),
    [
        (10, {12}, []),  # the first day, run again: its own model is of the same data
        (20, {12}, [12]),  # the second day
        (20, {12, 22}, [12]),  # the second day, run again
        (30, {12, 22}, [22]),
        (30, {12}, [12]),  # the second day's model was not blessed
        (30, set(), []),
    ],
)
def test_training_starts_from_the_latest_blessed_model_that_is_older_than_its_data(
    graph: int, blessed: set[int], expected: list[int]
) -> None:
    data = standard_artifacts.TransformGraph()
    data.id = graph
    found = BlessedBeforeData().resolve_artifacts(
        MetadataStore(mlmd.ConnectionConfig(fake_database=mlmd.FakeDatabaseConfig())),  # nothing was withdrawn
        {
            DATA: [data],
            MODEL: [model(12), model(22)],
            BLESSING: [blessing(number, number in blessed) for number in (12, 22)],
        },
    )
    assert [model.id for model in found[MODEL]] == expected
    assert found[DATA] == [data]


def test_the_base_model_is_an_input_of_trainer_and_tuner() -> None:
    warm = changed_config(CONFIG, {"training.warm_start": {}, "tuner": TUNER})
    nodes = {node.id: node for node in create_pipeline(warm).components}
    for name in ("Tuner", "Trainer"):
        assert nodes[name].inputs["base_model"].producer_component_id == "base_model"
    named = changed_config(CONFIG, {"training.warm_start": {"model": "runs/movies/artifacts/Trainer/model/3"}})
    for config in (CONFIG, named):
        assert "base_model" not in {node.id for node in create_pipeline(config).components}
