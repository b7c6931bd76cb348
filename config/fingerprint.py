"""A digest of the code that a component runs, as a part of its cache key: after a change of code it runs again."""

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
"""The packages that trained weights depend on; a change elsewhere does not train again."""
TRAINER_CODE = ("config", "transform", "trainer")
INFRA_CODE = ("config", "serving", "pipeline/infra", "trainer/export")
"""The packages that the InfraValidator runs."""


def code_fingerprint(*packages: str) -> str:
    """Computes the SHA-256 (16 hex digits) of all Python files of packages, by path and content.

    Args:
      *packages: Paths relative to the project's folder.
    """
    digest = hashlib.sha256()
    for package in sorted(packages):
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
