"""Compiles the pipeline for Kubeflow Pipelines (`kfp`) or Vertex AI (`vertex`). Needs no network."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from config import Config, ConfigError, paths
from pipeline.runners.capture import captured
from pipeline.runners.kubeflow.places import is_object_store, place_problems
from pipeline.runners.kubeflow.resources import absent_components, add_resources, platform_spec

Target = Literal["kfp", "vertex"]

_ENVIRONMENT: Final = ({"name": "TF_USE_LEGACY_KERAS", "value": "1"},)
"""Of every pod: TFX's entry point imports TensorFlow before a package of ours could set it."""
_OWN_BEAM: Final = ("local", "multi_processing")


class CompileError(Exception):
    """The pipeline cannot be compiled on this machine. The message says what to do."""


def compile_pipeline(
    config: Config, target: Target, output: Path, image: str | None = None, pipeline_root: str | None = None
) -> list[str]:
    """Writes the PipelineSpec, and for `kfp` the PlatformSpec as a second document where there is one.

    Args:
      config: The validated configuration.
      target: Who runs it: open-source KFP, or Vertex AI.
      output: `.yaml` or `.yml` for YAML, `.json` for JSON.
      image: The container image in which every component runs; TFX's own when missing, which lacks this project.
      pipeline_root: Where artifacts go, on an object store. When missing `paths.artifacts(config)`, or KFP's own
        default where that is no object store.

    Returns:
      The names of the components.

    Raises:
      CompileError: kfp is not installed.
      ConfigError: What is configured cannot run there.
    """
    _check(config, target, output, pipeline_root)
    try:
        import kfp.pipeline_spec  # noqa: F401  (without it TFX lacks the runner, and raises no error)
    except ImportError as error:
        raise CompileError("compiling for Kubeflow needs kfp: pip install 'tfx-recommender[kubeflow]'") from error
    with tempfile.TemporaryDirectory() as folder, captured(Path(folder) / "log"):  # TFX prints when it is imported
        names, spec = _compile(config, target, image, pipeline_root)
    if absent := absent_components(spec, config):
        raise ConfigError(f"`kubernetes.components` names {', '.join(absent)}, which this pipeline lacks")
    add_resources(spec, config)
    platform = platform_spec(spec, config) if target == "kfp" else {}
    if platform and output.suffix == ".json":
        raise ConfigError(
            f"`--output` should end with .yaml: nodes, secrets and volumes are a second document. Received: {output}"
        )
    _write(output, [spec, platform] if platform else [spec])
    return names


def _check(config: Config, target: Target, output: Path, pipeline_root: str | None) -> None:
    """Raises `ConfigError` for what needs no compiling to be found."""
    if output.suffix not in (".yaml", ".yml", ".json"):
        raise ConfigError(f"`--output` should end with .yaml, .yml or .json. Received: {output}")
    if config.training.strategy == "parameter_server":
        raise ConfigError("`training.strategy: parameter_server` needs servers, and a component is one pod")
    if config.training.strategy == "multi_worker" and config.training.job is None:
        raise ConfigError(
            "`training.job` should say in which job several workers train, since a component is one pod: for the"
            " strategy `multi_worker`. Received: none"
        )
    start = config.training.warm_start
    if target == "kfp" and start is not None and start.model is None:
        raise ConfigError(
            "`training.warm_start.model` should be a folder: on KFP no ML Metadata tell of the newest blessed model. "
            "`--target vertex` resolves it"
        )
    if target == "kfp" and (runner := config.pipeline.beam.runner) not in _OWN_BEAM:
        raise ConfigError(
            f"`pipeline.beam` should be {' or '.join(_OWN_BEAM)}: in KFP's pods artifacts are local files, which "
            f"workers elsewhere do not see; `--target vertex` is compiled with others. Received: {runner!r}"
        )
    if problems := place_problems(config, target, pipeline_root):
        raise ConfigError("\n".join(problems))


def _compile(config: Config, target: Target, image: str | None, root: str | None) -> tuple[list[str], dict[str, Any]]:
    from tfx import v1 as tfx

    from pipeline.dag import VERTEX, create_pipeline
    from pipeline.runners.kubeflow.components import KFP
    from pipeline.runners.kubeflow.spec import for_kfp

    pipeline = create_pipeline(config, root, VERTEX if target == "vertex" else KFP)
    settings = tfx.orchestration.experimental.KubeflowV2DagRunnerConfig(
        default_image=image, use_pipeline_spec_2_1=target == "kfp"
    )
    runner = tfx.orchestration.experimental.KubeflowV2DagRunner(settings)
    spec: dict[str, Any] = runner.run(pipeline, write_out=False)["pipelineSpec"]
    if target == "kfp":
        for_kfp(spec, pipeline.components)
    if is_object_store(place := root or paths.artifacts(config)):
        spec["defaultPipelineRoot"] = place
    for executor in spec["deploymentSpec"]["executors"].values():
        if "container" in executor:
            executor["container"].setdefault("env", []).extend(map(dict, _ENVIRONMENT))
    return [component.id for component in pipeline.components], spec


def _write(output: Path, documents: Sequence[dict[str, Any]]) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    is_json = output.suffix == ".json"
    text = json.dumps(documents[0], indent=2, sort_keys=True) if is_json else yaml.safe_dump_all(documents)
    partial = output.with_name(f".{output.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, output)
