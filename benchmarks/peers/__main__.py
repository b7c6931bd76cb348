"""`python -m benchmarks.peers`: the peers' metrics on the split files of a pipeline run."""

import argparse
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import get_args

from rich.console import Console

from benchmarks.peers.exam import History, State
from benchmarks.peers.examples import read_log
from benchmarks.peers.report import print_tables, write_json
from benchmarks.peers.run import names, run_rankers, run_raters


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line and runs; the exit code."""
    options = _parser().parse_args(arguments)
    console = Console()
    log = read_log(options.examples, options.rating)
    only = options.only or names()
    results = []
    rankers = run_rankers(log, options.state, options.history, only)
    for result in chain(rankers, run_raters(log, options.state, only)):
        results.append(result)
        console.print(f"{result.peer}, {result.state}: {result.settings}", highlight=False, soft_wrap=True)
    print_tables(results, console)
    write_json(results, options.examples, options.output)
    console.print(f"written: {options.output}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--examples", required=True, metavar="FOLDER", help="the examples artifact that ingest wrote")
    parser.add_argument(
        "--state", nargs="+", choices=get_args(State), default=["train", "refit"], help="what the peers may know"
    )
    parser.add_argument(
        "--history", choices=get_args(History), default="frozen", help="whether test events before the target are known"
    )
    parser.add_argument("--only", nargs="+", choices=names(), metavar="PEER", help=f"of: {', '.join(names())}")
    parser.add_argument("--rating", default="rating", metavar="TASK", help="the task with the ratings")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/peers.json"), metavar="FILE")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
