"""The same pipeline as a PipelineSpec for Kubeflow Pipelines v2 and Vertex AI. Compiling needs no network."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml

from config import Config
from pipeline.runners.capture import captured

_ENVIRONMENT: Final = ({"name": "TF_USE_LEGACY_KERAS", "value": "1"},)
"""Of every pod: TFX's entry point imports TensorFlow before a package of ours could set it."""


class CompileError(Exception):
    """The pipeline cannot be compiled. The message says what to do."""


def compile_pipeline(
    config: Config, output: Path, image: str | None = None, pipeline_root: str | None = None
) -> list[str]:
    """Writes the PipelineSpec.

    Args:
      config: The validated configuration.
      output: `.yaml` or `.yml` for YAML, `.json` for JSON.
      image: The container image in which every component runs; TFX's own when missing, which lacks this project.
      pipeline_root: Where artifacts go; `paths.artifacts(config)` when missing.

    Returns:
      The names of the components.

    Raises:
      CompileError: kfp is not installed, the file's extension is another, or one pod would be several workers.
    """
    if output.suffix not in (".yaml", ".yml", ".json"):
        raise CompileError(f"`--output` should end with .yaml, .yml or .json. Received: {output}")
    if config.training.strategy == "parameter_server":
        raise CompileError("`training.strategy: parameter_server` needs servers, and a component is one pod")
    if config.training.strategy == "multi_worker" and config.training.job is None:
        raise CompileError(
            "`training.job` should say in which job several workers train, since a component is one pod: for the"
            " strategy `multi_worker`. Received: none"
        )
    _require_kfp()
    with tempfile.TemporaryDirectory() as folder, captured(Path(folder) / "log"):  # TFX prints when it is imported
        pipeline, spec = _compile(config, image, pipeline_root)
    output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(spec, indent=2, sort_keys=True) if output.suffix == ".json" else yaml.safe_dump(spec)
    partial = output.with_name(f".{output.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, output)
    return [component.id for component in pipeline.components]


def local_paths(config: Config, pipeline_root: str | None) -> list[str]:
    """Returns the keys with local paths: the cluster has to mount them under the same path for every component."""
    distillation, warm_start = config.training.distillation, config.training.warm_start
    found = {
        "data.folder": config.data.folder,
        "pipeline.root": config.pipeline.root,
        "pipeline.schema_file": config.pipeline.schema_file,
        "training.distillation.teacher": distillation and distillation.teacher,
        "training.warm_start.model": warm_start and warm_start.model,
        "serving.folder": config.serving.folder,
        "--pipeline-root": pipeline_root,
    }
    return [f"{key} = {path}" for key, path in found.items() if path is not None and "://" not in path]


def _require_kfp() -> None:
    """Checks that kfp is installed: without it TFX lacks the runner, and raises no error."""
    try:
        import kfp.pipeline_spec  # noqa: F401
    except ImportError as error:
        raise CompileError("compiling for Kubeflow needs kfp: pip install 'tfx-recommender[kubeflow]'") from error


def _compile(config: Config, image: str | None, pipeline_root: str | None) -> tuple[Any, dict[str, Any]]:
    from tfx import v1 as tfx

    from pipeline.base_model import latest_base
    from pipeline.dag import create_pipeline
    from pipeline.evaluation.baseline import latest_blessed
    from pipeline.validation.reference import latest_statistics

    pipeline = create_pipeline(config, pipeline_root, latest_blessed, latest_statistics, latest_base)
    runner = tfx.orchestration.experimental.KubeflowV2DagRunner(
        tfx.orchestration.experimental.KubeflowV2DagRunnerConfig(default_image=image)
    )
    job = runner.run(pipeline, write_out=False)
    spec: dict[str, Any] = job["pipelineSpec"]
    spec["defaultPipelineRoot"] = pipeline.pipeline_info.pipeline_root
    for executor in spec["deploymentSpec"]["executors"].values():
        if "container" in executor:
            executor["container"].setdefault("env", []).extend(map(dict, _ENVIRONMENT))
    return pipeline, spec
