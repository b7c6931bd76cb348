"""Checks a configuration before any work starts.

Every command calls `checked_config` first. It imports neither TensorFlow nor TFX and reads no more of the data than
the first rows of the tables (`pipeline/checks/files.py`).
"""

import re
from collections.abc import Collection, Iterator
from datetime import date
from pathlib import Path

from pydantic import ValidationError

from config import Config, ConfigError, parse_config
from config.errors import Location, Problem, Source, suggestion
from config.evaluation import DistanceConfig
from config.load import changed_config, read_text
from config.tasks import RegressionTask
from pipeline.checks.beam import check_beam
from pipeline.checks.embeddings import check_embeddings
from pipeline.checks.files import check_folders, check_tables
from pipeline.checks.object_stores import check_object_stores, table_folder_problems
from pipeline.checks.parameter_servers import check_parameter_servers
from pipeline.checks.personal import check_personal, check_personal_key
from pipeline.checks.tasks import check_tasks
from pipeline.checks.training_jobs import check_training_job
from pipeline.validation.measures import measures, window_measures
from trainer.metrics.names import check_gates

_TUNABLE = re.compile(r"(model|tasks|training)\.")
_READ_EARLIER = re.compile(
    r"model\.(history\.(max_events|min_context)|user_min_count)|tasks\.[^.]+(\.(kind|label|where|session|attribute))?"
    r"|training\.(strategy|replicas|fit_on|early_stopping.*)"
)
"""Keys that ingest or Transform read, or that make trials comparable."""
_OF_A_LOSS = re.compile(r"tasks\.(?P<task>[^.]+)\.(?!hidden|dropout|baseline|temperature)(?P<field>.*)")
"""Keys that change what a task's loss measures, so that losses of trials cannot be compared."""


def checked_config(
    path: str | Path, with_data: bool = True, writes: bool = False, span: int | date | None = None
) -> Config:
    """Reads a configuration and checks all that can be checked before any work.

    Args:
      path: The YAML file.
      with_data: Whether to check the tables and their columns too.
      writes: Whether to check that a run can write its folders too.
      span: In place of the configuration's `data.span`. None: that.

    Raises:
      ConfigError: With one line for each problem: file, line, key, found, allowed.
    """
    text = read_text(path)
    config = parse_config(text, str(path))
    if span is not None:
        if not config.data.interactions.has_spans:
            log = config.data.interactions.path
            raise ConfigError(
                f"{path}: `--span {span}` needs `{{SPAN}}` or a date in the path of the log. It is {log!r}"
            )
        config = changed_config(config, {"data.span": span})
    problems = list(_rules(config))
    if with_data:
        problems += check_personal_key(config)
    if with_data and not any(table_folder_problems(config)):
        problems += check_tables(config, str(path))
    if writes:
        problems += check_folders(config)
        problems += check_beam(config)
    if problems:
        source = Source(text, str(path))
        raise ConfigError("\n".join(source.problem(*problem) for problem in problems))
    return config


def _rules(config: Config) -> Iterator[Problem]:
    yield from check_tasks(config)
    yield from check_embeddings(config)
    yield from check_personal(config)
    yield from _requirements(config)
    yield from _bounds(config)
    yield from _lengths(config)
    yield from _attributes(config)
    yield from _replicas(config)
    yield from check_parameter_servers(config)
    yield from check_training_job(config)
    yield from _teacher(config)
    yield from _base_model(config)
    yield from _tuner(config)
    yield from check_distances(config)
    yield from check_object_stores(config)
    yield from map(_located, check_gates(config))


def _located(message: str) -> Problem:
    """Returns the key of a message that begins with it in backquotes, and the rest of the message."""
    key, rest = re.fullmatch(r"`([^`]*)`:? (.*)", message, re.DOTALL).groups()  # type: ignore[union-attr]
    return [int(part) if part.isdigit() else part for part in key.split(".")], rest


