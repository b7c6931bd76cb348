"""The report's plots, each an SVG inside the page, and the training curves from TensorBoard's event files."""

import io
import math
import posixpath
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.messages import label

Curve = list[tuple[int, float]]
"""(step, value), by step."""


def read_curves(model_run: str) -> dict[str, dict[str, Curve]]:
    """Reads the curves below `train` and `eval` of the `model_run` artifact: {"train": {"loss": [(step, value), ...]}}.

    Of a metric written twice for a step (a resumed training), the later one counts. Empty where nothing was logged.
    """
    curves = {part: _read(posixpath.join(model_run, part, "*tfevents*")) for part in ("train", "eval")}
    return {part: metrics for part, metrics in curves.items() if metrics}


def _read(pattern: str) -> dict[str, Curve]:
    points: dict[str, dict[int, float]] = defaultdict(dict)
    for path in sorted(tf.io.gfile.glob(pattern)):
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                if value.HasField("tensor"):
                    points[value.tag][event.step] = float(tf.make_ndarray(value.tensor))
    return {name: sorted(curve.items()) for name, curve in points.items()}


MODEL = "#1f5fa8"
POPULARITY = "#a3adb8"
_WIDTH = 9.6
"""Inches; the page is as wide."""
_INK = "#2b3138"
_MUTED = "#69737d"
_LINES = (MODEL, "#c2571a", "#3d8a5f", "#8659a5", "#b08a12", "#5f6b76")
# Names may hold dollar signs, which are no formulas here.
_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "svg.hashsalt": "report",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": "#c9d0d6",
    "axes.labelcolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e8ecef",
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}


class Estimate(NamedTuple):
    """A metric with its standard error (NaN where unknown)."""

    value: float
    error: float


class Pair(NamedTuple):
    """A metric of the model and of the popularity baseline."""

    name: str
    model: Estimate
    popularity: Estimate


def bars(panels: Mapping[str, Sequence[Pair]]) -> str:
    """Draws model and baseline side by side for every metric, with a panel for each split, on one scale."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 2.5 * len(panels)), layout="constrained")
        rows = figure.subplots(len(panels), 1, squeeze=False, sharey=True)[:, 0]
        for axes, (split, pairs) in zip(rows, panels.items(), strict=True):
            _bars(axes, pairs)
            axes.set_title(label(split))
        rows[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
        return _svg(figure)


def slices(metric: str, pairs: Sequence[Pair]) -> str:
    """Draws one metric in every slice: dots with standard errors, the baseline's beside the model's."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 0.9 + 0.28 * len(pairs)), layout="constrained")
        axes = figure.subplots()
        _dots(axes, "model", [pair.model for pair in pairs], MODEL, -0.14)
        _dots(axes, "popularity", [pair.popularity for pair in pairs], POPULARITY, 0.14)
        axes.set_yticks(range(len(pairs)), [label(pair.name) for pair in pairs], color=_INK)
        axes.set_ylim(len(pairs) - 0.5, -0.5)
        axes.set_xlabel(metric)
        axes.set_xlim(left=0)
        axes.grid(axis="y", visible=False)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
        return _svg(figure)


def curves(panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], over: str = "step") -> str:
    """Draws lines over training steps or what `over` names, two panels in a row, each with a legend beside it."""
    with rc_context(_STYLE):
        rows = math.ceil(len(panels) / 2)
        figure = Figure(figsize=(_WIDTH, 2.5 * rows), layout="constrained")
        panes = list(figure.subplots(rows, 2, squeeze=False).flat)
        for axes, (title, lines) in zip(panes, panels.items(), strict=False):
            _lines(axes, lines, over)
            axes.set_title(label(title))
        for axes in panes[len(panels) :]:
            axes.set_axis_off()
        return _svg(figure)


def _lines(axes: Axes, lines: Mapping[str, Sequence[tuple[float, float]]], over: str) -> None:
    for index, (name, points) in enumerate(lines.items()):
        steps, values = zip(*points, strict=True)
        marker = "o" if len(points) == 1 else ""
        style = "-" if index < len(_LINES) else "--"
        axes.plot(
            steps, values, style, color=_LINES[index % len(_LINES)], label=label(name), linewidth=1.5, marker=marker
        )
    axes.set_xlabel(over)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))


def _dots(axes: Axes, name: str, found: Sequence[Estimate], color: str, shift: float) -> None:
    """Draws a dot in each row, over the axis where it is 0; nothing where no value is known."""
    if all(math.isnan(estimate.value) for estimate in found):
        return
    rows = [row + shift for row in range(len(found))]
    errors = [_drawn(estimate.error) for estimate in found]
    look: Any = {"fmt": "o", "markersize": 5, "elinewidth": 1.2, "clip_on": False, "color": color, "label": name}
    axes.errorbar([estimate.value for estimate in found], rows, xerr=errors, **look)


def _bars(axes: Axes, pairs: Sequence[Pair]) -> None:
    columns = range(len(pairs))
    for name, color, shift in (("model", MODEL, -0.19), ("popularity", POPULARITY, 0.19)):
        found: list[Estimate] = [getattr(pair, name) for pair in pairs]
        heights = [_drawn(estimate.value) for estimate in found]
        errors = [_drawn(estimate.error) for estimate in found]
        shown = axes.bar(
            [column + shift for column in columns], heights, 0.36, color=color, label=name, yerr=errors, ecolor=_MUTED
        )
        axes.bar_label(shown, [f"{e.value:.3f}".lstrip("0") for e in found], padding=2, fontsize=7, color=_INK)
    axes.set_xticks(
        list(columns), [label(pair.name) for pair in pairs], color=_INK, fontsize=8 if len(pairs) <= 12 else 6
    )
    axes.margins(y=0.15)
    axes.grid(axis="x", visible=False)


def _drawn(value: float) -> float:
    """Returns 0 for an unknown value."""
    return 0.0 if math.isnan(value) else value


def _svg(figure: Figure) -> str:
    """Returns the SVG element without the XML declaration, which is not allowed inside HTML."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
