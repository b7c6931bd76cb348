"""Where tables and warnings for the terminal are printed."""

import sys

from rich.console import Console


def plain_console(width: int | None = None) -> Console:
    """Prints texts as they are: brackets in a title are no markup, colons no emoji. The terminal's width if None."""
    return Console(width=width, markup=False, emoji=False)


def warn(text: str) -> None:
    """Prints what a person should look at though the command goes on."""
    print(f"warning: {text}", file=sys.stderr)