def _requirements(config: Config) -> Iterator[Problem]:
    if config.features.item and config.data.items is None:
        yield ("features", "item"), "needs the table `data.items`, which is missing"
    if config.model.generator is not None and not config.features.item:
        yield ("model", "generator"), "makes vectors of the items' content, and `features.item` is empty"
    if config.model.batch_norm and not (config.model.query_layers or config.model.candidate_layers):
        yield ("model", "batch_norm"), "is a part of `query_layers` and `candidate_layers`, and both are empty"
    negatives = config.retrieval.negatives if config.retrieval else "none"
    if config.model.batch_norm and config.model.candidate_layers and negatives != "full":
        yield ("model", "batch_norm"), f"of `candidate_layers` needs the negatives `full`. Received: {negatives!r}"
    log = config.data.interactions
    for key in ("user", "item"):
        if log.time is not None and log.time == getattr(log, key):
            yield ("data", "interactions", "time"), f"should be another column than `{key}`. Received: {log.time!r}"
    if config.split.method == "global_time" and config.data.interactions.time is None:
        yield ("split", "method"), "`global_time` needs a time column, and `data.interactions.time` is null"
    wants_trend = "trend" in config.features.model_fields_set and config.features.trend.days
    if wants_trend and config.data.interactions.time is None:
        yield ("features", "trend"), "needs a time column, and `data.interactions.time` is null"
    if wants_trend and config.retrieval is None:
        yield ("features", "trend"), "is a part of the retrieval score, and `tasks` holds no retrieval task"
    if config.serving.embeddings and config.retrieval is None:
        yield ("serving", "embeddings"), "are those of the retrieval task, and `tasks` holds none"
    schema = config.pipeline.schema_file
    if schema is not None and "://" not in schema and not Path(schema).is_file():
        yield ("pipeline", "schema_file"), f"should be a file. Received: {schema!r}, which does not exist"


def _bounds(config: Config) -> Iterator[Problem]:
    for index, outlier in enumerate(config.cleaning.outliers):
        if outlier.min is None and outlier.max is None:
            yield ("cleaning", "outliers", index), "should have `min`, `max` or both"
        yield from _ordered(("cleaning", "outliers", index, "min"), outlier.min, outlier.max)
    for name, task in config.tasks.items():
        if isinstance(task, RegressionTask):
            yield from _ordered(("tasks", name, "min"), task.min, task.max)


def _ordered(location: Location, low: float | None, high: float | None) -> Iterator[Problem]:
    if low is not None and high is not None and low > high:
        yield location, f"should not be above `max` ({high:g}). Received: {low:g}"


def _lengths(config: Config) -> Iterator[Problem]:
    serving, history, ks = config.serving, config.model.history, config.evaluation.ks
    if serving.max_k < serving.default_k:
        yield ("serving", "max_k"), f"should be at least `default_k` ({serving.default_k}). Received: {serving.max_k}"
    if config.retrieval and serving.candidates < serving.default_k:
        allowed = f"should be at least `default_k` ({serving.default_k})"
        yield ("serving", "candidates"), f"{allowed}. Received: {serving.candidates}"
    if "min_context" in history.model_fields_set and history.min_context >= history.max_events:
        allowed = f"should be below `max_events` ({history.max_events})"
        yield ("model", "history", "min_context"), f"{allowed}. Received: {history.min_context}"
    if list(ks) != sorted(ks):
        yield ("evaluation", "ks"), f"should increase. Received: {list(ks)}"
    if {"attention", "hstu"} & set(history.encoders) and config.model.dimension % history.heads:
        allowed = f"should divide `model.dimension` ({config.model.dimension})"
        yield ("model", "history", "heads"), f"{allowed}. Received: {history.heads}"


def _attributes(config: Config) -> Iterator[Problem]:
    """Filters need features with the tables' own values, caps such features whose values items can share."""
    words = [f.name for f in config.features.item if f.is_sliceable]
    numbers = [f.name for f in config.features.item if f.is_filterable and f.is_ordered]
    uses: list[tuple[Location, str, list[str]]] = [
        *((("serving", "filters", i), name, words + numbers) for i, name in enumerate(config.serving.filters)),
        *((("serving", "diversity", "caps", name), name, words) for name in config.serving.caps),
    ]
    for location, name, allowed in uses:
        if name not in allowed:
            listed = ", ".join(allowed) or "none: `features.item` has no fitting feature"
            yield location, f"should name an item feature ({listed}). {suggestion(name, allowed)}Received: {name!r}"


