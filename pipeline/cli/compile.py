"""Compile the pipeline for Kubeflow Pipelines v2 or Vertex AI.

Writes a PipelineSpec, YAML or JSON by the file's extension. Nothing is run and nothing is sent anywhere.
"""

import argparse
import sys
from pathlib import Path

from config import ConfigError
from pipeline.cli import exits
from pipeline.cli.options import add_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """For whom, into which file, and what the cluster needs to know."""
    add_config(parser)
    parser.add_argument("--runner", choices=["kubeflow"], default="kubeflow", help="for whom (default: %(default)s)")
    parser.add_argument("--output", required=True, metavar="FILE", help="the file: .yaml, .yml or .json")
    parser.add_argument("--image", help="the container image with this project in it")
    parser.add_argument("--pipeline-root", metavar="URI", help="where artifacts go (default: `pipeline.root`'s)")


def execute(arguments: argparse.Namespace) -> int:
    """Compiles; raises `ConfigError`, or `CommandError` without kfp."""
    from pipeline.checks.configuration import checked_config
    from pipeline.checks.files import why_unwritable

    config = checked_config(arguments.config, with_data=False)
    if problem := why_unwritable(str(Path(arguments.output).parent)):
        raise ConfigError(f"`--output` should be in a folder that can be written to: {problem}")
    from pipeline.runners.kubeflow import CompileError, compile_pipeline, local_paths

    try:
        names = compile_pipeline(config, Path(arguments.output), arguments.image, arguments.pipeline_root)
    except CompileError as error:
        raise exits.CommandError(str(error)) from error
    print(f"{arguments.output}: {len(names)} components: {', '.join(names)}")
    if local := local_paths(config, arguments.pipeline_root):
        print(f"note: these paths are local, so the cluster has to mount them: {', '.join(local)}", file=sys.stderr)
    return exits.OK
