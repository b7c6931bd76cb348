"""Where tables for the terminal are printed."""

from rich.console import Console


def plain_console(width: int | None = None) -> Console:
    """Prints texts as they are: brackets in a title are no markup, colons no emoji. The terminal's width if None."""
    return Console(width=width, markup=False, emoji=False)
