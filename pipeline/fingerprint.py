"""A digest of the code that a component runs: part of its cache key, so changed code runs again."""

import hashlib
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

TRAINER_CODE = (
    "trainer",
    "transform",
    "pipeline/config",
    "pipeline/calls.py",
    "pipeline/cluster.py",
    "pipeline/requests.py",
    "pipeline/evaluation/order_figures.py",
)
AFTER_TRAINING = (
    "pipeline/calls.py",
    "pipeline/config/habits.py",
    "pipeline/config/neighbours.py",
    "pipeline/config/serving.py",
    "pipeline/requests.py",
    "trainer/attributes.py",
    "trainer/chief.py",
    "trainer/component.py",
    "trainer/executor.py",
    "trainer/expected.py",
    "trainer/export.py",
    "trainer/habits",
    "trainer/index",
    "trainer/left_out.py",
    "trainer/neighbours",
    "trainer/quantised_tables.py",
    "trainer/run.py",
    "trainer/signatures",
    "trainer/snapshot.py",
    "trainer/tuning.py",
    "trainer/warmup.py",
    "trainer/worker.py",
)
"""What the Trainer runs before and after the epochs alone: whatever changes here leaves trained weights as they are."""
INFRA_CODE = ("serving", "pipeline/infra", "pipeline/config", "pipeline/calls.py", "pipeline/requests.py")
"""What the Trainer and the InfraValidator run."""


def code_fingerprint(*packages: str, without: Collection[str] = ()) -> str:
    """The SHA-256 (16 hex digits) of the named files and all Python files of named packages, by path and content.

    Args:
      *packages: Files and packages, as paths from the project's folder.
      without: Those that do not count.
    """
    digest = hashlib.sha256()
    left_out = tuple(f"{name}/" for name in without)
    for package in sorted(packages):
        root = ROOT / package
        for path in [root] if root.is_file() else sorted(root.rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not f"{name}/".startswith(left_out):
                digest.update(f"{name}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
