"""The output of Transform: the model's features with form and size, and the vocabularies of ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import tensorflow_transform as tft

from config import Config, feature_names
from config.features import AnyFeature, Form

Section = Literal["user", "context", "outcome", "item"]

ITEM_VOCABULARY: Final = "item_id"
"""One id a line, by falling number of positive training targets, then by id (both descending)."""
ITEM_FREQUENCIES: Final = "item_id_frequency"
"""The same lines, each after its number of positive training targets and a space."""
USER_VOCABULARY: Final = "user_id"

RAW_NAME: Final = {
    "user": feature_names.user_feature,
    "context": feature_names.context_feature,
    "outcome": feature_names.outcome_feature,
    "item": feature_names.item_feature,
}
"""From a section and a feature's name to the name in the examples."""


@dataclass(frozen=True)
class ModelFeature:
    """A feature of the transformed examples.

    Attributes:
      name: In the examples, such as `user_age`.
      section: Whose feature it is.
      form: `category`: one int64 in [0, size), of which size - 1 means missing; `categories`: any number of them
        (size - 1 never occurs and is free to pad with); `number`: one float, 0 where missing.
      size: The number of categories, OOV buckets and the missing one included. None for a number.
    """

    name: str
    section: Section
    form: Form
    size: int | None


def configured(config: Config) -> Iterator[tuple[Section, AnyFeature]]:
    """Yields all features of the configuration with their section, in the order of the file."""
    sections: tuple[Section, ...] = ("user", "context", "outcome", "item")
    for section in sections:
        for feature in getattr(config.features, section):
            yield section, feature


def model_features(config: Config, tft_output: tft.TFTransformOutput) -> tuple[ModelFeature, ...]:
    """Describes every configured feature of the transformed examples.

    Args:
      config: The configuration that the transform graph was made with.
      tft_output: The transform graph.

    Returns:
      User, context, outcome and item features, each section in the order of the configuration.

    Raises:
      ValueError: If the transform graph lacks a feature's vocabulary.
    """
    features = []
    for section, feature in configured(config):
        name = RAW_NAME[section](feature.name)
        vocabulary_size = tft_output.vocabulary_size_by_name(name) if feature.has_vocabulary else 0
        features.append(ModelFeature(name, section, feature.form, feature.category_count(vocabulary_size)))
    return tuple(features)


def item_vocabulary(tft_output: tft.TFTransformOutput) -> np.ndarray:
    """Returns the item ids by index: bytes objects, shape [V]. Index V, not in the array, is that of unknown ids."""
    return np.array(tft_output.vocabulary_by_name(ITEM_VOCABULARY), dtype=object)


def feature_vocabulary(name: str, tft_output: tft.TFTransformOutput) -> np.ndarray:
    """Returns the known values of a categorical feature by category: bytes; `name` is that in the examples."""
    return np.array(tft_output.vocabulary_by_name(name), dtype=object)


def item_frequencies(tft_output: tft.TFTransformOutput) -> np.ndarray:
    """Returns the number of positive training targets of each item: int64, shape [V], falling."""
    lines = tft_output.vocabulary_by_name(ITEM_FREQUENCIES)
    return np.array([int(line.split(b" ", 1)[0]) for line in lines], dtype=np.int64)


def vocabularies(config: Config, tft_output: tft.TFTransformOutput) -> dict[str, np.ndarray]:
    """Returns the known ids and values by number: bytes, by `item_id`, `user_id` and the features' names in the
    examples; those of features without a vocabulary are left out."""
    names = [RAW_NAME[section](feature.name) for section, feature in configured(config) if feature.has_vocabulary]
    return {name: feature_vocabulary(name, tft_output) for name in (ITEM_VOCABULARY, USER_VOCABULARY, *names)}


def user_vocabulary_size(tft_output: tft.TFTransformOutput) -> int:
    """Returns the number U of known users; index U is that of every unknown one."""
    return tft_output.vocabulary_size_by_name(USER_VOCABULARY)
