"""What can be wrong with the thresholds of drift and skew: the features that they name."""

from collections.abc import Collection, Iterator

from pipeline.config import Config
from pipeline.config.distances import DistanceConfig
from pipeline.config.keys import suggestion
from pipeline.config.locate import Location, Problem
from pipeline.validation.measures import measures, window_measures


def check_distances(config: Config) -> Iterator[Problem]:
    """What is wrong with `pipeline.drift` and `pipeline.skew`."""
    settings = config.pipeline
    if settings.drift is not None:
        yield from _check(("pipeline", "drift"), settings.drift, config, measures(config))
    if settings.skew is not None:
        yield from _check(("pipeline", "skew"), settings.skew, config, window_measures(config))
        if not settings.skew.splits:
            yield ("pipeline", "skew", "splits"), "should name `eval`, `test` or both. Received: []"


def _check(location: Location, settings: DistanceConfig, config: Config, allowed: Collection[str]) -> Iterator[Problem]:
    if settings.threshold is None and not settings.features and config.pipeline.schema_file is None:
        yield location, "should have `threshold`, `features` or both, or `schema_file` a schema with comparators"
    for name in settings.features:
        if name not in allowed:
            listed = f"should name a feature that distances are measured of ({', '.join(allowed)})"
            yield (*location, "features", name), f"{listed}. {suggestion(name, allowed)}Received: {name!r}"
