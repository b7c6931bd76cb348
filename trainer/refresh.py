"""Replaces the catalogue of a trained model without training: new items are embedded by their content."""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from numpy.typing import NDArray

from config import Config, feature_names
from config.progress import say
from trainer.data.attributes import load_attributes
from trainer.data.catalogue import Catalogue, catalogue_dtypes, catalogue_of, load_catalogue, read_columns
from trainer.data.dataset import WindowData
from trainer.data.windows import WindowSpec
from trainer.export.index.build import IndexReport
from trainer.export.kept_model import Kept, UnsupportedRefreshError, why_not_kept
from trainer.export.prediction_log import read_prediction_log, write_golden_responses
from trainer.export.saved_model import Exported, export_model
from trainer.export.user_snapshot import Snapshot, load_snapshot
from trainer.model.recommender import RecommenderModel
from trainer.run import items_beside
from transform.extend import extend_items
from transform.features import model_features, user_vocabulary_size

RANK = "rank"
"""The signature whose golden responses old and new scores are compared by."""
_BATCH, _QUERIES = 64, 16


@dataclass(frozen=True)
class TrainedModel:
    """A trained model and what it was made of.

    Attributes:
        config: Of the training, with the Tuner's values.
        saved_model: The Trainer's SavedModel.
        golden_responses: The Trainer's own responses.
        transform_graph: The folder of the transform graph.
        train_files, eval_files: Patterns of the transformed splits that it was trained and evaluated on.
        raw_eval_files: The pattern of the eval split before Transform.
    """

    config: Config
    saved_model: str
    golden_responses: str
    transform_graph: str
    train_files: Sequence[str]
    eval_files: Sequence[str]
    raw_eval_files: str


@dataclass(frozen=True)
class Changes:
    """What a refresh changed.

    Attributes:
        items: The number of items that answers may hold now.
        new: Ids of items that the model did not know.
        withdrawn: Ids of items that are not in the new table.
        changed: The number of items whose features are others.
    """

    items: int
    new: tuple[bytes, ...]
    withdrawn: tuple[bytes, ...]
    changed: int


@dataclass(frozen=True)
class Refreshed:
    """A model with a new catalogue.

    Attributes:
        changes: What was changed.
        digests: The SHA-256 of the trained weights before and after, read from the SavedModels.
        difference: The largest difference of the scores of unchanged items in the golden responses; None where these
            hold none.
        index: The report of the index.
    """

    changes: Changes
    digests: tuple[str, str]
    difference: float | None
    index: IndexReport


