"""One run of the pipeline for the benchmark, in a process of its own.

`python -m benchmarks.quality.one STUDY VARIANT SEED FILE`
"""

import json
import sys
from pathlib import Path

from benchmarks.quality.studies import read_studies


def main(study: str, variant: str, seed: str, output: str) -> int:
    """Runs the pipeline and writes the test metrics, the Trainer's result and where the split lies, as JSON."""
    from pipeline.runners.local import run_local

    config = read_studies()[study].configuration(variant, int(seed))
    outcome = run_local(config)
    if outcome.failed:
        print(f"{outcome.failed} failed: {outcome.message}; the whole log: {outcome.log}", file=sys.stderr)
        return 1
    from pipeline.evaluation.results import headline, read_metrics

    wanted = (("Evaluator", "evaluation"), ("Trainer", "model_run"), ("InteractionExampleGen", "examples"))
    evaluation, run, examples = (outcome.outputs[component][key][0].uri for component, key in wanted)
    training = json.loads(Path(run, "training.json").read_text())
    metrics = {split: headline(evaluation, split) for split in config.evaluation.splits}
    slices: dict[str, dict[str, float]] = {}
    for metric in read_metrics(evaluation):
        if metric.split == "test":
            slices.setdefault(metric.slice, {})[metric.metric] = metric.value
    result = {"metrics": metrics, "slices": slices, "training": training, "verdict": outcome.verdict}
    result["examples"] = examples
    Path(output).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
