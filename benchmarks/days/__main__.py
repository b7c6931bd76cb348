"""Runs the simulated fortnight and prints a row for each day.

    python -m benchmarks.days [--days 14] [--folder FOLDER]

Each day people are shown what the pushed model recommends and click, the requests are logged and joined with the
clicks, and the pipeline runs on the last seven days from yesterday's model. What goes wrong, and what should happen:

- day 6: the tracker breaks. Drift stops the run, and yesterday's model serves. On day 7 the span is repaired.
- day 9: new items, and no retraining: a refresh of the catalogue.
- day 11: a worse model. Its gate withholds the blessing.
- day 12: the same without gates. It is pushed, its click-through rate falls, and `online --rollback` withdraws it.

The command fails where something else happens.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.console import plain_table, wide_console
from benchmarks.days.plot import draw
from benchmarks.days.shop import Done, Shop, noon, recommend
from benchmarks.days.world import Event, World, write_items, write_log
from pipeline.cli.common import NOT_PUSHED, OK
from serving.client import RecommenderClient

_EVENTS: Final = 1200
"""A day's events of users' own accord."""
_FIRST_EVENTS: Final = 3000
_ASKED: Final = 150
"""Users who are shown recommendations on a day."""
_BROKEN, _REFRESHED, _WORSE, _FORCED = 6, 9, 11, 12
_REVERSED: Final[dict[str, Any]] = {
    "positive": "rating <= 2",
    "training": {"epochs": 2, "batch_size": 32, "warm_start": None},
}
"""A mistake in the configuration: what people dislike counts as positive."""
_NO_GATES: Final = {"evaluation": {"ks": [5, 10], "beat_popularity": None}}


@dataclass(frozen=True)
class Day:
    """What happened on a day."""

    day: int
    event: str
    shown_version: int | None
    """The version that answered."""
    ctr: float | None
    """Its click-through rate on this day, as the simulation knows it."""
    online: str
    """What `online` said."""
    run: str
    """How the run ended."""
    ndcg: float | None
    seconds: float


class Fortnight:
    """The simulation.

    Args:
      folder: Where the shop is.
    """

    def __init__(self, folder: Path) -> None:
        self.shop, self.world = Shop(folder), World()
        self._of_broken_day: list[Event] = []
        write_items(folder / "items.csv", self.world.items)

    def live(self, day: int) -> Day:
        """Lives through a day. Raises `RuntimeError` where something happens that should not."""
        started, version = time.monotonic(), max(self.shop.versions(), default=None)
        events = self.world.organic_events(day, _EVENTS if day > 1 else _FIRST_EVENTS)
        clicks, shown = self._serve(day) if version is not None else ([], 0)
        self._write_span(day, [*events, *clicks])
        online = self._judge(day) if version is not None else ""
        event, run = self._run(day)
        ndcg = self.shop.metric(f"ndcg@{10}") if run in ("pushed", "not blessed") else None
        ctr = len(clicks) / shown if shown else None
        return Day(day, event, version, ctr, online, run, ndcg, time.monotonic() - started)

    def _serve(self, day: int) -> tuple[list[Event], int]:
        """Shows recommendations to users, and returns their clicks and the number of shown items."""
        clicks, shown, rng = [], 0, self.world.asking
        with self.shop.server() as address, RecommenderClient(address, timeout=120) as client:
            for user in rng.choice(sorted(self.world.histories), _ASKED, replace=False):
                history = self.world.histories[user]
                items = recommend(client, user, history, noon(day))
                clicks += self.world.clicks(user, items, noon(day))
                shown += len(items)
        return clicks, shown

    def _write_span(self, day: int, events: list[Event]) -> None:
        spans = self.shop.folder
        if day == _BROKEN + 1:  # the tracker of yesterday was repaired, and its log delivered again
            write_log(spans / f"span-{_BROKEN}" / "version-2" / "log.csv", self._of_broken_day)
        if day == _BROKEN:
            self._of_broken_day = events
        write_log(spans / f"span-{day}" / "version-1" / "log.csv", events, "toaster" if day == _BROKEN else None)
        self.world.happened(events)

    def _judge(self, day: int) -> str:
        """Joins the logged requests with the clicks; a version whose gate fails is withdrawn."""
        before = self.shop.versions()
        logs, interactions = f"{self.shop.logs}/*.tfrecord", f"{self.shop.folder}/span-*/version-1/log.csv"
        done = self.shop.command("online", "--logs", logs, "--interactions", interactions, "--rollback")
        withdrawn = set(before) - set(self.shop.versions())
        is_forced = day == _FORCED + 1
        _expect(done, NOT_PUSHED if is_forced else OK, f"day {day}, online", bool(withdrawn) == is_forced)
        return f"withdrew {withdrawn.pop()}" if withdrawn else "gates hold"

    def _run(self, day: int) -> tuple[str, str]:
        """Does the day's work of the team, and returns what it was and how it ended."""
        before = self.shop.versions()
        if day == _REFRESHED:
            return self._refresh()
        changes: dict[int, tuple[str, dict[str, Any]]] = {
            _WORSE: ("positives reversed", _REVERSED),
            _FORCED: ("positives reversed, no gates", {**_REVERSED, **_NO_GATES}),
        }
        event, change = changes.get(day, ("broken tracker" if day == _BROKEN else "", {}))
        config = self.shop.configure(f"day-{day}.yaml", **change)
        done = self.shop.command("run", "--span", day, config=config)
        is_pushed = self.shop.versions() != before
        if day == _BROKEN:
            _expect(done, 1, f"day {day}", not is_pushed and "drift of train" in done.output)
            return event, "stopped by drift"
        if day == _WORSE:
            _expect(done, NOT_PUSHED, f"day {day}", not is_pushed)
            return event, "not blessed"
        _expect(done, OK, f"day {day}", is_pushed)
        return event or ("span 6 repaired" if day == _BROKEN + 1 else ""), "pushed"

    def _refresh(self) -> tuple[str, str]:
        self.world.items += [f"i{len(self.world.items) + n}" for n in range(12)]
        before, items = self.shop.versions(), self.shop.folder / "items.csv"
        write_items(items, self.world.items)
        done = self.shop.command("refresh", "--items", items)
        _expect(done, OK, "refresh", self.shop.versions() != before)
        return "12 new items", "refreshed"


