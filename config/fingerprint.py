"""A digest of the code that a component runs: part of its cache key, so changed code runs again."""

import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

TRAINING_CODE = (
    "config",
    "transform",
    "trainer/distributed",
    "trainer/data",
    "trainer/metrics",
    "trainer/layers",
    "trainer/losses",
    "trainer/model",
    "trainer/training",
)
"""What trained weights depend on: whatever else changes leaves them as they are."""
TRAINER_CODE = ("config", "transform", "trainer")
INFRA_CODE = ("config", "serving", "pipeline/infra", "trainer/export")
"""What the Trainer and the InfraValidator run."""


def code_fingerprint(*packages: str) -> str:
    """The SHA-256 (16 hex digits) of all Python files of the packages, by path and content.

    Args:
      *packages: As paths from the project's folder.
    """
    digest = hashlib.sha256()
    for package in sorted(packages):
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
