"""The sizes of a model's tables, from the output of Transform, before the model is built."""

from collections.abc import Sequence

from config import Config, ConfigError
from config.table_bytes import limit_problem, model_tables
from config.table_sizes import Sizes, features
from trainer.data.catalogue import Catalogue
from transform.features import ModelFeature


def table_sizes(config: Config, known: Sequence[ModelFeature], catalogue: Catalogue, users: int) -> Sizes:
    """Returns what the tables of a model grow with.

    Args:
        config: The configuration.
        known: The model's features.
        catalogue: The V items.
        users: U, the number of known users.
    """
    size = {feature.name: feature.size or 0 for feature in known}
    vocabularies = {
        name: size[name] - (feature.category_count(0) or 0)
        for _, name, feature in features(config)
        if feature.has_vocabulary
    }
    trend = catalogue.trend
    events = int(catalogue.frequencies.sum())
    return Sizes(
        items=catalogue.size,
        users=users,
        vocabularies=vocabularies,
        longest={name: values.shape[1] for name, values in catalogue.features.items() if values.ndim == 2},
        events=min(events, users * config.model.history.max_events),
        cells=0 if trend is None else len(trend.item),
        buckets=0 if trend is None else trend.buckets.size,
        item_id_bytes=sum(map(len, catalogue.item_ids)) / max(1, catalogue.size),
    )


def check_memory(config: Config, known: Sequence[ModelFeature], catalogue: Catalogue, users: int) -> None:
    """Raises `ConfigError` where the tables of the model take more than `training.memory_limit`; see `table_sizes`."""
    if config.training.memory_limit is None:
        return
    tables = model_tables(config, table_sizes(config, known, catalogue, users))
    if problem := limit_problem(config, tables):
        raise ConfigError(f"`training.memory_limit`: {problem}")
