"""The picture of the simulated days."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
from matplotlib import pyplot

from benchmarks.plots import ACCENT, GREY, MUTED, STYLE

if TYPE_CHECKING:
    from benchmarks.days.__main__ import Day


def draw(days: "Sequence[Day]", path: Path) -> None:
    """Draws click-through rate and NDCG@10 by day, with what happened, as an SVG file."""
    with matplotlib.rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(8.0, 3.8), layout="constrained")
        clicked = {day.day: day.ctr for day in days if day.ctr is not None}
        tested = {day.day: day.ndcg for day in days if day.ndcg is not None}
        axes.plot(list(clicked), list(clicked.values()), marker="o", color=ACCENT, label="CTR of the day")
        axes.plot(list(tested), list(tested.values()), marker="s", color=MUTED, label="NDCG@10 of the run")
        for day in days:
            text = "\n".join(filter(None, [day.event, "" if day.run == "pushed" else day.run]))
            if day.online.startswith("withdrew"):
                text = f"{text}\nrolled back".strip()
            if text:
                axes.axvline(day.day, color=GREY, linewidth=0.5, linestyle=":")
                axes.annotate(
                    text, (day.day, 1.0), xycoords=("data", "axes fraction"), fontsize=7, va="top", rotation=90
                )
        axes.set_xlabel("day")
        axes.set_ylim(bottom=0)
        axes.legend(loc="lower left")
        figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    path.write_text(re.sub(r"[ \t]+\n", "\n", path.read_text(encoding="utf-8")), encoding="utf-8")