def _replicas(config: Config) -> Iterator[Problem]:
    training = config.training
    if training.replicas and training.strategy != "mirrored":
        yield ("training", "replicas"), f"needs the strategy `mirrored`. Received: {training.strategy!r}"
    if training.tpu and training.strategy != "tpu":
        yield ("training", "tpu"), f"needs the strategy `tpu`. Received: {training.strategy!r}"
    if training.replicas and training.batch_size and training.batch_size % training.replicas:
        allowed = f"should be a multiple of `replicas` ({training.replicas})"
        yield ("training", "batch_size"), f"{allowed}. Received: {training.batch_size}"


def _teacher(config: Config) -> Iterator[Problem]:
    distillation = config.training.distillation
    if distillation and config.model.batch_norm and config.model.candidate_layers:
        # The student's sample of items would be normalised by itself, and move the averages beside the catalogue.
        yield ("training", "distillation"), "should be null with `model.batch_norm` of `model.candidate_layers`"
    if distillation and "://" not in distillation.teacher and not Path(distillation.teacher).is_dir():
        found = f"Received: {distillation.teacher!r}, which does not exist"
        yield ("training", "distillation", "teacher"), f"should be a folder. {found}"


def _base_model(config: Config) -> Iterator[Problem]:
    settings = config.training.warm_start
    if settings is None or settings.model is None or "://" in settings.model:
        return
    if not Path(settings.model, "Format-Training").is_dir():
        yield (
            ("training", "warm_start", "model"),
            "should be the folder of a model that was trained with `warm_start`, "
            f"<root>/<name>/artifacts/Trainer/model/<number>. Received: {settings.model!r}, which holds no "
            "Format-Training",
        )


def _tuner(config: Config) -> Iterator[Problem]:
    strategy = config.training.strategy
    if config.tuner and strategy in ("tpu", "parameter_server"):
        allowed = "should be `one_device`, `mirrored` or `multi_worker` with `tuner`"
        yield ("training", "strategy"), f"{allowed}. Received: {strategy!r}"
    for key, parameter in config.tuner.parameters.items() if config.tuner else ():
        location = ("tuner", "parameters", key)
        if config.tuner and _changes(key, config.tuner.objective):
            yield location, f"changes what `{config.tuner.objective}` measures: `objective` should be another metric"
        if not _TUNABLE.match(key) or _READ_EARLIER.fullmatch(key):
            yield location, "should be a key of `model`, `tasks` or `training` that only the Trainer reads"
            continue
        for value in parameter.extremes:
            try:
                changed_config(config, {key: value})
            except ValidationError as error:
                problem = error.errors()[0]
                changed = ".".join(map(str, problem["loc"]))
                yield location, f"{value!r} is not a valid value of `{changed}`: {problem['msg']}"


def _changes(key: str, objective: str) -> bool:
    """Returns whether the key changes what the objective measures."""
    found = _OF_A_LOSS.fullmatch(key)
    if found is None:
        return False
    return objective == "loss" or (objective == f"{found['task']}_loss" and found["field"] != "weight")


def check_distances(config: Config) -> Iterator[Problem]:
    """Returns the problems of `pipeline.drift` and `pipeline.skew`."""
    settings = config.pipeline
    if settings.drift is not None:
        yield from _distances(("pipeline", "drift"), settings.drift, config, measures(config))
    if settings.skew is not None:
        yield from _distances(("pipeline", "skew"), settings.skew, config, window_measures(config))
        if not settings.skew.splits:
            yield ("pipeline", "skew", "splits"), "should name `eval`, `test` or both. Received: []"


def _distances(
    location: Location, settings: DistanceConfig, config: Config, allowed: Collection[str]
) -> Iterator[Problem]:
    if settings.threshold is None and not settings.features and config.pipeline.schema_file is None:
        yield location, "should have `threshold`, `features` or both, or `schema_file` a schema with comparators"
    for name in settings.features:
        if name not in allowed:
            listed = f"should name a feature that distances are measured of ({', '.join(allowed)})"
            yield (*location, "features", name), f"{listed}. {suggestion(name, allowed)}Received: {name!r}"