def _expect(done: Done, code: int, what: str, holds: bool) -> None:
    if done.code != code or not holds:
        raise RuntimeError(f"{what}: exit code {done.code}, {code} was expected\n{done.output}")


def main() -> None:
    """Runs the simulation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--folder", type=Path, help="where it is kept (default: removed at the end)")
    parser.add_argument("--plot", type=Path, help="an SVG file for the picture")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="days-") as temporary:
        folder = (arguments.folder or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        days = simulate(folder, arguments.days, lambda day: print(json.dumps(asdict(day)), flush=True))
    wide_console(160).print(_table(days))
    if arguments.plot:
        draw(days, arguments.plot)


def simulate(folder: Path, count: int, report: Callable[[Day], None]) -> list[Day]:
    """Lives through the first days, and returns what happened."""
    fortnight, days = Fortnight(folder), []
    for number in range(1, count + 1):
        days.append(fortnight.live(number))
        report(days[-1])
    return days


def _table(days: list[Day]) -> Any:
    texts = ("event", "version that answered", "online", "run")
    table = plain_table(["day", *texts], ["CTR", "NDCG@10 test", "seconds"], "A simulated fortnight")
    for d in days:
        ctr, ndcg = ("" if value is None else f"{value:.3f}" for value in (d.ctr, d.ndcg))
        version = "" if d.shown_version is None else str(d.shown_version)
        table.add_row(str(d.day), d.event, version, d.online, d.run, ctr, ndcg, f"{d.seconds:.0f}")
    return table


if __name__ == "__main__":
    main()
