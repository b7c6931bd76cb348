"""The command `clean`: removes what no later run, server or comparison needs."""

import argparse

from config.table_sizes import readable
from pipeline.cli.common import OK, add_config, positive
from pipeline.cli.local_runs import no_run_in, runs_folder


def add_clean(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `clean`."""
    add_config(parser)
    parser.add_argument(
        "--keep",
        type=positive,
        default=3,
        metavar="N",
        help="how many finished runs, and how many served versions, stay (default: %(default)s)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be removed")


def clean(arguments: argparse.Namespace) -> int:
    """Remove the artifacts, versions and logs of old runs.

    The newest runs and versions stay, and with them the newest blessed model, with which the next one is compared, the
    withdrawn versions, and the report of every run. A removal that was killed is finished by the next one.
    """
    from pipeline.checks.configuration import checked_config

    config = checked_config(arguments.config, with_data=False)
    home = runs_folder(config)
    with no_run_in(home, config):
        from pipeline.retention import disk_bytes, plan_removal, remove

        before = disk_bytes(home)
        plan = plan_removal(config, arguments.keep)
        if not arguments.dry_run:
            remove(config, plan)
        after = disk_bytes(home)
    verb = "would remove" if arguments.dry_run else "removed"
    versions = ", ".join(map(str, plan.versions))
    print(f"{verb} {len(plan.artifacts)} artifacts, {len(plan.logs)} logs, {len(plan.checkpoints)} checkpoints")
    print(f"{verb} {len(plan.versions)} versions" + (f": {versions}" if versions else ""))
    if not arguments.dry_run:
        print(f"{home}: {readable(before)}, now {readable(after)}")
    return OK
