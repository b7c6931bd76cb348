"""The trained model as one SavedModel in plain TensorFlow ops, which a stock TensorFlow Serving loads.

The exported object is a `tf.Module` of its own that holds tables, weights and the Transform graph, and no Keras
object but Transform's layer: what is not served (losses, metrics, optimizer) is not saved.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from numpy.typing import NDArray

from config import Config, feature_names
from trainer.data.attributes import Attributes
from trainer.export.index.build import IndexReport, build_index
from trainer.export.index.exact import Index
from trainer.export.kept_model import kept_variables, write_kept
from trainer.export.prediction_log import WARMUP_FILE, Signatures, input_specs, warmup_requests, write_prediction_log
from trainer.export.signatures.diversity import Diversity
from trainer.export.signatures.evaluate import Evaluation
from trainer.export.signatures.explain import Explainer
from trainer.export.signatures.filters import Filters
from trainer.export.signatures.inputs import extra_inputs
from trainer.export.signatures.reader import RequestReader
from trainer.export.signatures.recommend import Answer, Recommender
from trainer.export.user_snapshot import Snapshot, SnapshotTable
from trainer.model.recommender import RecommenderModel
from trainer.stacking.recommender import StackedRecommender
from trainer.training.distillation import teach_function
from transform.features import feature_vocabulary, item_frequencies, item_vocabulary

EXAMPLES = tf.TensorSpec([None], tf.string, "examples")

_PLAIN_TENSORS = (
    tf.TensorSpec([None], tf.string, "user_id"),
    tf.TensorSpec([None, None], tf.string, "item_id"),
    tf.TensorSpec([None, None], tf.int64, "time"),
    tf.TensorSpec([None], tf.int64, "request_time"),
    tf.TensorSpec([None, None], tf.string, "exclude_item_id"),
    tf.TensorSpec([None], tf.int32, "k"),
)


class ExportedModel(tf.Module):
    """Everything that the signatures need, under attributes that the SavedModel tracks.

    Args:
        model: the trained model; its variables belong to one device.
        tft_output: the transform graph that the model was trained behind.
        config: the configuration that the model was built from.
        queries: float32 [N, D + 1], a sample of the queries to expect, which the index is tuned with; None or empty:
            the items are used as queries.
        attributes: the items' raw attributes that `config.serving` names.
        snapshot: the users' histories and features, for requests that do not bring their own.
        request_share: the share of the users for whom `evaluate` also answers in the forms of requests that services
            send.
        withdrawn: int64 [W], items that histories may hold and that no answer does; the index never finds them.

    Raises:
        ValueError: the transform graph's raw features cannot be served (`RequestReader`), or an attribute is missing.
    """

    def __init__(
        self,
        model: StackedRecommender,
        tft_output: tft.TFTransformOutput,
        config: Config,
        queries: NDArray[np.float32] | None = None,
        attributes: Attributes | None = None,
        snapshot: Snapshot | None = None,
        request_share: float = 1.0,
        withdrawn: NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__(name="exported_model")
        network, serving, size = model.network, config.serving, model.network.spec.item_count
        self.snapshot = None if snapshot is None else SnapshotTable(snapshot)
        reader = RequestReader(tft_output, network.spec, self.snapshot)
        self.transform, self.item_index = reader.transform, reader.item_index
        self.item_ids = _table(item_vocabulary(tft_output), tf.string, "item_ids")
        self.frequencies = _table(item_frequencies(tft_output), tf.float32, "frequencies")
        self.index: Index | None = None
        self.index_report: IndexReport | None = None
        if config.retrieval:
            table = candidate_table(network)
            hidden = np.zeros(0, np.int64) if withdrawn is None else withdrawn
            table[hidden] = table[-1]  # the least of all scores, so that no shortlist is spent on them
            self.index, self.index_report = build_index(table, table[:0] if queries is None else queries, serving)
            self.index.hide(hidden, config.model.dimension)
        self.filters: Filters | None = None
        if serving.allow_list or serving.filters:
            self.filters = Filters(serving, attributes or {}, reader.item_index, size)
        self.diversity: Diversity | None = None
        if serving.diversity is not None:
            self.diversity = Diversity(serving.diversity, attributes or {}, size)
        self.class_names = {
            task: _table(feature_vocabulary(head.feature, tft_output), tf.string, f"{task}_classes")
            for task, head in network.classifiers.items()
        }
        self.teach = teach_function(network) if serving.teaches else None
        recommender = Recommender(model, self.index, self.item_ids, reader, self.filters, self.diversity)
        evaluation = Evaluation(model, recommender, self.frequencies, reader, request_share)
        explainer = Explainer(model, recommender, self.item_ids, reader)
        self.kept = kept_variables(model, tft_output)
        self.hidden = frozenset([] if withdrawn is None else withdrawn.tolist())
        self.functions = Functions(model, reader, recommender, evaluation, explainer, self.class_names)

    def concrete_signatures(self) -> Signatures:
        """Traces every signature; the weights that they and `teach` read are tracked from here on."""
        signatures = self.functions.traced(self.index)
        functions = [*signatures.values(), *([self.teach.get_concrete_function()] if self.teach else [])]
        self.weights = list({id(v): v for function in functions for v in function.variables}.values())
        return signatures


@dataclass(frozen=True)
class Functions:
    """The signatures before they are traced."""

    model: StackedRecommender
    reader: RequestReader
    recommender: Recommender
    evaluation: Evaluation
    explainer: Explainer
    class_names: dict[str, tf.Variable]

    def traced(self, index: Index | None) -> Signatures:
        """Traces the signatures of `docs/reference/signatures.md` that the model's tasks allow."""
        network = self.model.network
        recommend = _concrete(self.recommend)
        signatures = {
            "serving_default": recommend,
            "recommend": recommend,
            "recommend_tensors": _concrete(
                self.recommend_tensors, *_PLAIN_TENSORS, *extra_inputs(network.config).values()
            ),
            "rank": _concrete(self.recommender.rank),
            "explain": _concrete(self.explainer.explain),
            "evaluate": _concrete(self.evaluation.evaluate),
            "request_features": _concrete(self.reader.features),
        }
        if network.config.events:
            signatures["evaluation_labels"] = _concrete(self.evaluation.labels)
        if network.config.multiclass:
            signatures["interests"] = _concrete(self.interests)
        if index is not None:
            signatures["retrieve"] = _concrete(self.retrieve)
            signatures["embed_query"] = _concrete(self.embed_query)
            item_id = tf.TensorSpec([None], tf.string, feature_names.ITEM_ID)
            signatures["embed_candidate"] = _concrete(partial(self.embed_candidate, index), item_id)
        return signatures

    def recommend(self, examples: tf.Tensor) -> Answer:
        """The signature `recommend`: string [B]."""
        return self.recommender.recommend(self.reader.from_examples(examples))

    def recommend_tensors(self, *inputs: tf.Tensor) -> Answer:
        """The signature `recommend_tensors`: the inputs of `_PLAIN_TENSORS` and `extra_inputs`."""
        return self.recommender.recommend(self.reader.from_tensors(*inputs))

    def retrieve(self, examples: tf.Tensor) -> Answer:
        """The signature `retrieve`: string [B]."""
        return self.recommender.retrieve(self.reader.from_examples(examples))

    def embed_candidate(self, index: Index, item_id: tf.Tensor) -> Answer:
        """The signature `embed_candidate`: string [B] -> `embedding` float [B, D + 1 + W]."""
        return {"embedding": index.embeddings(self.reader.items(item_id))}

    def embed_query(self, examples: tf.Tensor) -> Answer:
        """The signature `embed_query`: string [B] -> `embedding` float [B, D + 1 + W]."""
        return {"embedding": self.model.network.encode_newest(self.reader.history(examples)).embedding}

    def interests(self, examples: tf.Tensor) -> Answer:
        """The signature `interests`: string [B] -> the most probable classes of the next event.

        Returns:
            By multiclass task `<task>` string [B, K], the most probable class first, and `<task>_probability` float
            [B, K]; "" and 0 behind a row's own `k`.
        """
        request = self.reader.from_examples(examples)
        answers = {}
        for task, probabilities in self.model.network.interests(
            self.model.network.encode_newest(request.window)
        ).items():
            width = tf.minimum(tf.maximum(tf.reduce_max(request.k), 1), tf.shape(probabilities)[1])
            best, index = tf.math.top_k(probabilities, width)
            is_wanted = tf.range(width) < request.k[:, tf.newaxis]
            answers[task] = tf.where(is_wanted, tf.gather(self.class_names[task], index), "")
            answers[f"{task}_probability"] = tf.where(is_wanted, best, 0)
        return answers


