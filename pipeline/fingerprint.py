"""A digest of the code that a component runs: part of its cache key, so changed code runs again."""

import hashlib
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
INFRA_CODE = ("serving", "pipeline/infra", "pipeline/config", "pipeline/calls.py", "pipeline/requests.py")
"""What the Trainer and the InfraValidator run."""


def code_fingerprint(*packages: str) -> str:
    """The SHA-256 (16 hex digits) of the named files and all Python files of named packages, by path and content."""
    digest = hashlib.sha256()
    for package in sorted(packages):
        root = ROOT / package
        for path in [root] if root.is_file() else sorted(root.rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
