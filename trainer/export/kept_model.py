"""What a SavedModel keeps so that its catalogue can be replaced without training (`trainer.refresh`).

The trained variables are tracked under names of their own: most are in the SavedModel anyway, so that this costs a
few bytes for each item. All that is no variable stands in a file of JSON beside them, which servers ignore.
"""

import hashlib
import json
import posixpath
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from numpy.typing import NDArray

from config import Config, feature_names
from trainer.data.batching import LabelStatistics
from trainer.model.recommender import RecommenderModel
from trainer.model.row_keys import Weights, weights_of
from trainer.stacking.kept import restored_stack, stacked_arrays, stacked_form, with_new_rows
from trainer.stacking.recommender import StackedRecommender
from transform.features import vocabularies

KEPT_FILE: Final = "assets.extra/refresh.json"
"""In the SavedModel: what `Kept` has beside arrays."""
_ONLY_TRAINED: Final = ("adversary.", "balancing.")
"""The paths of variables that training alone reads."""
_KEY: Final = "kept/{}/.ATTRIBUTES/VARIABLE_VALUE"
_WEIGHT: Final = "weight_{}"
_ITEM_BIAS: Final = "candidates.bias"
_ITEM_IDS: Final = "candidates.ids."


class UnsupportedRefreshError(Exception):
    """A model's catalogue cannot be replaced. The message says why and what to do."""


def why_not_kept(config: Config) -> str:
    """Returns why the catalogue of such a model cannot be replaced without training; "" where it can."""
    if config.retrieval is None:
        return "the configuration has no retrieval task, whose index finds new items"
    if config.data.items is None or not config.features.item:
        return "the configuration has no items table with features (`features.item`), by which new items are known"
    if config.model.table(feature_names.ITEM_ID).method != "full":
        return "`model.tables.item_id` should be `full`: items share rows, whose numbers change with the catalogue"
    if config.serving.tables == "int8":
        return "`serving.tables: int8` rounds the tables, and the SavedModel does not keep the trained ones"
    return ""


def kept_variables(model: StackedRecommender, tft_output: tft.TFTransformOutput) -> dict[str, tf.Variable]:
    """Returns the variables to keep, by the names that the SavedModel tracks them under; none for `why_not_kept`."""
    config = model.network.config
    if why_not_kept(config):
        return {}
    weights = _weights(model.network, config, tft_output).variables
    named = {_WEIGHT.format(n): weights[path] for n, path in enumerate(_kept_paths(weights))}
    return named | stacked_arrays(model)


def write_kept(path: str, model: StackedRecommender, tft_output: tft.TFTransformOutput) -> None:
    """Writes `KEPT_FILE` into a SavedModel; nothing for `why_not_kept`."""
    network = model.network
    if why_not_kept(network.config):
        return
    form = {
        "weights": _kept_paths(_weights(network, network.config, tft_output).variables),
        "statistics": {name: asdict(head.statistics) for name, head in network.heads.items()},
        "stacked": stacked_form(model),
    }
    file = posixpath.join(path, KEPT_FILE)
    tf.io.gfile.makedirs(posixpath.dirname(file))
    with tf.io.gfile.GFile(file, "w") as out:
        out.write(json.dumps(form))


@dataclass(frozen=True, eq=False)
class Kept:
    """What a SavedModel keeps.

    Attributes:
        form: The content of `KEPT_FILE`.
        weights: The trained weights by path.
        stacked: The tables of neighbourhoods and baselines by name.
    """

    form: Mapping[str, Any]
    weights: Mapping[str, NDArray[Any]]
    stacked: Mapping[str, NDArray[Any]]

    @classmethod
    def read(cls, path: str) -> "Kept":
        """Reads a SavedModel. Raises `UnsupportedRefreshError` where it keeps nothing."""
        file = posixpath.join(path, KEPT_FILE)
        if not tf.io.gfile.exists(file):
            raise UnsupportedRefreshError(
                f"{path} does not keep what a refresh needs ({KEPT_FILE}): it was trained by an earlier version of "
                "this project. Train once more: `tfx_runner.py run`"
            )
        with tf.io.gfile.GFile(file) as opened:
            form = json.loads(opened.read())
        reader = tf.train.load_checkpoint(posixpath.join(path, "variables", "variables"))
        prefix, suffix = _KEY.split("{}")
        found = reader.get_variable_to_shape_map()
        names = [key.removeprefix(prefix).removesuffix(suffix) for key in found if key.startswith(prefix)]
        arrays = {name: reader.get_tensor(_KEY.format(name)) for name in names}
        weights = {weight: arrays.pop(_WEIGHT.format(n)) for n, weight in enumerate(form["weights"])}
        return cls(form, weights, arrays)

    @property
    def statistics(self) -> dict[str, LabelStatistics]:
        """The statistics of the labels by task."""
        return {name: LabelStatistics(**values) for name, values in self.form["statistics"].items()}

    def digest(self, items: int) -> str:
        """Returns the SHA-256 of all trained weights, of item tables those of the first V = `items` and the unknown."""
        digest = hashlib.sha256()
        size = len(self.weights[_ITEM_BIAS])
        for path, values in sorted(self.weights.items()):
            is_of_items = path == _ITEM_BIAS or path.startswith(_ITEM_IDS) or path.endswith(".item_bias.embeddings")
            rows = np.concatenate([values[:items], values[size - 1 :]]) if is_of_items else values
            digest.update(f"{path} {rows.shape}\n".encode() + np.ascontiguousarray(rows).tobytes())
        return digest.hexdigest()

    def restored(
        self, network: RecommenderModel, tft_output: tft.TFTransformOutput, trained: NDArray[np.bool_]
    ) -> StackedRecommender:
        """Gives an untrained network these weights, and stacks on it what was stacked.

        A new item has no id: its vector is that of its content, and its bias that of the mean trained item. (Where
        `model.id_dropout` is on, the network itself uses the content of such items and the popularity predicted from
        it.) Its bias in a ranking task is the unknown item's.

        Args:
            network: With V' items, the first V of which are the model's.
            tft_output: The transform graph with the V' items.
            trained: bool [V], whether an item has training positives.
        """
        weights, rows = _weights(network, network.config, tft_output), network.spec.item_count + 1
        for path in self.form["weights"]:
            variable, values = weights.variables[path], self.weights[path]
            keys = weights.rows.get(path)
            if keys is not None and keys.table == feature_names.ITEM_ID:
                old, values = len(values) - 1, with_new_rows(values, rows)
                if path == _ITEM_BIAS:
                    values[old:-1] = values[:old][trained].mean() if trained.any() else values[:old].min()
                elif path.startswith(_ITEM_IDS):
                    values[old:-1] = 0
            variable.assign(values)
        return restored_stack(self.form["stacked"], self.stacked, network)


def _weights(network: RecommenderModel, config: Config, tft_output: tft.TFTransformOutput) -> Weights:
    return weights_of(network, vocabularies(config, tft_output))


def _kept_paths(weights: Mapping[str, tf.Variable]) -> list[str]:
    return sorted(path for path in weights if not path.startswith(_ONLY_TRAINED))
