"""Withdraw the newest pushed version: servers go back to the one before it.

The version is moved, in one step, to a folder beside the serving folder (`<folder>.withdrawn`) and not deleted.
"""

import argparse

from config import paths
from pipeline.cli import exits
from pipeline.cli.options import add_config, positive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model, and how far back."""
    add_config(parser)
    parser.add_argument(
        "--to", type=positive, metavar="VERSION", help="withdraw all versions newer than this one (default: the newest)"
    )
    parser.add_argument(
        "--even-the-last", action="store_true", help="withdraw the newest version even if it is the only one"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Withdraws and says what answers now; raises `ConfigError` or `CommandError`."""
    from pipeline.checks.configuration import checked_config
    from pipeline.push.withdraw import WithdrawError, version_numbers, withdraw, withdrawn_folder

    base_path = paths.serving(checked_config(arguments.config, with_data=False))
    try:
        gone = withdraw(base_path, arguments.to, arguments.even_the_last)
    except (WithdrawError, OSError) as error:
        raise exits.CommandError(str(error)) from error
    for version in gone:
        print(f"withdrew version {version} to {withdrawn_folder(base_path) / str(version)}")
    left = version_numbers(base_path)
    print(f"version {left[-1]} in {base_path} is the newest now" if left else f"{base_path} holds no version any more")
    return exits.OK
