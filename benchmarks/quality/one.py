"""One run of the pipeline for the benchmark, in a process of its own.

`python -m benchmarks.quality.one STUDY VARIANT SEED FILE`
"""

import json
import sys
from pathlib import Path

from benchmarks.quality.studies import read_studies


def main(study: str, variant: str, seed: str, output: str) -> int:
    """Runs the pipeline and writes the test figures and the Trainer's result as JSON."""
    from pipeline.runners.local import run_local

    config = read_studies()[study].configuration(variant, int(seed))
    outcome = run_local(config)
    if outcome.failed:
        print(f"{outcome.failed} failed: {outcome.message}; the whole log: {outcome.log}", file=sys.stderr)
        return 1
    from pipeline.evaluation.results import headline

    evaluation, run = (outcome.outputs[c][k][0].uri for c, k in (("Evaluator", "evaluation"), ("Trainer", "model_run")))
    training = json.loads(Path(run, "training.json").read_text())
    figures = {split: headline(evaluation, split) for split in config.evaluation.splits}
    Path(output).write_text(json.dumps({"figures": figures, "training": training, "verdict": outcome.verdict}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