@dataclass(frozen=True)
class Exported:
    """An exported model in memory: the trained model's own weights and functions, not those of the SavedModel."""

    module: ExportedModel
    signatures: Signatures

    def some_items(self, count: int = 32) -> list[bytes]:
        """Returns the ids of the most frequent items that answers may hold."""
        hidden = self.module.hidden
        ids = self.module.item_ids[: count + len(hidden)].numpy()
        return [bytes(item) for index, item in enumerate(ids) if index not in hidden][:count]


def export_model(
    model: StackedRecommender,
    tft_output: tft.TFTransformOutput,
    config: Config,
    path: str,
    queries: NDArray[np.float32] | None = None,
    attributes: Attributes | None = None,
    snapshot: Snapshot | None = None,
    request_share: float = 1.0,
    withdrawn: NDArray[np.int64] | None = None,
) -> Exported:
    """Writes the SavedModel with the signatures of `docs/reference/signatures.md` and warm-up requests.

    Without a retrieval task there are no `retrieve`, `embed_query` and `embed_candidate`, and no `retrieval_score`;
    without a multiclass task there is no `interests`.

    Args:
        model, tft_output, config, queries, attributes, snapshot, request_share, withdrawn: as for `ExportedModel`.
        path: a folder that does not exist or is empty.

    Returns:
        The exported model, still in memory.

    Raises:
        ValueError: as `ExportedModel`.
    """
    module = ExportedModel(model, tft_output, config, queries, attributes, snapshot, request_share, withdrawn)
    exported = Exported(module, module.concrete_signatures())
    tf.saved_model.save(module, path, signatures=exported.signatures)
    write_kept(path, model, tft_output)
    specs = {name: input_specs(function) for name, function in exported.signatures.items()}
    max_events = config.model.history.max_events
    warmup = warmup_requests(specs, tft_output.raw_feature_spec(), exported.some_items(), max_events)
    write_prediction_log(f"{path}/{WARMUP_FILE}", warmup)
    return exported


def candidate_table(model: RecommenderModel) -> np.ndarray:
    """Returns the candidates' embeddings and the unknown item's, float32 [V + 1, D + 1 + W].

    The unknown item has the zero vector, the lowest of all biases and no trend: its score depends on no query and is
    below that of the least popular item.
    """
    known = model.candidate_embeddings().numpy()
    unknown = np.zeros((1, known.shape[1]), known.dtype)
    bias = model.config.model.dimension
    unknown[0, bias] = known[:, bias].min()
    return np.concatenate([known, unknown])


def _table(values: np.ndarray, dtype: tf.DType, name: str) -> tf.Variable:
    return tf.Variable(values, trainable=False, dtype=dtype, name=name)


def _concrete(function: Callable[..., Answer], *inputs: tf.TensorSpec) -> tf.types.experimental.ConcreteFunction:
    return tf.function(function, input_signature=inputs or (EXAMPLES,), autograph=False).get_concrete_function()
