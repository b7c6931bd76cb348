"""The commands about tables: `check` says what is wrong with them, `data` fetches those of a public data set."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from config import Config, ConfigError
from config.table_bytes import MILLION, growth, kept_bytes, model_tables, total_memory
from config.table_sizes import Sizes, readable
from pipeline.cli.common import DEFAULT_CONFIG, OK, CommandError, plain_console, plain_table, warn

if TYPE_CHECKING:
    from pipeline.checks.rows import RowCheck


def add_check(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `check`: the configuration by position, as it is the object of the command."""
    parser.add_argument("config", nargs="?", default=DEFAULT_CONFIG, help="the YAML file (default: %(default)s)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--full", action="store_true", help="read all rows of the tables, not the first thousand")
    which.add_argument("--without-data", action="store_true", help="look at no table or folder, as in an image's build")


def check(arguments: argparse.Namespace) -> int:
    """Say what is wrong with a configuration and its tables, before any work.

    Reads the YAML file, the tables' column names and the first thousand rows of each table (--full: all) as ingest
    does: keys, types, columns, expressions, gates, bounds; values that cannot be read, ids of the log that are in no
    table, times that cannot be, expressions that never or always hold, columns that are constant, empty or unlike their
    kind. Prints the bytes of the model's tables: exact with --full, an estimate from the first rows and the files'
    sizes without. Errors exit with 2, warnings with 0.
    """
    from pipeline.checks.configuration import checked_config
    from pipeline.checks.personal import check_modes
    from pipeline.checks.rows import FIRST_ROWS, check_rows
    from pipeline.ingest.tables import TableError

    if arguments.without_data:
        config = checked_config(arguments.config, with_data=False)
        print(f"{arguments.config}: ok, without its data (tasks: {', '.join(config.tasks)})")
        return OK
    config = checked_config(arguments.config, writes=True)
    try:
        found = check_rows(config, None if arguments.full else FIRST_ROWS)
    except TableError as error:
        raise ConfigError(f"{arguments.config}: {error}") from error
    console = plain_console()
    for table in _tables(found, config):
        console.print(table)
    if found.sizes is not None:
        console.print(table_of_bytes(found.sizes, config, found.is_exact))
        console.print(_growth(found.sizes, config, found.is_exact), soft_wrap=True, highlight=False)
        if kept := kept_bytes(config, found.sizes):
            console.print(f"kept beside each model for a warm start: at most {readable(kept)}", highlight=False)
    for line in _lines(found, config):
        console.print(line, soft_wrap=True, highlight=False)
    found.warnings += check_modes(config)
    for text in found.warnings:
        warn(text)
    if found.errors:
        raise ConfigError("\n".join(f"{arguments.config}: {text}" for text in found.errors))
    features = sum(len(getattr(config.features, section)) for section in ("user", "item", "context", "outcome"))
    warned = f"; warnings: {len(found.warnings)}" if found.warnings else ""
    print(f"{arguments.config}: ok ({features} features; tasks: {', '.join(config.tasks)}{warned})")
    return OK


def _tables(check: "RowCheck", config: Config) -> Iterator[Table]:
    """Yields, for each table that was read, its columns below the counts of its rows."""
    from pipeline.ingest.report import TABLES, file_name, reasons

    for name in TABLES:
        counts = check.report.get(name)
        if name not in check.profiles or not counts:
            continue
        which = "all" if name in check.whole else "the first"
        lost = f"; {reasons(counts)}" if reasons(counts) else ""
        table = plain_table(
            f"{file_name(config, name)} ({name}): {which} {counts['rows']:,} rows, {counts['kept']:,} kept{lost}"
        )
        for heading in ("column", "use", "missing", "distinct", "holds"):
            table.add_column(heading, justify="right" if heading in ("missing", "distinct") else "left")
            table.columns[-1].overflow = "fold"
        for profile in check.profiles[name]:
            missing = f"{profile.missing / profile.rows:.0%}" if profile.missing and profile.rows else ""
            distinct = f"{len(profile.distinct):,}"
            table.add_row(profile.column, ", ".join(profile.uses), missing, distinct, profile.holds())
        yield table


