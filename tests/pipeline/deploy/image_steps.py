"""Executes the steps of a rendered Dockerfile in an empty folder, without Docker.

`python -m tests.pipeline.deploy.image_steps` does so for the first example: it installs all packages, which takes
minutes. Steps of the system, which install packages of Debian and make users, are left out.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config import load_config
from config.fingerprint import ROOT
from pipeline.deploy.image import FOLDER
from pipeline.deploy.render import DOCKERFILE, render

EXAMPLE: Final = "examples/movielens-100k.yaml"
_OF_THE_SYSTEM: Final = ("apt-get", "useradd")


@dataclass(frozen=True)
class Step:
    """One instruction of a Dockerfile.

    Attributes:
        kind: `RUN`, `COPY`, ...
        text: What follows, in one line.
    """

    kind: str
    text: str

    @property
    def is_of_the_system(self) -> bool:
        """Whether the step changes the system outside of the project's folder."""
        return self.kind == "RUN" and any(program in self.text for program in _OF_THE_SYSTEM)

    @property
    def is_of_another_stage(self) -> bool:
        """Whether the step copies what an earlier stage has made, which is in the same folder here."""
        return self.text.startswith("--from=")


def parse(dockerfile: str) -> list[Step]:
    """Returns the instructions of a Dockerfile in order."""
    lines = [line for line in dockerfile.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [Step(*line.split(maxsplit=1)) for line in joined.splitlines()]


def execute(steps: list[Step], root: Path, run: Callable[[str, Path, dict[str, str]], None]) -> None:
    """Executes steps with a folder in the place of the image's root.

    Args:
        steps: The instructions.
        root: The folder.
        run: Runs a RUN step, from its command, its folder and its variables.
    """
    here, environment = root, {"PATH": os.environ["PATH"], "HOME": str(root / "tmp")}
    (root / "tmp").mkdir(parents=True)
    for step in steps:
        text = re.sub(rf"(?<![\w.]){FOLDER}\b", str(root / FOLDER[1:]), step.text)
        if step.kind == "WORKDIR":
            here = Path(text)
            here.mkdir(parents=True, exist_ok=True)
        elif step.kind == "ENV":
            environment |= dict(_variables(text, environment))
        elif step.kind == "COPY" and not step.is_of_another_stage:
            _copy(text.split(), here)
        elif step.kind == "RUN" and not step.is_of_the_system:
            run(text, here, environment)


def _variables(text: str, environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    for assignment in text.split():
        name, _, value = assignment.partition("=")
        yield name, re.sub(r"\$(\w+)", lambda found: environment[found[1]], value)


def _copy(paths: list[str], here: Path) -> None:
    *sources, target = paths
    for source in sources:
        origin = ROOT / source
        if origin.is_dir():
            shutil.copytree(origin, here / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(origin, here / target)


def _run(command: str, folder: Path, environment: dict[str, str]) -> None:
    print(f"RUN {command}", flush=True)
    subprocess.run(["bash", "-c", command], cwd=folder, env=environment, check=True)


def main() -> None:
    """Executes the steps in a temporary folder, and prints the seconds of CPU that they took."""
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        output = Path(folder) / "deploy"
        render(load_config(ROOT / EXAMPLE), EXAMPLE, output, ROOT)
        execute(parse((output / DOCKERFILE).read_text(encoding="utf-8")), Path(folder) / "root", _run)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"all steps succeeded; CPU seconds: {spent.ru_utime + spent.ru_stime:.0f}")


if __name__ == "__main__":
    sys.exit(main())
