"""Where benchmarks print their tables."""

from rich.console import Console


def wide_console(width: int) -> Console:
    """At least so wide, in a log too: no metric is cut."""
    return Console(width=max(Console().width, width))