class Refresh:
    """Replaces the catalogue of a model.

    Known items keep their index; new ones follow them. Those that are not in the new table stay in the catalogue, since
    histories hold them, but no answer does.

    Args:
        trained: The model.
        items_file: The new table as one gzipped TFRecord file of tf.Examples, as ingest writes the split `items`.
        folder: For intermediate files.

    Raises:
        UnsupportedRefreshError: The model's catalogue cannot be replaced.
    """

    def __init__(self, trained: TrainedModel, items_file: str, folder: str) -> None:
        if reason := why_not_kept(trained.config):
            raise UnsupportedRefreshError(f"this model's catalogue cannot be replaced without training: {reason}")
        self._trained, self._items_file = trained, items_file
        self._kept = Kept.read(trained.saved_model)
        self._old_graph = tft.TFTransformOutput(trained.transform_graph)
        old = load_catalogue(items_beside(trained.train_files[0]), self._old_graph, trained.config)
        self._examples = [bytes(record) for record in tf.data.TFRecordDataset([items_file], "GZIP").as_numpy_iterator()]
        ids = _ids(self._examples)
        known, listed = set(old.item_ids), set(ids)
        new = tuple(item for item in ids if item not in known)
        self._graph = extend_items(trained.transform_graph, new, posixpath.join(folder, "transform_graph"))
        self._catalogue = self._new_catalogue()
        self._withdrawn = np.array([n for n, item in enumerate(old.item_ids) if item not in listed], np.int64)
        self._changed = _changed(old, self._catalogue)
        self._changed[self._withdrawn] = False
        self._old = old
        self.changes = Changes(
            items=len(ids),
            new=new,
            withdrawn=tuple(bytes(old.item_ids[n]) for n in self._withdrawn),
            changed=int(self._changed.sum()),
        )

    def export(self, path: str, golden_responses: str) -> Refreshed:
        """Writes the SavedModel, and its golden responses to a file."""
        trained, config = self._trained, self._trained.config
        features, users = model_features(config, self._graph), user_vocabulary_size(self._graph)
        network = RecommenderModel(config, features, self._catalogue, users, self._kept.statistics)
        model = self._kept.restored(network, self._graph, self._old.frequencies > 0)
        say("building the index and exporting the model")
        exported = export_model(
            model,
            self._graph,
            config,
            path,
            queries=self._sample_queries(network),
            attributes=load_attributes([self._items_file], self._catalogue.item_ids, config),
            snapshot=self._snapshot(),
            withdrawn=self._withdrawn,
        )
        say("recording the exported model's golden responses")
        write_golden_responses(exported.signatures, exported.some_items(), trained.raw_eval_files, golden_responses)
        digests = self._kept.digest(self._old.size), Kept.read(path).digest(self._old.size)
        report = exported.module.index_report
        if report is None:
            raise UnsupportedRefreshError("a model with a retrieval task should have an index")
        return Refreshed(self.changes, digests, self._difference(exported), report)

    def _new_catalogue(self) -> Catalogue:
        """Transforms the new table, and adds the rows of withdrawn items as they were."""
        layer, spec = self._graph.transform_features_layer(), self._graph.raw_feature_spec()
        dtypes = catalogue_dtypes(self._trained.config, self._graph)
        parsed = tf.io.parse_example(tf.constant(self._examples, tf.string), spec)
        transformed = layer(parsed)
        new = {name: tf.cast(_ragged(transformed[name]), dtype) for name, dtype in dtypes.items()}
        old = read_columns(items_beside(self._trained.train_files[0]), dtypes)
        columns = {name: tf.concat([new[name], old[name]], axis=0) for name in dtypes}
        return catalogue_of(columns, self._graph, self._trained.config)

    def _snapshot(self) -> Snapshot | None:
        """Reads the users' newest histories, whose items keep their index."""
        config = self._trained.config
        if not config.serving.snapshot:
            return None
        files = {"train": self._trained.train_files, "eval": self._trained.eval_files}
        spec = WindowSpec(
            config, model_features(config, self._old_graph), self._old.size, user_vocabulary_size(self._old_graph)
        )
        fitted = [pattern for split in config.training.fit_on for pattern in files[split]]
        return load_snapshot(WindowData(fitted, spec), spec)

    def _sample_queries(self, network: RecommenderModel) -> NDArray[np.float32]:
        """Encodes queries of the eval split, float32 [at most 1024, D]; none for an exact index."""
        if not self._trained.config.has_approximate_index:
            return np.zeros((0, 0), np.float32)
        encode = tf.function(lambda window: network.encode_newest(window).embedding, autograph=False)
        windows = WindowData(list(self._trained.eval_files), network.spec).evaluation_batches(_BATCH).take(_QUERIES)
        found = [encode(window).numpy() for window in windows]
        return np.concatenate(found) if found else np.zeros((0, 0), np.float32)

    def _difference(self, exported: Exported) -> float | None:
        """Compares the scores of unchanged items in the Trainer's golden responses with those of the new model."""
        same = {bytes(i) for i, changed in zip(self._old.item_ids, self._changed, strict=True) if not changed}
        same -= set(self.changes.withdrawn)
        worst: list[float] = []
        for call in read_prediction_log(self._trained.golden_responses):
            if call.request.model_spec.signature_name != RANK:
                continue
            inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in call.request.inputs.items()}
            new = exported.signatures[RANK](**inputs)
            ids = new[feature_names.ITEM_ID].numpy()
            is_same = np.vectorize(lambda item: item in same, otypes=[bool])(ids)
            for name, values in call.response.outputs.items():
                if name not in (feature_names.ITEM_ID, "count") and is_same.any():
                    worst.append(float(np.abs(tf.make_ndarray(values) - new[name].numpy())[is_same].max()))
        return max(worst, default=None)


def _ids(examples: Sequence[bytes]) -> list[bytes]:
    spec = {feature_names.CATALOGUE_ID: tf.io.FixedLenFeature([], tf.string)}
    parsed = tf.io.parse_example(tf.constant(list(examples), tf.string), spec)
    return [bytes(item) for item in parsed[feature_names.CATALOGUE_ID].numpy()]


def _ragged(values: tf.Tensor | tf.SparseTensor) -> tf.RaggedTensor:
    if isinstance(values, tf.SparseTensor):
        return tf.RaggedTensor.from_sparse(values).with_row_splits_dtype(tf.int64)
    return tf.RaggedTensor.from_tensor(tf.reshape(values, [tf.shape(values)[0], -1]), row_splits_dtype=tf.int64)


def _changed(old: Catalogue, new: Catalogue) -> NDArray[np.bool_]:
    """Returns whether the features of each of the V old items have changed: bool [V]."""
    changed = np.zeros(old.size, bool)
    for name in old.features:
        one, other = (_rows(table.features[name], old.size) for table in (old, new))
        width = max(one.shape[1], other.shape[1])
        one, other = (np.pad(v, [(0, 0), (0, width - v.shape[1])], constant_values=-1) for v in (one, other))
        changed |= (one != other).any(axis=1)
    return changed


def _rows(values: NDArray[Any], size: int) -> NDArray[Any]:
    return values[:size].reshape(size, -1)
