"""The plots of the page: dots for numbers, lines and bands for their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from handful.core import Estimate
from handful.report.facts import Adapted, Bin, ClassResult, Confusion, Gain, Method, Point
from handful.report.svg import BAND, GRID, INK, MUTED, RIGHT, WRONG, drawn, stand_in
from handful.report.text import measured, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 720
_ROW, _HEAD, _FOOT, _TEXT = 30, 8, 46, 170
_SHADES = 6


@dataclass(frozen=True)
class _Row:
    name: str
    dots: tuple[Estimate, ...]
    text: str
    strong: bool = False


def methods_plot(methods: Sequence[Method]) -> Markup:
    """Return accuracy and interval of each method as a row of dots, best first.

    Parameters
    ----------
    methods : sequence of Method
        At least one.
    """
    rows = [_Row(m.name, (m.accuracy,), measured(m.accuracy), m.chosen) for m in methods]
    bounds = [
        b for m in methods if m.accuracy.is_measured for b in (m.accuracy.low, m.accuracy.high)
    ]
    title = "Accuracy of each method: " + "; ".join(f"{row.name} {row.text}" for row in rows)
    return _dot_rows(rows, _snug(bounds), title, "accuracy on images not seen in training")


def adapted_plot(adapted: Adapted) -> Markup:
    """Return accuracy before and after adapting as two rows of dots."""
    parts = (("original backbone", adapted.before), ("adapted backbone", adapted.after))
    rows = [_Row(name, (estimate,), measured(estimate)) for name, estimate in parts]
    bounds = [b for _, e in parts if e.is_measured for b in (e.low, e.high)]
    title = "Accuracy of a linear probe: " + "; ".join(f"{row.name} {row.text}" for row in rows)
    return _dot_rows(rows, _snug(bounds), title, "accuracy on images not seen in training")


def classes_plot(results: Sequence[ClassResult]) -> Markup:
    """Return recall (filled) and precision (hollow) of each class as dots with intervals.

    Parameters
    ----------
    results : sequence of ClassResult
        In the order of the rows, at least one.
    """
    rows = [_Row(r.name, (r.recall, r.precision), measured(r.recall, 0)) for r in results]
    title = "Recall and precision of each class, weakest first; the table below holds the numbers"
    return _dot_rows(rows, (0.0, 1.0), title, "share of images")


def _dot_rows(rows: Sequence[_Row], span: tuple[float, float], title: str, label: str) -> Markup:
    longest = max(len(row.name) for row in rows)
    left = min(max(60, 16 + 8 * longest), 220)
    height = _HEAD + _ROW * len(rows) + _FOOT

    def draw(figure: Figure) -> None:
        axes = figure.add_axes(
            (
                left / WIDTH,
                _FOOT / height,
                (WIDTH - left - _TEXT) / WIDTH,
                _ROW * len(rows) / height,
            )
        )
        _bare(axes, label)
        axes.set_xlim(*span)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        _percent_axis(axes.xaxis, span)
        axes.set_yticks(range(len(rows)), [stand_in(i) for i in range(len(rows))])
        for at, row in enumerate(rows):
            _row(axes, at, row)

    return drawn(
        draw, (WIDTH, height), title=title, names=[(row.name, left // 8 + 1) for row in rows]
    )


def _row(axes: Axes, at: int, row: _Row) -> None:
    weight = "bold" if row.strong else "normal"
    axes.yaxis.get_ticklabels()[at].set(color=INK, fontweight=weight, va="center")
    axes.axhline(at, color=GRID, linewidth=0.7)
    middle = (len(row.dots) - 1) / 2
    for i, estimate in enumerate(row.dots):
        if estimate.is_measured:
            _dot(axes, estimate, at + 0.26 * (i - middle), hollow=i > 0, color=RIGHT)
    color = INK if row.dots[0].is_measured else MUTED
    where: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    axes.annotate(row.text, (1, at), (14, 0), va="center", color=color, fontweight=weight, **where)


def _dot(axes: Axes, estimate: Estimate, at: float, *, hollow: bool, color: str) -> None:
    axes.hlines(
        at, estimate.low, estimate.high, color=color, linewidth=1.2 if hollow else 2.6, alpha=0.55
    )
    face = "none" if hollow else color
    axes.plot(
        [estimate.value],
        [at],
        "o",
        ms=5.5 if hollow else 7.5,
        mfc=face,
        mec=color,
        mew=1.3,
        clip_on=False,
    )


def curve_plot(curve: Sequence[Point], gain: Gain | None = None) -> Markup:
    """Return accuracy against the number of labels, with the band of the intervals.

    Parameters
    ----------
    curve : sequence of Point
        Measured ones, by ascending labels, at least one.
    gain : Gain, optional
        Drawn as a dashed step after the last point.
    """
    height, left, foot = 320, 64, 56
    bounds = [b for p in curve for b in (p.accuracy.low, p.accuracy.high)]
    ahead = _ahead(curve[-1], gain)
    span = _snug([*bounds, *(ahead[1:] if ahead else [])])

    def draw(figure: Figure) -> None:
        axes = figure.add_axes(
            (
                left / WIDTH,
                foot / height,
                (WIDTH - left - 110) / WIDTH,
                (height - foot - 14) / height,
            )
        )
        _bare(axes, "labels")
        labels = [p.labels for p in curve]
        values = [p.accuracy.value for p in curve]
        axes.fill_between(
            labels,
            [p.accuracy.low for p in curve],
            [p.accuracy.high for p in curve],
            color=BAND,
            lw=0,
        )
        axes.plot(labels, values, "-o", color=RIGHT, lw=2.2, ms=6.5)
        if len(curve) == 1:
            axes.vlines(
                labels,
                curve[0].accuracy.low,
                curve[0].accuracy.high,
                color=RIGHT,
                lw=2.2,
                alpha=0.6,
            )
        _note(axes, labels[-1], values[-1], percent(values[-1]), beside=_beside(curve[-1], ahead))
        if ahead:
            _draw_ahead(axes, curve[-1], ahead)
        _labels_axis(axes, [*labels, *([ahead[0]] if ahead else [])])
        axes.set_ylim(*span)
        _percent_axis(axes.yaxis, span)
        axes.grid(axis="y", color=GRID, linewidth=0.7)

    title = "Learning curve. " + "; ".join(
        f"{p.labels} labels: {measured(p.accuracy)}" for p in curve
    )
    return drawn(draw, (WIDTH, height), title=title)


def _ahead(last: Point, gain: Gain | None) -> tuple[float, float, float, float] | None:
    """Return labels, accuracy, low and high that the expected gain leads to."""
    if gain is None or not gain.gain.is_measured or gain.labels <= 0:
        return None
    value, low, high = (
        min(max(last.accuracy.value + g, 0.0), 1.0)
        for g in (gain.gain.value, gain.gain.low, gain.gain.high)
    )
    return last.labels + gain.labels, value, low, high


def _draw_ahead(axes: Axes, last: Point, ahead: tuple[float, float, float, float]) -> None:
    labels, value, low, high = ahead
    axes.plot([last.labels, labels], [last.accuracy.value, value], "--", color=MUTED, lw=1.6)
    axes.vlines(labels, low, high, color=MUTED, lw=1.6, alpha=0.7)
    axes.plot([labels], [value], "o", ms=6.5, mfc="none", mec=MUTED, mew=1.5, clip_on=False)
    _note(axes, labels, value, f"{percent(value)} expected", color=MUTED)


def _beside(last: Point, ahead: tuple[float, float, float, float] | None) -> int:
    """Return where the last value is written: right of it (0), or clear of the dashed line."""
    return 0 if ahead is None else -18 if ahead[1] >= last.accuracy.value else 12


def _note(axes: Axes, x: float, y: float, text: str, *, beside: int = 0, color: str = INK) -> None:
    where: dict[str, Any] = {"xytext": (0, beside), "ha": "center"}
    if not beside:
        where = {"xytext": (12, 0), "va": "center"}
    axes.annotate(
        text, (x, y), textcoords="offset points", color=color, annotation_clip=False, **where
    )


def _labels_axis(axes: Axes, labels: Sequence[float]) -> None:
    first, last = min(labels), max(labels)
    if first > 0 and last / first >= 6:
        axes.set_xscale("log")
    axes.minorticks_off()
    ticks = [x for x in labels if x > 0 or axes.get_xscale() == "linear"]
    axes.set_xticks(_apart(ticks, axes.get_xscale() == "log"))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    if first == last:
        axes.set_xlim(first - 1, last + 1)


def _apart(ticks: Sequence[float], log: bool) -> list[float]:
    """Return the ticks from the last backwards that are far enough apart to be read."""
    place = {x: math.log(x) if log else x for x in ticks}
    reach = (max(place.values()) - min(place.values())) / 14
    kept: list[float] = []
    for x in sorted(place, reverse=True):
        if not kept or place[kept[-1]] - place[x] > reach:
            kept.append(x)
    return kept[::-1]


def reliability_plot(bins: Sequence[Bin]) -> Markup:
    """Return how often answers of each confidence were right.

    Parameters
    ----------
    bins : sequence of Bin
        At least one with a measured accuracy; the others are not drawn.
    """
    bins = [b for b in bins if b.accuracy.is_measured]
    side, left, foot = 380, 64, 56
    size = (left + side + 24, side + foot + 12)

    def draw(figure: Figure) -> None:
        where = (left / size[0], foot / size[1], side / size[0], side / size[1])
        _draw_reliability(figure.add_axes(where), bins)

    title = "Reliability. " + "; ".join(
        f"{b.n} answers near {percent(b.confidence, 0)} confidence: {measured(b.accuracy, 0)} right"
        for b in bins
    )
    return drawn(draw, size, title=title)


def _draw_reliability(axes: Axes, bins: Sequence[Bin]) -> None:
    _bare(axes, "confidence the model states")
    axes.plot([0, 1], [0, 1], "--", color=MUTED, lw=1.1)
    most = max(b.n for b in bins)
    for b in bins:
        size = 4 + 7 * math.sqrt(b.n / most)
        axes.hlines(b.accuracy.value, b.low, b.high, color=RIGHT, lw=1.2, alpha=0.5)
        axes.vlines(b.confidence, b.accuracy.low, b.accuracy.high, color=RIGHT, lw=2.2, alpha=0.5)
        axes.plot([b.confidence], [b.accuracy.value], "o", color=RIGHT, ms=size, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that was right")
    _percent_axis(axes.xaxis, (0.0, 1.0))
    _percent_axis(axes.yaxis, (0.0, 1.0))
    axes.grid(color=GRID, linewidth=0.7)


def confusion_overview(confusion: Confusion) -> Markup:
    """Return a matrix of many classes as a map: right answers and mistakes by colour, no names.

    Parameters
    ----------
    confusion : Confusion
        Shaded by the share of the row; cells of one shade are one path, so that
        hundreds of classes stay a small drawing.
    """
    n, left, top = len(confusion.classes), 40, 36
    side = 600
    size = (side + left + 20, side + top + 12)

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((left / size[0], 12 / size[1], side / size[0], side / size[1]))
        _bare(axes, "")
        for (shade, right), cells in sorted(_shaded(confusion).items()):
            _squares(axes, cells, RIGHT if right else WRONG, shade / _SHADES)
        axes.set(xlim=(0, n), ylim=(n, 0), xlabel="the model said", ylabel="is in truth")
        axes.xaxis.set_label_position("top")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(True)

    title = f"Map of the confusion matrix of {n} classes; the list below names the mistakes"
    return drawn(draw, size, title=title)


def _shaded(confusion: Confusion) -> dict[tuple[int, bool], list[tuple[int, int]]]:
    cells: dict[tuple[int, bool], list[tuple[int, int]]] = {}
    for i, row in enumerate(confusion.counts):
        total = sum(row) or 1.0
        for j, count in enumerate(row):
            if count > 0:
                shade = max(1, math.ceil(_SHADES * math.sqrt(count / total)))
                cells.setdefault((min(shade, _SHADES), i == j), []).append((i, j))
    return cells


def _squares(axes: Axes, cells: Sequence[tuple[int, int]], color: str, alpha: float) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    corners = [((j, i), (j + 1, i), (j + 1, i + 1), (j, i + 1), (j, i)) for i, j in cells]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(cells)
    path = Path([corner for square in corners for corner in square], codes)
    axes.add_artist(PathPatch(path, facecolor=color, edgecolor="none", alpha=alpha))


def _bare(axes: Axes, label: str) -> None:
    axes.patch.set_visible(False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(label, labelpad=8)


def _percent_axis(axis: Any, span: tuple[float, float]) -> None:
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.25) if (span[1] - span[0]) / s <= 5.01)
    first, last = math.ceil(span[0] / step - 1e-9), math.floor(span[1] / step + 1e-9)
    axis.set_ticks([round(step * k, 4) for k in range(first, last + 1)])
    axis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    if axis.axis_name == "x":
        axis.grid(visible=True, color=GRID, linewidth=0.7)


def _snug(bounds: Sequence[float]) -> tuple[float, float]:
    """Return the range of an axis of fractions, in steps of 5 points around the bounds.

    Examples
    --------
    >>> _snug([0.723, 0.861]), _snug([])
    ((0.7, 0.9), (0.0, 1.0))
    """
    if not bounds:
        return 0.0, 1.0
    low = max(0.0, math.floor(20 * min(bounds) - 0.2) / 20)
    high = min(1.0, math.ceil(20 * max(bounds) + 0.2) / 20)
    return (low, high) if low < high else (0.0, 1.0)
