"""The command `refresh`: the served model with the items of a new table, without training."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from config import ConfigError, paths
from pipeline.cli.common import NOT_PUSHED, OK, CommandError, add_config, add_verbose

if TYPE_CHECKING:
    from pipeline.refresh.run import Outcome


def add_refresh(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `refresh`."""
    add_config(parser)
    parser.add_argument(
        "--items", required=True, metavar="FILE", help="the new items table, in the format of `data.items`"
    )
    parser.add_argument(
        "--max-withdrawn",
        type=_share,
        default=0.5,
        metavar="SHARE",
        help="the largest share of the items that the new table may lack (default: %(default)s)",
    )
    add_verbose(parser)


def _share(text: str) -> float:
    """Parses a number from 0 to 1."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"should be a number from 0 to 1. Received: {text!r}")
    return share


def refresh(arguments: argparse.Namespace) -> int:
    """Replace the catalogue of the served model by the items of a new table, without training.

    Takes the training of the newest version that is served. New items are embedded by their content, items that the
    table lacks are in no answer any more, all trained weights stay. The result is pushed as a version where unchanged
    items keep their scores, the index finds what it should and a server answers as the model does, in time.
    """
    from pipeline.checks.configuration import checked_config
    from pipeline.runners.metadata import database_problem

    config = checked_config(arguments.config, with_data=False)
    table, home = Path(arguments.items), Path(paths.home(config))
    if not table.is_file():
        raise ConfigError(f"`--items` should be the new items table, a file. Received: {arguments.items}")
    for name, folder in (("pipeline.root", paths.artifacts(config)), ("serving.folder", paths.serving(config))):
        if "://" in folder:
            raise ConfigError(f"`refresh` needs a local `{name}`. Received: {folder}")
    if problem := database_problem(home, config.pipeline.metadata):
        raise CommandError(problem)
    started = time.monotonic()
    log = home / "logs" / f"refresh-{time.strftime('%Y%m%dT%H%M%S')}.log"
    print(f"log: {log}", flush=True)
    from pipeline.runners.capture import captured

    with captured(log, arguments.verbose) as terminal:
        from pipeline.ingest.tables import TableError
        from pipeline.refresh.run import NotBlessedError, run_refresh
        from pipeline.refresh.source import SourceError
        from trainer.export.kept_model import UnsupportedRefreshError

        def say(text: str) -> None:
            print(f"{time.monotonic() - started:6.1f} s  {text}", file=terminal, flush=True)

        try:
            outcome = run_refresh(config, table, arguments.max_withdrawn, say)
        except TableError as error:
            raise ConfigError(str(error)) from error
        except (SourceError, UnsupportedRefreshError) as error:
            raise CommandError(str(error)) from error
        except NotBlessedError as error:
            print(f"not pushed: {error}", file=terminal)
            return NOT_PUSHED
    _print_outcome(outcome, time.monotonic() - started)
    sys.stdout.flush()
    return OK


def _print_outcome(outcome: "Outcome", seconds: float) -> None:
    rows, refreshed, infra = outcome.rows, outcome.refreshed, outcome.infra
    changes, difference = refreshed.changes, refreshed.difference
    lost = f"; {rows.lost}" if rows.lost else ""
    print(f"table: {rows.rows:,} rows, {rows.kept:,} items{lost}")
    print(
        f"catalogue: {changes.items:,} items; {len(changes.new):,} new, {len(changes.withdrawn):,} withdrawn, "
        f"{changes.changed:,} with changed features"
    )
    print(f"trained weights (SHA-256): before {refreshed.digests[0]}, after {refreshed.digests[1]}")
    if difference is not None:
        print(f"scores of unchanged items differ by at most {difference:.2g}")
    print(f"index: {refreshed.index.kind}, recall {refreshed.index.recall:.1%}")
    print(f"latency: p50 {infra.p50_milliseconds:.1f} ms, p99 {infra.p99_milliseconds:.1f} ms ({infra.server} server)")
    print(f"finished in {seconds:.0f} s: version {outcome.version}, a refresh of version {outcome.source}")
    print(f"pushed: {outcome.path}")
