import json

from tfx import types
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from config import Config, parse_config
from transform.component import make_transform


def component(config: Config) -> tfx.components.Transform:
    examples = types.Channel(type=standard_artifacts.Examples)
    return make_transform(config, examples, types.Channel(type=standard_artifacts.Schema))


def test_only_train_and_items_are_analysed(config: Config) -> None:
    splits = json.loads(component(config).exec_properties["splits_config"])
    assert splits == {"analyze": ["train", "items"], "transform": ["train", "eval", "test", "items"]}


def test_the_configuration_reaches_the_preprocessing_function(config: Config) -> None:
    custom = json.loads(component(config).exec_properties["custom_config"])
    received = parse_config(custom["config"])
    assert received.features == config.features
    assert received.model.user_min_count == 2


def test_keys_that_transform_does_not_read_leave_its_cache_alone(config: Config) -> None:
    other = config.model_copy(update={"training": config.training.model_copy(update={"epochs": 99})})
    assert component(other).exec_properties == component(config).exec_properties


def test_the_examples_of_several_workers_are_in_several_files(config: Config) -> None:
    assert "files" not in json.loads(component(config).exec_properties["custom_config"])
    training = config.training.model_copy(update={"strategy": "multi_worker"})
    divided = component(config.model_copy(update={"training": training}))
    assert json.loads(divided.exec_properties["custom_config"])["files"] == 24
    assert (divided.id, component(config).id) == ("Transform", "Transform")
