"""Which model a candidate is compared with."""

from tfx import types
from tfx import v1 as tfx
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.types import standard_artifacts

MODEL = "model"
BLESSING = "model_blessing"
CANDIDATE = "candidate"


class BlessedBeforeCandidate(ResolverStrategy):
    """The latest blessed model that is older than the candidate.

    TFX's LatestBlessedModelStrategy answers with the candidate itself once it is blessed, so a run that is all cache
    would evaluate it again, against itself, and push it again.
    """

    def resolve_artifacts(
        self, store: object, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Keeps at most one model, and its blessing. See the base class."""
        candidates = input_dict[CANDIDATE]
        first = min((model.id for model in candidates), default=0)
        older = [model for model in input_dict[MODEL] if model.id < first]
        found = LatestBlessedModelStrategy().resolve_artifacts(
            store, {MODEL: older, BLESSING: list(input_dict[BLESSING])}
        )
        return {**(found or {MODEL: [], BLESSING: []}), CANDIDATE: candidates}


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
