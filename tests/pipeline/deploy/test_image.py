import subprocess
import sys

import pytest
from setuptools import find_packages

from config import load_config
from config.fingerprint import ROOT
from pipeline.deploy.image import INSTALLER, PACKAGES, dockerfile, dockerignore
from tests.pipeline.deploy.image_steps import EXAMPLE, execute, parse

STEPS = parse(dockerfile("shop:1", EXAMPLE, "deploy/Dockerfile"))


def steps(kind):
    return [step.text for step in STEPS if step.kind == kind]


def test_two_stages_of_trixie_end_without_privileges():
    assert [text.split()[0] for text in steps("FROM")] == ["debian:trixie-slim"] * 2
    assert steps("USER") == ["10001:10001"]
    kinds = [step.kind for step in STEPS]
    assert kinds[kinds.index("USER") :] == ["USER", "RUN", "CMD"]
    assert STEPS[-2].text == "python tfx_runner.py check --without-data config.yaml"


def test_the_environment_is_the_lock_files():
    assert "bootstrap requirements.lock setup.py ./" in steps("COPY")
    assert "./bootstrap" in steps("RUN")
    assert "requirements.lock" in (ROOT / "bootstrap").read_text()


def test_all_code_is_copied_and_nothing_else_is_in_the_context():
    packages = {name for name in find_packages(str(ROOT)) if "." not in name}
    assert packages - {"benchmarks", "tests"} == set(PACKAGES)
    ignored, *kept, cache = dockerignore(EXAMPLE).splitlines()
    assert (ignored, cache) == ("*", "**/__pycache__")
    assert {line.removeprefix("!") for line in kept} == {*INSTALLER, *PACKAGES, "tfx_runner.py", EXAMPLE}
    assert all((ROOT / line.removeprefix("!")).exists() for line in kept)


def test_the_steps_succeed_in_an_empty_folder(tmp_path):
    """All but the installation, which takes minutes: `make image-steps`."""
    ran = []

    def run(command, folder, environment):
        ran.append(command)
        if command != "./bootstrap":
            own = command.replace("python", sys.executable, 1)
            subprocess.run(["bash", "-c", own], cwd=folder, env=environment, check=True)

    execute(STEPS, tmp_path / "root", run)
    assert ran == ["./bootstrap", "python tfx_runner.py check --without-data config.yaml"]
    assert load_config(tmp_path / "root" / "app" / "config.yaml") == load_config(ROOT / EXAMPLE)


def test_a_step_that_fails_is_seen(tmp_path):
    broken = [step for step in STEPS if EXAMPLE not in step.text]

    def run(command, folder, environment):
        if command != "./bootstrap":
            own = command.replace("python", sys.executable, 1)
            subprocess.run(["bash", "-c", own], cwd=folder, env=environment, check=True, capture_output=True)

    with pytest.raises(subprocess.CalledProcessError):
        execute(broken, tmp_path / "root", run)
