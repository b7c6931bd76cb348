"""What one warm epoch on the newest log reaches, and in which share of the time of training from random weights.

    python tfx_runner.py data --config examples/movielens-100k.yaml
    make bench-warm-start

The log's last days are the newest spans. One pipeline trains on all before them, and then, for each span, one warm
epoch on the log up to it; another trains on the whole log from random weights. The factor of the learning rate is
chosen on eval. Seconds are the processors' time of the training alone, without what follows it: wall time depends
on what else the machine does.
"""

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from typing import Any, Final

import pandas as pd
from rich.console import Console

from benchmarks.console import plain_table
from benchmarks.data import DAY, MOVIELENS
from benchmarks.quality.studies import Study

SPANS: Final = Path("data/movielens-100k-spans")
METRIC: Final = "ndcg@10"
_TABLES: Final = ("items.csv", "users.csv")
_LOG: Final = "interactions.csv"
_SHARED: Final[Mapping[str, Any]] = {
    "data.folder": str(SPANS),
    "data.dataset": None,
    "data.interactions.path": f"span-{{SPAN}}/{_LOG}",
    "data.interactions.window": 1000,
    "model.dimension": None,  # the default
    "tasks": {"retrieval": {"kind": "retrieval"}},
    "evaluation.gates": [],
    "evaluation.beat_popularity": None,
}
"""What all configurations change; without gates every model is blessed."""
_ALLOWED: Final = 0.003
_SHARE: Final = 0.25


@dataclass(frozen=True)
class Trained:
    """One training: epochs, seconds of processors' and wall time, and the metric by split."""

    epochs: int
    cpu: float
    wall: float
    metrics: Mapping[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a row for each training; the exit code, 1 where the warm ones are too bad or too slow."""
    options = _parser().parse_args(arguments)
    write_spans(MOVIELENS, SPANS, options.days, options.spans)
    found: dict[str, list[Trained]] = {}
    for seed in options.seeds:
        cold = _run_apart(options.config, _cold(seed, options.epochs), seed, options.spans)
        found.setdefault("from random weights", []).append(cold)
        base = _warm(seed, options.epochs, 1.0)
        for span in range(options.spans):
            before = _run_apart(options.config, base, seed, span)
        found.setdefault("the model before", []).append(before)
        for factor in options.factors:
            warm = _run_apart(options.config, _warm(seed, options.epochs, factor), seed, options.spans)
            found.setdefault(name_of(factor), []).append(warm)
        print_table(found)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    document = {name: [asdict(training) for training in trainings] for name, trainings in found.items()}
    options.output.write_text(json.dumps(document, indent=2) + "\n")
    chosen = max(map(name_of, options.factors), key=lambda name: _mean(found[name], "eval"))
    lost, share = compared(found["from random weights"], found[chosen])
    print(f"chosen on eval: {chosen}; on test {lost:+.4f} of {METRIC}, in {share:.2f} of the time")
    return 0 if lost >= -_ALLOWED and share <= _SHARE else 1


def write_spans(source: Path, target: Path, days: int, spans: int) -> None:
    """Writes the log as span 0, all before the last days, and as many equal spans of these days as wanted."""
    log = pd.read_csv(source / _LOG)
    width = days * DAY / spans
    begin = log["timestamp"].max() + 1 - days * DAY
    span = ((log["timestamp"] - begin) // width + 1).clip(lower=0).astype(int)
    shutil.rmtree(target, ignore_errors=True)
    for number, rows in log.groupby(span):
        folder = target / f"span-{number}"
        folder.mkdir(parents=True)
        rows.to_csv(folder / _LOG, index=False)
    for name in _TABLES:
        shutil.copy(source / name, target)


def compared(cold: Sequence[Trained], warm: Sequence[Trained]) -> tuple[float, float]:
    """Returns by how much the warm trainings' metric on test is better, and their share of the cold ones' time."""
    share = mean(training.cpu for training in warm) / mean(training.cpu for training in cold)
    return _mean(warm, "test") - _mean(cold, "test"), share


def name_of(factor: float) -> str:
    """Returns the name of warm trainings with a factor of the learning rate."""
    return f"one warm epoch, learning rate x {factor:g}"


def print_table(found: Mapping[str, Sequence[Trained]]) -> None:
    """Prints the means over the seeds."""
    table = plain_table(("",), ("epochs", "cpu s", "wall s", f"eval {METRIC}", f"test {METRIC}"))
    for name, trainings in found.items():
        numbers = [mean(getattr(training, key) for training in trainings) for key in ("epochs", "cpu", "wall")]
        metrics = [f"{_mean(trainings, split):.4f}" for split in ("eval", "test")]
        table.add_row(name, *(f"{number:.0f}" for number in numbers), *metrics)
    Console().print(table)


def run(config: str, changes: Mapping[str, Any], seed: int, span: int) -> Trained:
    """Runs the pipeline as of a span."""
    from pipeline.runners.local import run_local

    study = Study("", config, (METRIC,), {"": {**_SHARED, **changes, "data.span": span}})
    outcome = run_local(study.configuration("", seed))
    if outcome.failed:
        raise RuntimeError(f"{outcome.failed} failed: {outcome.message}; the whole log: {outcome.log}")
    from pipeline.evaluation.results import headline

    model_run, evaluation = (
        outcome.outputs[c][k][0].uri for c, k in (("Trainer", "model_run"), ("Evaluator", "evaluation"))
    )
    training = json.loads(Path(model_run, "training.json").read_text())
    metrics = {split: headline(evaluation, split)[METRIC] for split in ("eval", "test")}
    return Trained(training["epochs"], training["cpu_seconds"], training["seconds"], metrics)


def _cold(seed: int, epochs: int) -> dict[str, Any]:
    return {"name": f"cold-start-{seed}", "training.epochs": epochs}


def _warm(seed: int, epochs: int, factor: float) -> dict[str, Any]:
    return {
        "name": f"warm-start-{seed}",
        "training.epochs": epochs,
        "training.warm_start": {"learning_rate_factor": factor},
    }


def _mean(trainings: Sequence[Trained], split: str) -> float:
    return mean(training.metrics[split] for training in trainings)


def _run_apart(config: str, changes: Mapping[str, Any], seed: int, span: int) -> Trained:
    """Runs in a process of its own, in which TensorFlow has traced and cached nothing yet."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(run, config, changes, seed, span).result()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.warm_start", description=__doc__.partition("\n")[0])
    parser.add_argument("--config", default="examples/movielens-100k.yaml", help="of the shape of that file")
    parser.add_argument("--days", type=int, default=30, help="the last days of the log, which the warm trainings add")
    parser.add_argument("--spans", type=int, default=5, help="warm trainings that add them, each from the one before")
    parser.add_argument("--epochs", type=int, default=12, help="of trainings from random weights")
    parser.add_argument("--factors", nargs="+", type=float, default=[1.0], help="of the warm learning rate")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], help="one replay for each")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/warm-start.json"), metavar="FILE")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
