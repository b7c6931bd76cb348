"""The tables that benchmarks print."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


def wide_console(width: int) -> Console:
    """Returns a console of at least this width, in a log too, so that no metric is cut."""
    return Console(width=max(Console().width, width))


def plain_table(names: Sequence[str], numbers: Sequence[str], title: str | None = None) -> Table:
    """Returns an empty table without lines.

    Args:
      names: The left-aligned columns.
      numbers: The right-aligned columns, after `names`.
      title: Above the table.
    """
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in names:
        table.add_column(column, no_wrap=True)
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    return table
