"""The command that renders what runs on Kubernetes."""

import argparse
from pathlib import Path

from config import ConfigError
from pipeline.cli.common import OK, add_config


def add_deploy(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `deploy`."""
    add_config(parser)
    parser.add_argument("--output", default="deploy", metavar="FOLDER", help="the folder (default: %(default)s)")


def deploy(arguments: argparse.Namespace) -> int:
    """Render the image and the Kubernetes manifests of a configuration.

    Writes a Dockerfile; `kubernetes/` with the volume, the daily run (CronJob) and TensorFlow Serving (Deployment,
    Service, HorizontalPodAutoscaler, PodDisruptionBudget); and `jobs/` with Kubeflow's TrainJob, TrainingRuntime and
    TFJob. The section `deploy` has their values. Files of an earlier call are replaced; nothing is sent anywhere.
    """
    from config.errors import Source
    from config.fingerprint import ROOT
    from config.load import read_text
    from pipeline.checks.configuration import checked_config
    from pipeline.checks.files import why_unwritable
    from pipeline.deploy.places import deployment_problems
    from pipeline.deploy.render import render

    config = checked_config(arguments.config, with_data=False)
    source = Source(read_text(arguments.config), arguments.config)
    if problems := [source.problem(*problem) for problem in deployment_problems(config)]:
        raise ConfigError("\n".join(problems))
    path, folder = Path(arguments.config).absolute(), Path(arguments.output)
    if not path.is_relative_to(ROOT):
        raise ConfigError(f"{path} should be in the project's folder ({ROOT}), from which the image is built")
    if problem := why_unwritable(str(folder)):
        raise ConfigError(f"`--output` should be a folder that can be written to: {problem}")
    for file in render(config, path.relative_to(ROOT).as_posix(), folder, ROOT):
        print(file)
    return OK
