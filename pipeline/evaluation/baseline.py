"""The resolvers of the model that a candidate is compared with."""

import posixpath
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf
from absl import logging
from tensorflow.core.protobuf import saved_model_pb2
from tfx import types
from tfx import v1 as tfx
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from config import Config, ConfigError, parse_config
from pipeline.ingest.columns import Plan
from pipeline.lineage import Lineage, custom_config, withdrawn_models
from trainer.metrics.request_forms import request_forms

MODEL = "model"
BLESSING = "model_blessing"
CANDIDATE = "candidate"
_SIGNATURES = ("evaluate", "evaluation_labels")


class BaselineError(Exception):
    """A model has to be compared with the blessed one before it, and cannot be."""


class BlessedBeforeCandidate(ResolverStrategy):
    """Resolves the latest blessed model that is older than the candidate and can be measured as the candidate is.

    Passed over are models of other tasks (a candidate whose tasks are new is compared with nothing, as on a first run),
    models whose outputs mean something else (lists of other lengths, or with seen items), and models that read a
    feature of the examples as another kind, and models whose versions were all withdrawn.

    TFX's LatestBlessedModelStrategy resolves the candidate itself once it is blessed, so a run from the cache would
    evaluate it again, against itself, and push it again.

    Args:
        is_required: Whether a candidate has to be compared where any older model is blessed.
    """

    def __init__(self, is_required: bool = False) -> None:
        super().__init__()
        self._is_required = is_required

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Keeps at most one model, and its blessing; see the base class.

        Raises:
            BaselineError: A comparison is required, and no blessed model can be measured as the candidate is.
        """
        candidates, lineage = input_dict[CANDIDATE], Lineage(store)
        first = min((model.id for model in candidates), default=0)
        older = served_before(store, input_dict[MODEL], first)
        found = blessed_of(store, older, input_dict[BLESSING])
        reasons = []
        while found[MODEL] and (reason := _why_incomparable(lineage, found[MODEL][0], candidates)):
            passed_over = found[MODEL][0].id
            logging.warning("Model %d is no baseline: %s", passed_over, reason)
            reasons.append(f"model {passed_over}: {reason}")
            older = [model for model in older if model.id < passed_over]
            found = blessed_of(store, older, input_dict[BLESSING])
        if self._is_required and reasons and not found[MODEL]:
            raise BaselineError(no_baseline(reasons[0]))
        return {**found, CANDIDATE: candidates}


def no_baseline(newest: str) -> str:
    """Returns the error of a candidate that cannot be compared.

    Args:
        newest: The newest blessed model, and why it is no baseline.
    """
    return (
        f"a gate has a `max_regression`, and no blessed model can be compared with this one; the newest is {newest}. "
        "If the change is meant, `evaluation.incomparable_baseline: ignore` measures this model as a first one, "
        "without training again"
    )


def is_required(config: Config) -> bool:
    """Returns whether a candidate has to be compared where any older model is blessed."""
    evaluation = config.evaluation
    compares = any(gate.max_regression is not None for gate in evaluation.gates)
    return compares and evaluation.incomparable_baseline == "fail"


def served_before(store: Any, models: list[types.Artifact], artifact: int) -> list[types.Artifact]:
    """Returns the models that are older than an artifact's id, but for those whose versions were all withdrawn."""
    withdrawn = withdrawn_models(store)
    return [model for model in models if model.id < artifact and model.id not in withdrawn]


def blessed_of(
    store: Any, models: list[types.Artifact], blessings: list[types.Artifact]
) -> dict[str, list[types.Artifact]]:
    """Returns the latest blessed one of models, and its blessing; empty lists where none is blessed."""
    found = LatestBlessedModelStrategy().resolve_artifacts(store, {MODEL: list(models), BLESSING: list(blessings)})
    return found or {MODEL: [], BLESSING: []}


def _why_incomparable(lineage: Lineage, model: types.Artifact, candidates: list[types.Artifact]) -> str:
    """Returns why the model cannot be measured as every candidate; "" where it can."""
    return next(filter(None, (difference(_trained(lineage, model), _trained(lineage, c)) for c in candidates)), "")


class Trained(NamedTuple):
    """A model, and how it was trained."""

    name: str
    """What messages call it."""
    saved_model: str
    """The folder."""
    config: str
    """The Trainer's part of the configuration, as JSON."""


def _trained(lineage: Lineage, model: types.Artifact) -> Trained:
    folder = path_utils.serving_model_path(model.uri) if model.uri else ""
    return Trained(f"model {model.id}", folder, str(custom_config(lineage.producer(model)).get("config", "")))


def difference(model: Trained, candidate: Trained) -> str:
    """Returns why a model cannot be measured as the candidate is; "" where it can."""
    missing = sorted(name for _, name in _outputs(candidate.saved_model) - _outputs(model.saved_model))
    if missing:
        return f"its outputs lack {', '.join(missing)}"
    try:
        theirs, ours = (_meaning(parse_config(t.config, f"Trainer of {t.name}")) for t in (model, candidate))
    except ConfigError as error:
        return f"what a model was trained with cannot be read: {' '.join(str(error).split())}"
    changed = [key for key in ours if key in theirs and theirs[key] != ours[key]]
    return ", ".join(f"it was trained with {key} {theirs[key]}, not {ours[key]}" for key in changed)


def _meaning(config: Config) -> Mapping[str, object]:
    """Returns by key what the outputs' meaning depends on: lists, kinds of tasks, types of the example features."""
    plan, evaluation = Plan(config), config.evaluation
    lists = {"evaluation.ks": list(evaluation.ks), "evaluation.mask_seen": evaluation.mask_seen}
    lists |= {"forms of requests": list(request_forms(config))} if request_forms(config) else {}
    return {
        **(lists if config.retrieval else {}),
        **{f"tasks.{name}.kind": task.kind for name, task in config.tasks.items()},
        **{f"{column.name} as": column.kind for column in (*plan.user, *plan.event)},
    }


def _outputs(saved_model: str) -> set[tuple[str, str]]:
    """Returns (signature, name) of the outputs that evaluation reads; none where the model's files are gone."""
    path = posixpath.join(saved_model, "saved_model.pb")
    if not saved_model or not tf.io.gfile.exists(path):
        return set()
    with tf.io.gfile.GFile(path, "rb") as file:
        saved = saved_model_pb2.SavedModel.FromString(file.read())
    signatures = saved.meta_graphs[0].signature_def
    return {(name, output) for name in _SIGNATURES if name in signatures for output in signatures[name].outputs}


def blessed_before(config: Config, candidate: types.BaseChannel) -> list[tfx.dsl.Resolver]:
    """Resolves the model that `candidate`, a Model of this run, is compared with. For the local runner."""
    resolver = tfx.dsl.Resolver(
        strategy_class=BlessedBeforeCandidate,
        config={"is_required": is_required(config)},
        candidate=candidate,
        model=tfx.dsl.Channel(type=standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=standard_artifacts.ModelBlessing),
    )
    return [resolver.with_id("latest_blessed_model")]


def latest_blessed(config: Config, candidate: types.BaseChannel) -> list[tfx.dsl.Resolver]:
    """Does so by TFX's own strategy, the only one of the kind that Vertex supports; ignores both arguments, so that a
    model there may be one that cannot be compared."""
    del config, candidate
    resolver = tfx.dsl.Resolver(
        strategy_class=LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=standard_artifacts.ModelBlessing),
    )
    return [resolver.with_id("latest_blessed_model")]
