"""Draws the plots of docs/benchmarks.md from its own tables.

    python -m benchmarks.plots

A table is found by the comment `<!-- table: NAME -->` before it. The SVG files in docs/images hold text as text, and
colours that are legible on a light and on a dark page.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot
from matplotlib.axes import Axes

DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
PAGE: Final = DOCS / "benchmarks.md"
GREY, ACCENT, MUTED = "#808a94", "#3b82d0", "#a3acb5"
STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "benchmarks",
    "font.family": "sans-serif",
    "font.size": 10,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def read_table(page: str, name: str) -> list[dict[str, str]]:
    """Returns the rows of a marked table by column name; columns of the same name keep the first.

    Raises:
      KeyError: the page has no such table.
    """
    found = re.search(rf"<!-- table: {re.escape(name)} -->\n((?:\|.*\n)+)", page)
    if found is None:
        raise KeyError(f"the page should have a table marked {name!r}")
    header, _, *rows = ([cell.strip() for cell in line.strip("|\n").split("|")] for line in found[1].splitlines())
    return [dict(reversed(list(zip(header, row, strict=True)))) for row in rows]


def number(cell: str) -> float:
    """Returns the first number of a cell: `**.147** ± .003` -> 0.147, `1.30, 1.89` -> 1.3."""
    found = re.search(r"\d*\.?\d+", cell.replace(",", "", 1) if re.fullmatch(r"\d+,\d{3}", cell) else cell)
    if found is None:
        raise ValueError(f"a cell should hold a number. Received: {cell!r}")
    return float(found[0])


def draw_peers(axes: Axes, page: str) -> None:
    """Draws NDCG@10 of the baselines and of this model as bars."""
    values = {row["papers"].replace("`", ""): number(row["NDCG@10"]) for row in read_table(page, "peers")}
    ours = next(row for row in read_table(page, "movielens") if row[""] == "NDCG@10")
    values |= {"this model, its defaults": number(ours["the defaults"]), "this model": number(ours["model"])}
    colours = [ACCENT if name.startswith("this model") else MUTED for name in values]
    bars = axes.barh(list(values), list(values.values()), color=colours)
    axes.bar_label(bars, fmt=lambda value: f"{value:.3f}".lstrip("0"), padding=4, color=GREY)
    axes.set_xlabel("NDCG@10 on MovieLens-100K, leave-last-out, full catalogue")


def draw_encoders(axes: Axes, page: str) -> None:
    """Draws NDCG@10 of each sequence encoder against its cost in a training step."""
    rows = read_table(page, "encoders")
    for order, row in enumerate(sorted(rows, key=lambda row: number(row["encoder in a training step, ms"]))):
        name = row["`model.history.encoder`"].replace("`", "")
        point = (number(row["encoder in a training step, ms"]), number(row["NDCG@10"]))
        axes.scatter(*point, color=ACCENT if "default" in name else MUTED)
        side, alignment = ((7, "left"), (-7, "right"))[order % 2]
        axes.annotate(name, point, xytext=(side, -3), textcoords="offset points", ha=alignment)
    axes.set_xlabel("the encoder in a training step, ms")
    axes.set_ylabel("NDCG@10")


def draw_index(axes: Axes, page: str) -> None:
    """Draws the fastest call of each index by the number of items, both on logarithmic scales."""
    for name, series in _index_series(read_table(page, "index")).items():
        axes.plot(list(series), list(series.values()), marker="o", label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("items")
    axes.set_ylabel("ms, 1 query")
    axes.legend()


def _index_series(rows: Sequence[Mapping[str, str]]) -> dict[str, dict[float, float]]:
    """Returns milliseconds by items by index. An empty cell of items repeats the one above; `4 x 10^6` is read too."""
    series: dict[str, dict[float, float]] = {}
    items = 0.0
    for row in rows:
        if size := re.fullmatch(r"(?:(\d+) x )?10\^(\d+)", row["items"]):
            items = float(size[1] or 1) * 10 ** int(size[2])
        series.setdefault(row[""].split(" ")[0], {})[items] = number(row["ms, 1 query"])
    return series


PLOTS: Final = {
    "benchmark-peers": (draw_peers, (8.0, 3.2)),
    "benchmark-encoders": (draw_encoders, (8.0, 4.4)),
    "benchmark-index": (draw_index, (8.0, 3.6)),
}


def main() -> None:
    """Draws every plot."""
    page = PAGE.read_text(encoding="utf-8")
    with matplotlib.rc_context(STYLE):
        for name, (draw, size) in PLOTS.items():
            figure, axes = pyplot.subplots(figsize=size, layout="constrained")
            draw(axes, page)
            path = DOCS / "images" / f"{name}.svg"
            figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
            pyplot.close(figure)
            path.write_text(re.sub(r"[ \t]+\n", "\n", path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
