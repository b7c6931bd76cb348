import pytest
import tensorflow_transform as tft

from config import Config, parse_config
from tests.transform.conftest import YAML
from transform.features import ModelFeature, item_frequencies, item_vocabulary, model_features, user_vocabulary_size


def test_every_feature_has_its_form_and_size(config: Config, tft_output: tft.TFTransformOutput) -> None:
    assert model_features(config, tft_output) == (
        ModelFeature("user_age", "user", "number", None),
        ModelFeature("user_gender", "user", "category", 2 + 1 + 1),
        ModelFeature("user_tags", "user", "categories", 2 + 1 + 1),
        ModelFeature("user_born", "user", "category", 7 + 1),
        ModelFeature("user_job", "user", "category", 1 + 1 + 1),  # no value at all: one entry that nothing matches
        ModelFeature("user_team", "user", "category", 1 + 1 + 1),
        ModelFeature("user_gender_city", "user", "category", 50 + 1),
        ModelFeature("context_device", "context", "category", 2 + 2 + 1),
        ModelFeature("context_hour", "context", "category", 24 + 1),
        ModelFeature("context_slot", "context", "category", 168 + 1),
        ModelFeature("context_price", "context", "number", None),
        ModelFeature("context_position", "context", "category", 20 + 1),
        ModelFeature("outcome_rating", "outcome", "category", 3 + 1 + 1),
        ModelFeature("item_genres", "item", "categories", 2 + 3 + 1),
        ModelFeature("item_title", "item", "categories", 3 + 1 + 1),
        ModelFeature("item_year", "item", "category", 4 + 1),
    )


def test_items_stand_by_positive_targets_then_by_id(tft_output: tft.TFTransformOutput) -> None:
    # "b" is a target twice (its third event is context), "c d" three times of which one is positive and a target;
    # "rare" has one event, below min_count, and is in no catalogue; "plain" and "unsold" are in the catalogue only.
    assert item_vocabulary(tft_output).tolist() == [b"b", b"a", b"c d", b"plain", b"unsold"]
    assert item_frequencies(tft_output).tolist() == [2, 1, 1, 0, 0]


def test_users_below_their_minimum_are_unknown(tft_output: tft.TFTransformOutput) -> None:
    assert user_vocabulary_size(tft_output) == 1  # ann; bob has one event


def test_a_feature_that_the_graph_was_not_made_with_is_an_error(tft_output: tft.TFTransformOutput) -> None:
    other = parse_config(YAML.replace("name: gender,", "name: colour,"))
    with pytest.raises(ValueError, match="user_colour"):
        model_features(other, tft_output)
