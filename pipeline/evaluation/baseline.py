"""Which model a candidate is compared with."""

import posixpath

import tensorflow as tf
from absl import logging
from tensorflow.core.protobuf import saved_model_pb2
from tfx import types
from tfx import v1 as tfx
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.types import standard_artifacts
from tfx.utils import path_utils

MODEL = "model"
BLESSING = "model_blessing"
CANDIDATE = "candidate"
_SIGNATURES = ("evaluate", "evaluation_labels")


class BlessedBeforeCandidate(ResolverStrategy):
    """The latest blessed model that is older than the candidate and answers all that the candidate is measured by.

    A model of other tasks does not: a candidate whose tasks are new has nothing to fall behind, as on a first run.

    TFX's LatestBlessedModelStrategy answers with the candidate itself once it is blessed, so a run that is all cache
    would evaluate it again, against itself, and push it again.
    """

    def resolve_artifacts(
        self, store: object, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Keeps at most one model, and its blessing. See the base class."""
        candidates = input_dict[CANDIDATE]
        first = min((model.id for model in candidates), default=0)
        wanted = {output for model in candidates for output in _outputs(model)}
        older = [model for model in input_dict[MODEL] if model.id < first]
        found = _latest_blessed(store, older, input_dict[BLESSING])
        while found and found[MODEL] and not _answers(found[MODEL][0], wanted):
            older = [model for model in older if model.id < found[MODEL][0].id]
            found = _latest_blessed(store, older, input_dict[BLESSING])
        return {**(found or {MODEL: [], BLESSING: []}), CANDIDATE: candidates}


def _latest_blessed(
    store: object, models: list[types.Artifact], blessings: list[types.Artifact]
) -> dict[str, list[types.Artifact]] | None:
    return LatestBlessedModelStrategy().resolve_artifacts(store, {MODEL: list(models), BLESSING: list(blessings)})


def _answers(model: types.Artifact, wanted: set[tuple[str, str]]) -> bool:
    missing = sorted(name for _, name in wanted - _outputs(model))
    if missing:
        logging.warning("Model %d is no baseline: its answers lack %s", model.id, ", ".join(missing))
    return not missing


def _outputs(model: types.Artifact) -> set[tuple[str, str]]:
    """Signature and name of what evaluation reads of a model; nothing where its files are gone."""
    if not model.uri:
        return set()
    path = posixpath.join(path_utils.serving_model_path(model.uri), "saved_model.pb")
    if not tf.io.gfile.exists(path):
        return set()
    with tf.io.gfile.GFile(path, "rb") as file:
        saved = saved_model_pb2.SavedModel.FromString(file.read())
    signatures = saved.meta_graphs[0].signature_def
    return {(name, output) for name in _SIGNATURES if name in signatures for output in signatures[name].outputs}


def blessed_before(candidate: types.BaseChannel) -> tfx.dsl.Resolver:
    """Resolves the model that `candidate`, a Model of this run, has to measure up to. For the local runner."""
    return tfx.dsl.Resolver(
        strategy_class=BlessedBeforeCandidate,
        candidate=candidate,
        model=tfx.dsl.Channel(type=standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed_model")


def latest_blessed(candidate: types.BaseChannel) -> tfx.dsl.Resolver:
    """The same by TFX's own strategy, the only one of the kind that Kubeflow and Vertex know; reads no `candidate`."""
    del candidate
    return tfx.dsl.Resolver(
        strategy_class=LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=standard_artifacts.ModelBlessing),
    ).with_id("latest_blessed_model")
