"""`python -m benchmarks.quality`: trains the studies' variants through the pipeline and prints their test metrics, then
those of the peers on the same split files.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich.table import Table

from benchmarks.console import plain_table, wide_console
from benchmarks.quality.studies import Study, read_studies

_WIDTH = 140
Result = dict[str, Any]
"""What `benchmarks.quality.studies` wrote."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line and runs; the exit code."""
    studies = read_studies()
    options = _parser(list(studies)).parse_args(arguments)
    console = wide_console(_WIDTH)
    for name in options.only or studies:
        results: dict[str, list[Result]] = {}
        for variant in options.variants or studies[name].variants:
            results[variant] = [run_one(name, variant, seed) for seed in options.seeds]
            console.print(_table(studies[name], results))
        _write(options.output / f"{name}.json", studies[name], options.seeds, results)
        if studies[name].peers and not options.without_peers:
            _run_peers(studies[name], results, options.output / f"{name}-peers.json")
    return 0


def _parser(names: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, metavar="STUDY", help=f"of: {', '.join(names)}")
    parser.add_argument("--variants", nargs="+", metavar="VARIANT", help="of the study; all of them by default")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="one training for each")
    parser.add_argument("--without-peers", action="store_true", help="train the variants alone")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), metavar="FOLDER")
    return parser


def run_one(study: str, variant: str, seed: int) -> Result:
    """Trains one variant in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, "-m", "benchmarks.quality.studies", study, variant, str(seed), file.name]
        subprocess.run(command, check=True)
        return dict(json.load(file))


def _run_peers(study: Study, results: dict[str, list[Result]], output: Path) -> None:
    """On the split of the first variant."""
    examples = next(iter(results.values()))[0]["examples"]
    command = [sys.executable, "-m", "benchmarks.peers", "--examples", examples, "--output", str(output)]
    subprocess.run([*command, "--state", *study.peers], check=True)


def _write(path: Path, study: Study, seeds: Sequence[int], results: dict[str, list[Result]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    variants = {name: {"changes": dict(study.variants[name]), "runs": runs} for name, runs in results.items()}
    document = {"title": study.title, "config": study.config, "seeds": list(seeds), "variants": variants}
    path.write_text(json.dumps(document, indent=2) + "\n")


def _table(study: Study, results: dict[str, list[Result]]) -> Table:
    table = plain_table(("",), (*study.metrics, "seconds", "an epoch"), study.title)
    for variant, runs in results.items():
        tests = [run["metrics"]["test"] for run in runs]
        seconds = _seconds([run["training"] for run in runs])
        for title, metrics in study.rows(variant).items():
            cells = [_cell([test[metric] for test in tests if metric in test]) for metric in metrics]
            table.add_row(title, *cells, *seconds)
            seconds = ("", "")
    return table


def _seconds(trainings: list[dict[str, float]]) -> tuple[str, str]:
    """Of a whole training and of an epoch."""
    seconds = mean(training["seconds"] for training in trainings)
    return f"{seconds:.0f}", f"{seconds / mean(training['epochs'] for training in trainings):.1f}"


def _cell(values: list[float]) -> str:
    """The mean over the seeds and their deviation; nothing where the variant has no such metric."""
    if not values:
        return ""
    spread = f" ±{stdev(values):.4f}" if len(values) > 1 else ""
    return f"{mean(values):.4f}{spread}".replace("0.", ".")


if __name__ == "__main__":
    raise SystemExit(main())
