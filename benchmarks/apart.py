"""Measures in processes of their own, and their memory."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

_MEMORY: Final = re.compile(r"^(VmHWM|VmRSS):\s+(\d+) kB$", re.MULTILINE)


def measured_apart(module: str, **options: object) -> dict[str, float]:
    """Runs a benchmark's module in a process of its own.

    Args:
      module: Prints one JSON object in its last line.
      **options: Of its command line, by their names without the dashes.

    Returns:
      The object.
    """
    command = [sys.executable, "-m", module]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    metrics: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return metrics


def megabytes(pid: int | str = "self") -> tuple[float, float]:
    """Returns the most memory that a process ever had resident, and what it has now, in MiB."""
    found = dict(_MEMORY.findall(Path(f"/proc/{pid}/status").read_text()))
    return int(found["VmHWM"]) / 1024, int(found["VmRSS"]) / 1024
