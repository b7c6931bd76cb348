"""What `check` found in the rows, as tables for the terminal."""

from collections.abc import Iterator

from rich import box
from rich.table import Table

from config import Config
from pipeline.checks.rows import RowCheck
from pipeline.ingest.report import TABLES, describe, file_name, overlap_line, reasons
from pipeline.ingest.times import as_date


def row_tables(check: RowCheck, config: Config) -> Iterator[Table]:
    """A table for each table of the configuration: its columns, and above them how its rows were read."""
    for name in TABLES:
        if name in check.profiles and check.report.get(name):
            yield _columns(check, config, name)


def row_lines(check: RowCheck, config: Config) -> Iterator[str]:
    """Times, expressions, overlap and bad rows, a line each."""
    for name, columns in check.report.get("spans", {}).items():
        for column, (first, last) in columns.items():
            yield f"times of {file_name(config, name)} ({column}): {as_date(first)} to {as_date(last)} UTC"
    for key, found in check.report.get("expressions", {}).items():
        ends = check.report.get("labels", {}).get(key)
        between = f", from {ends[0]:g} to {ends[1]:g}" if ends else ""
        verb = "is other than 0 in" if key.endswith(".label") else "holds for"
        yield f"`{key}` {verb} {found['holds']:,} of {found['of']:,} events{between}"
    if met := overlap_line(check.report):
        yield met
    told = "\n".join(check.errors)
    for text in map(describe, check.report.get("samples", ())):
        if text not in told:
            yield f"bad row: {text}"


def _columns(check: RowCheck, config: Config, name: str) -> Table:
    counts = check.report[name]
    which = "all" if name in check.whole else "the first"
    lost = f"; {reasons(counts)}" if reasons(counts) else ""
    title = f"{file_name(config, name)} ({name}): {which} {counts['rows']:,} rows, {counts['kept']:,} kept{lost}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("column", "use", "missing", "distinct", "holds"):
        table.add_column(heading, justify="right" if heading in ("missing", "distinct") else "left", overflow="fold")
    for profile in check.profiles[name]:
        missing = f"{profile.missing / profile.rows:.0%}" if profile.missing and profile.rows else ""
        table.add_row(profile.column, ", ".join(profile.uses), missing, f"{len(profile.distinct):,}", profile.holds())
    return table
