"""A pipeline of two components; `python -m tests.pipeline.runners.tiny HOME MODE` runs it in a process of its own."""

import sys
from pathlib import Path

from pipeline.runners.local import Outcome, run_pipeline


def run_tiny(home: Path, mode: str, verbose: bool = False, name: str = "tiny", **options: str) -> Outcome:
    def build():
        from tfx import v1 as tfx

        from tests.pipeline.runners.tiny_components import count, describe

        numbers = count(limit=3)
        words = describe(numbers=numbers.outputs["numbers"], mode=mode)
        return tfx.dsl.Pipeline(name, str(home / "artifacts"), components=[numbers, words], enable_cache=True)

    return run_pipeline(build, home, verbose, lambda name, outputs: f"{len(outputs)} output of {name}", **options)


if __name__ == "__main__":
    run_tiny(Path(sys.argv[1]), sys.argv[2])
