"""What the defaults cost on a large log: table paths and column roles alone. The run prints each component's time.

    python -m benchmarks.scale --events 1000000

The log is made, not recorded: only times mean anything here, no metric of quality does.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from config import Config, parse_config
from pipeline.runners.local import run_local
from trainer.run import RESULT_FILE

_CLUSTERS = 50
_STAY = 0.8
"""The chance that an event is of the same cluster as the user's event before it."""
_GAP_SECONDS = 3600
"""Between a user's events that follow each other, on average."""
_SPAN_SECONDS = 3 * 365 * 86_400
"""The users' first events lie in this time, as likely early as late."""


def main() -> int:
    """Makes the log, runs the pipeline and prints its seconds; the exit code."""
    arguments = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        path = Path(folder, "interactions.parquet")
        log = make_log(arguments.events, arguments.users, arguments.items)
        log.to_parquet(path, index=False)
        outcome = run_local(configuration(path, arguments.root))
        if outcome.failed:
            print(f"{outcome.failed} failed: {outcome.message}; the whole log: {outcome.log}")
            return 1
        run = Path(outcome.outputs["Trainer"]["model_run"][0].uri, RESULT_FILE)
        training = json.loads(run.read_text())["seconds"]
        size = f"{len(log):,} events, {log['user'].nunique():,} users, {log['item'].nunique():,} items"
        print(f"{size}: {outcome.seconds:.0f} s, of which training {training:.0f} s")
    return 0


def make_log(events: int, users: int, items: int, seed: int = 0) -> pd.DataFrame:
    """A log of (user, item, time), no pair of user and item twice.

    Users are of unequal activity (log-normal), come over three years, and stay in a cluster of items for some events;
    items are of unequal popularity (Zipf) inside their cluster.

    Args:
      events: At most so many rows: twice as many are drawn, and repeated pairs are taken out again.
      users, items: At most so many.
      seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    activity = rng.lognormal(sigma=1.0, size=users)
    user = np.sort(rng.choice(users, 2 * events, p=activity / activity.sum()))
    cluster = _clusters(user, rng)
    size = items // _CLUSTERS
    share = 1 / np.arange(1, size + 1)
    item = cluster * size + rng.choice(size, len(user), p=share / share.sum())
    log = pd.DataFrame({"user": user, "item": item, "time": _times(user, rng)}).drop_duplicates(["user", "item"])
    return log.sample(min(events, len(log)), random_state=seed).sort_index()


def configuration(interactions: Path, root: str) -> Config:
    """Returns the defaults, with only the table's path and its columns given."""
    columns = {"path": str(interactions), "user": "user", "item": "item", "time": "time"}
    values = {
        "name": "scale",
        "data": {"folder": str(interactions.parent), "interactions": columns},
        "tasks": {"retrieval": {"kind": "retrieval"}},
        "pipeline": {"root": root, "cache": False},
    }
    return parse_config(json.dumps(values), "the scale benchmark")


def _clusters(user: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each event's cluster int64 [E]: that of the event before it, or a new one. `user` is sorted."""
    moves = (rng.random(len(user)) >= _STAY) | np.r_[True, user[1:] != user[:-1]]
    return rng.integers(0, _CLUSTERS, int(moves.sum()))[np.cumsum(moves) - 1]


def _times(user: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each event's time int64 [E]: some while after the user's event before it. `user` is sorted."""
    after = np.cumsum(rng.exponential(_GAP_SECONDS, len(user)))
    first, events = np.unique(user, return_index=True, return_counts=True)[1:]
    shift = rng.uniform(0, _SPAN_SECONDS, len(first)) - after[first]
    return 1_500_000_000 + (after + np.repeat(shift, events)).astype(np.int64)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=6_000)
    parser.add_argument("--items", type=int, default=4_000)
    parser.add_argument("--root", default="runs/scale", help="where the pipeline lives (default: %(default)s)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
