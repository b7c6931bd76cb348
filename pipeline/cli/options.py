"""Options that several commands share."""

import argparse
from typing import Final

DEFAULT_CONFIG: Final = "examples/movielens-100k.yaml"


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`."""
    parser.add_argument("--config", default=DEFAULT_CONFIG, metavar="FILE", help="the YAML file (default: %(default)s)")


def positive(text: str) -> int:
    """An argument that should be a positive integer."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"should be a positive integer. Received: {text!r}")
    return int(text)
