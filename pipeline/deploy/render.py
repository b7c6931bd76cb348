"""Writes the files of a deployment."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from config import Config
from pipeline.deploy.image import dockerfile, dockerignore
from pipeline.deploy.jobs import job_manifests
from pipeline.deploy.places import image_of
from pipeline.deploy.runs import run_manifests, storage_manifests
from pipeline.deploy.serving import serving_manifests

DOCKERFILE: Final = "Dockerfile"
KUBERNETES: Final = "kubernetes"
"""The folder of built-in kinds, for `kubectl apply -f`."""
JOBS: Final = "jobs"
"""The folder of Kubeflow's kinds, which a cluster may not have."""
_HEAD: Final = "# Rendered by `tfx_runner.py deploy`: change the configuration and render again.\n"


def render(config: Config, configuration: str, folder: Path, context: Path) -> list[Path]:
    """Writes the Dockerfile and the manifests, replacing those of an earlier call.

    Args:
        config: The validated configuration.
        configuration: Its file, relative to the context.
        folder: Where to.
        context: The project's folder, from which the image is built.

    Returns:
        The files that were written.
    """
    home = folder.absolute()
    shown = home / DOCKERFILE
    path = shown.relative_to(context).as_posix() if shown.is_relative_to(context) else shown.as_posix()
    files = {
        DOCKERFILE: dockerfile(image_of(config), configuration, path),
        f"{DOCKERFILE}.dockerignore": dockerignore(configuration),
    }
    manifests = {
        f"{KUBERNETES}/storage.yaml": storage_manifests(config),
        f"{KUBERNETES}/run.yaml": run_manifests(config),
        f"{KUBERNETES}/serving.yaml": serving_manifests(config),
        **{f"{JOBS}/{name}": found for name, found in job_manifests(config).items()},
    }
    files |= {name: _text(found) for name, found in manifests.items()}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]


def _text(manifests: Iterable[dict[str, Any]]) -> str:
    return _HEAD + yaml.dump_all(manifests, Dumper=_Dumper, sort_keys=False, width=120)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and repeated parts in full."""

    def ignore_aliases(self, data: Any) -> bool:
        """Repeats parts instead of referring to them, as people would write them."""
        return True


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)
