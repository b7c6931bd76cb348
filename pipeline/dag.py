"""The components and the edges between them. docs/explanation/architecture.md describes them in prose."""

from collections.abc import Callable

from tfx import v1 as tfx
from tfx.types import BaseChannel

from config import Config, paths
from pipeline.base_model import blessed_before_data, starts_from_blessed
from pipeline.embeddings.component import make_embedding_exporter
from pipeline.evaluation.baseline import blessed_before
from pipeline.evaluation.eval_config import make_evaluator
from pipeline.infra.component import make_infra_validator
from pipeline.ingest.component import InteractionExampleGen
from pipeline.push.component import make_pusher
from pipeline.validation.components import make_validation
from pipeline.validation.reference import statistics_before
from trainer.component import make_trainer, make_tuner
from transform.component import make_transform


def create_pipeline(
    config: Config,
    pipeline_root: str | None = None,
    make_resolver: Callable[[Config, BaseChannel], tfx.dsl.Resolver] = blessed_before,
    make_reference: Callable[[BaseChannel], tfx.dsl.Resolver] = statistics_before,
    make_base: Callable[[BaseChannel], tfx.dsl.Resolver] = blessed_before_data,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline of a configuration. Pure: reads and writes nothing.

    Args:
      config: The validated configuration.
      pipeline_root: Where artifacts go; `paths.artifacts(config)` when missing.
      make_resolver: From configuration and candidate model to the resolver of the model that it is compared with.
      make_reference: From this run's statistics to the resolver of those that they are compared with.
      make_base: From this run's transform graph to the resolver of the model that training starts from.

    Returns:
      The pipeline, for any TFX runner.
    """
    ingest = InteractionExampleGen(config)
    examples = ingest.outputs["examples"]
    validation = make_validation(config, examples, make_reference)
    transform = make_transform(config, examples, validation.schema)
    transform.add_upstream_node(validation.gate)
    transformed, graph = transform.outputs["transformed_examples"], transform.outputs["transform_graph"]
    base = make_base(graph) if starts_from_blessed(config) else None
    base_model = base.outputs["model"] if base else None
    tuner = make_tuner(config, transformed, graph, base_model)
    hyperparameters = tuner.outputs["best_hyperparameters"] if tuner else None
    trainer = make_trainer(config, transformed, graph, examples, hyperparameters, base_model)
    model = trainer.outputs["model"]
    resolver = make_resolver(config, model)
    evaluator = make_evaluator(config, examples, model, resolver.outputs["model"])
    infra_validator = make_infra_validator(config, model, trainer.outputs["model_run"], examples)
    pusher = make_pusher(config, model, evaluator.outputs["blessing"], infra_validator.outputs["blessing"])
    pushed = pusher.outputs["pushed_model"]
    embedding_exporter = make_embedding_exporter(config, model, trainer.outputs["model_run"], pushed)
    return tfx.dsl.Pipeline(
        pipeline_name=config.name,
        pipeline_root=pipeline_root or paths.artifacts(config),
        components=[
            ingest,
            *validation.components,
            transform,
            *([base] if base else []),
            *([tuner] if tuner else []),
            trainer,
            resolver,
            evaluator,
            infra_validator,
            pusher,
            *([embedding_exporter] if embedding_exporter else []),
        ],
        enable_cache=config.pipeline.cache,
        beam_pipeline_args=[*config.pipeline.beam.arguments],
    )
