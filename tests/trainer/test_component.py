from pathlib import Path

import pytest

from config import load_config
from config.load import changed_config
from pipeline.dag import create_pipeline

CONFIG = load_config(Path(__file__).parents[2] / "examples" / "movielens-100k.yaml")


@pytest.mark.parametrize(
    ("strategy", "entry"),
    [
        ("one_device", "trainer.run.run_fn"),
        ("mirrored", "trainer.run.run_fn"),
        ("multi_worker", "trainer.chief.run_fn"),
    ],
)
def test_the_chief_of_several_workers_has_an_entry_of_its_own(strategy, entry):
    pipeline = create_pipeline(changed_config(CONFIG, {"training.strategy": strategy}))
    (trainer,) = (node for node in pipeline.components if node.id == "Trainer")
    assert trainer.exec_properties["run_fn"] == entry