def table_of_bytes(sizes: Sizes, config: Config, is_exact: bool) -> Table:
    """Makes a table of the bytes of each table of the model; those below a hundredth of the memory share a row."""
    tables = model_tables(config, sizes)
    least = total_memory(tables) / 100
    counted = f"{sizes.items:,} items, {sizes.users:,} users"
    table = plain_table(f"tables of the model: {'' if is_exact else 'an estimate for '}{counted}")
    for heading in ("table", "shape", "weights", "slots", "checkpoint", "SavedModel"):
        table.add_column(heading, justify="left" if heading in ("table", "shape") else "right")
        table.columns[-1].overflow = "fold"

    def add(name: str, shape: str, *numbers: int) -> None:
        table.add_row(name, shape, *(readable(number) if number else "" for number in numbers))

    smaller, total = [0] * 4, [0] * 4
    for own in tables:
        numbers = (own.weights, own.slots, own.checkpoint, own.saved_model)
        if not own.is_bound:
            total = [a + b for a, b in zip(total, numbers, strict=True)]
        if max(numbers) < least:
            smaller = [a + b for a, b in zip(smaller, numbers, strict=True)]
        else:
            add(f"{own.name}, at most" if own.is_bound else own.name, own.shape, *numbers)
    if any(smaller):
        add("smaller ones", "", *smaller)
    add("all but those at most", "", *total)
    return table


def _growth(sizes: Sizes, config: Config, is_exact: bool) -> str:
    """Says what more items and users add, what a limit allows, and what an estimate rests on."""
    added = growth(config, sizes)
    kinds = [f"{MILLION:,} more {name} {readable(number)}" for name, number in added.items() if number]
    limit = config.training.memory_limit
    allowed = "" if limit is None else f"; `training.memory_limit` is {readable(limit)}"
    basis = "" if is_exact else "; estimated as if later rows held new ids as often as the first (--full counts all)"
    return f"memory of the Trainer: {', '.join(kinds)}{allowed}{basis}"


def _lines(check: "RowCheck", config: Config) -> Iterator[str]:
    """Yields a line for the spans, each column of times, expression and bad row, and for the overlap of the tables."""
    from pipeline.ingest.report import describe, file_name, overlap_line, spans_line
    from pipeline.ingest.times import as_date

    if spans := spans_line(check.report):
        yield f"{config.data.interactions.path}: {spans}"
    for name, columns in check.report.get("spans", {}).items():
        for column, (first, last) in columns.items():
            yield f"times of {file_name(config, name)} ({column}): {as_date(first)} to {as_date(last)} UTC"
    for key, found in check.report.get("expressions", {}).items():
        ends = check.report.get("labels", {}).get(key)
        between = f", from {ends[0]:g} to {ends[1]:g}" if ends else ""
        verb = "is other than 0 in" if key.endswith(".label") else "holds for"
        yield f"`{key}` {verb} {found['holds']:,} of {found['of']:,} events{between}"
    if overlap := overlap_line(check.report):
        yield overlap
    errors = "\n".join(check.errors)
    for text in map(describe, check.report.get("samples", ())):
        if text not in errors:
            yield f"bad row: {text}"


def data(arguments: argparse.Namespace) -> int:
    """Fetch the public data set of a configuration.

    Writes the tables that `data.dataset` names into `data.folder`; does nothing when they are there.
    """
    from pipeline.checks.configuration import checked_config

    settings = checked_config(arguments.config, with_data=False).data
    if settings.dataset is None:
        raise ConfigError(f"{arguments.config}: `data.dataset` names no public data set, so there is nothing to fetch")
    if "://" in settings.folder:
        raise ConfigError(f"{arguments.config}: `data.folder` should be a local folder. Received: {settings.folder!r}")
    from pipeline.datasets import SOURCES, DatasetError, fetch

    source = SOURCES[settings.dataset]
    print(source.terms)
    try:
        fetched = fetch(settings.dataset, Path(settings.folder))
    except DatasetError as error:
        raise CommandError(str(error)) from error
    rows = ", ".join(f"{count:,} {table}" for table, count in fetched.rows.items())
    print(f"{source.title} {'already in' if fetched.cached else 'written to'} {settings.folder}: {rows}")
    return OK
