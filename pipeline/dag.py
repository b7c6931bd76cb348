"""The components and the edges between them. docs/explanation/architecture.md describes them in prose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.types import BaseChannel

from config import Config, paths
from pipeline.base_model import blessed_before_data, latest_base, starts_from_blessed
from pipeline.embeddings.component import make_embedding_exporter
from pipeline.evaluation.baseline import blessed_before, latest_blessed
from pipeline.evaluation.eval_config import make_evaluator
from pipeline.infra.component import make_infra_validator
from pipeline.ingest.component import InteractionExampleGen
from pipeline.push.component import make_pusher
from pipeline.validation.components import MakeReference, make_validation
from pipeline.validation.reference import latest_statistics, statistics_before
from trainer.component import make_trainer, make_tuner
from transform.component import make_transform


@dataclass(frozen=True)
class Runner:
    """What differs between runners: how files and earlier runs are found.

    Each function returns nodes in the order in which they run; the last one has the output.

    Attributes:
      make_ingest: From the configuration to the nodes of the examples (`examples`).
      make_baseline: From the configuration and the candidate to those of the model it is compared with (`model`).
      make_reference: From the configuration and this run's statistics to those of earlier ones (`reference`).
      make_base: From this run's transform graph to the nodes of the model that training starts from (`model`).
      make_pusher: Makes the Pusher from the configuration, the model, both blessings and the statistics.
    """

    make_ingest: Callable[[Config], Sequence[BaseNode]]
    make_baseline: Callable[[Config, BaseChannel], Sequence[BaseNode]]
    make_reference: MakeReference
    make_base: Callable[[BaseChannel], Sequence[BaseNode]]
    make_pusher: Callable[[Config, BaseChannel, BaseChannel, BaseChannel, BaseChannel], BaseNode]


def _ingest(config: Config) -> list[BaseNode]:
    return [InteractionExampleGen(config)]


LOCAL = Runner(_ingest, blessed_before, statistics_before, blessed_before_data, make_pusher)
VERTEX = Runner(_ingest, latest_blessed, latest_statistics, latest_base, make_pusher)
"""With the resolvers that TFX compiles."""


def create_components(config: Config, runner: Runner = LOCAL) -> list[BaseNode]:
    """Builds the components of a configuration, in the order in which they run. Pure: reads and writes nothing.

    Args:
      config: The validated configuration.
      runner: What finds files and earlier runs.
    """
    ingest = runner.make_ingest(config)
    examples = ingest[-1].outputs["examples"]
    validation = make_validation(config, examples, runner.make_reference)
    transform = make_transform(config, examples, validation.schema)
    transform.add_upstream_node(validation.gate)
    transformed, graph = transform.outputs["transformed_examples"], transform.outputs["transform_graph"]
    base = runner.make_base(graph) if starts_from_blessed(config) else []
    base_model = base[-1].outputs["model"] if base else None
    tuner = make_tuner(config, transformed, graph, base_model)
    hyperparameters = tuner.outputs["best_hyperparameters"] if tuner else None
    trainer = make_trainer(config, transformed, graph, examples, hyperparameters, base_model)
    model = trainer.outputs["model"]
    baseline = runner.make_baseline(config, model)
    evaluator = make_evaluator(config, examples, model, baseline[-1].outputs["model"])
    infra_validator = make_infra_validator(config, model, trainer.outputs["model_run"], examples)
    blessings = evaluator.outputs["blessing"], infra_validator.outputs["blessing"]
    pusher = runner.make_pusher(config, model, *blessings, validation.statistics)
    pushed = pusher.outputs["pushed_model"]
    embedding_exporter = make_embedding_exporter(config, model, trainer.outputs["model_run"], pushed)
    return [
        *ingest,
        *validation.components,
        transform,
        *base,
        *([tuner] if tuner else []),
        trainer,
        *baseline,
        evaluator,
        infra_validator,
        pusher,
        *([embedding_exporter] if embedding_exporter else []),
    ]


def create_pipeline(config: Config, pipeline_root: str | None = None, runner: Runner = LOCAL) -> tfx.dsl.Pipeline:
    """Builds the pipeline of a configuration. Pure: reads and writes nothing.

    Args:
      config: The validated configuration.
      pipeline_root: Where artifacts go; `paths.artifacts(config)` when missing.
      runner: What finds files and earlier runs.

    Returns:
      The pipeline, for any TFX runner.
    """
    return tfx.dsl.Pipeline(
        pipeline_name=config.name,
        pipeline_root=pipeline_root or paths.artifacts(config),
        components=create_components(config, runner),
        enable_cache=config.pipeline.cache,
        beam_pipeline_args=[*config.pipeline.beam.arguments],
    )
