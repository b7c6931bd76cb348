"""The client's own distribution, `serving/client/pyproject.toml`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

USE = """\
import sys

blocked = ["tensorflow", "numpy", "config", "pipeline", "trainer", "transform", "serving.server"]
sys.modules.update(dict.fromkeys(blocked))
import serving.client

serving.client.Request(user_id="42", history=["50"])
serving.client.RecommenderClient("localhost:1").close()
print(serving.client.__file__)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder into which pip has installed the client."""
    folder = tmp_path_factory.mktemp("client")
    source = shutil.copytree(ROOT / "serving" / "client", folder / "source")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(folder / "site")]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    return folder / "site"


def test_it_holds_the_client_alone(installed):
    modules = {path.relative_to(installed).parts[:-1] for path in installed.rglob("*.py")}
    assert modules == {("serving", "client")}


def test_it_works_without_tensorflow_and_the_other_packages(installed):
    run = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=installed.parent,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == str(installed / "serving" / "client" / "__init__.py")
