"""The resolvers of the earlier statistics that those of a run are compared with."""

from typing import Any, Final

from tfx import types
from tfx import v1 as tfx
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.input_resolution.strategies.latest_artifact_strategy import LatestArtifactStrategy
from tfx.types import standard_artifacts

from config import Config
from pipeline.lineage import Lineage

REFERENCE: Final = "reference"
BLESSING: Final = "model_blessing"
CURRENT: Final = "current"

_ID: Final = "reference_statistics"


class BlessedBeforeCurrent(ResolverStrategy):
    """Resolves the newest statistics that are older than the current ones, of a run whose model was blessed.

    Data that stopped a run, or made no better model, are thus no reference for the next run, and a run that comes
    from the cache is compared with the same statistics as before.
    """

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Keeps at most one of the statistics, and the blessings of its runs; see the base class."""
        lineage = Lineage(store)
        first = min((statistics.id for statistics in input_dict[CURRENT]), default=0)
        older = [statistics for statistics in input_dict[REFERENCE] if statistics.id < first]
        given = [(b, lineage.runs(b)) for b in input_dict[BLESSING] if b.get_int_custom_property("blessed")]
        for statistics in sorted(older, key=lambda statistics: statistics.id, reverse=True):
            runs = lineage.runs(statistics)
            if blessings := [blessing for blessing, blessed in given if blessed & runs]:
                return {**input_dict, REFERENCE: [statistics], BLESSING: blessings}
        return {**input_dict, REFERENCE: [], BLESSING: []}


def statistics_before(config: Config, current: types.BaseChannel) -> list[tfx.dsl.Resolver]:
    """Resolves the statistics that `current`, those of this run, are compared with. For the local runner."""
    del config
    resolver = tfx.dsl.Resolver(
        strategy_class=BlessedBeforeCurrent,
        current=current,
        reference=tfx.dsl.Channel(type=standard_artifacts.ExampleStatistics),
        model_blessing=tfx.dsl.Channel(type=standard_artifacts.ModelBlessing),
    )
    return [resolver.with_id(_ID)]


def latest_statistics(config: Config, current: types.BaseChannel) -> list[tfx.dsl.Resolver]:
    """Resolves the newest statistics of any earlier run, by the strategy that Vertex supports; ignores `current`.

    It has no upstream component, so it resolves before this run's own statistics are made.
    """
    del config, current
    resolver = tfx.dsl.Resolver(
        strategy_class=LatestArtifactStrategy, reference=tfx.dsl.Channel(type=standard_artifacts.ExampleStatistics)
    )
    return [resolver.with_id(_ID)]
