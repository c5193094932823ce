"""The plot of `handful episodes`: accuracy against the number of labels a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from handful.core import Estimate
from handful.report.cut_plot import _STYLES
from handful.report.plots import _bare, _percent_axis, _snug
from handful.report.svg import GRID, INK, drawn, stand_in
from handful.report.text import measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _FOOT = 64, 190, 14, 56


@dataclass(frozen=True)
class ShotCurve:
    """One method of the plot.

    Parameters
    ----------
    name : str
        In the legend.
    points : sequence of (int, Estimate)
        Labels a class, ascending, and accuracy; at least one is measured.
    """

    name: str
    points: Sequence[tuple[int, Estimate]]


def shots_plot(curves: Sequence[ShotCurve]) -> Markup:
    """Return the accuracy of each method at each number of labels, with ranges, labels on a logarithmic axis.

    Parameters
    ----------
    curves : sequence of ShotCurve
        One to five, the most important first: its range is drawn strongest.

    Raises
    ------
    ValueError
        If there are no curves, or more than five.
    """
    if not 1 <= len(curves) <= len(_STYLES):
        raise ValueError(f"A plot of labels has 1 to {len(_STYLES)} curves. Got {len(curves)}.")
    shown = [(c.name, [(n, e) for n, e in c.points if e.is_measured]) for c in curves]
    span = _snug([bound for _, points in shown for _, e in points for bound in (e.low, e.high)])

    def draw(figure: Figure) -> None:
        wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _FOOT - _TOP
        axes = figure.add_axes((_LEFT / _WIDTH, _FOOT / _HEIGHT, wide / _WIDTH, high / _HEIGHT))
        _bare(axes, "labels a class, picked at random")
        axes.set_xscale("log", base=2)
        for number, (_, points) in enumerate(shown):
            _curve(axes, number, len(shown), points)
        places = sorted({n for _, points in shown for n, _ in points})
        axes.set_xticks(places, [str(n) for n in places])
        axes.minorticks_off()
        axes.set_xlim(places[0] / 1.3, places[-1] * 1.3)
        axes.set_ylim(*span)
        _percent_axis(axes.yaxis, span)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, labelcolor=INK)

    title = "Accuracy by labels a class. " + "; ".join(
        f"{name}: " + ", ".join(f"{n} labels {measured(e)}" for n, e in points)
        for name, points in shown
    )
    return drawn(draw, (_WIDTH, _HEIGHT), title=f"{title}.", names=[(c.name, 24) for c in curves])


def _curve(axes: Axes, number: int, n_curves: int, points: Sequence[tuple[int, Estimate]]) -> None:
    style, shift = _STYLES[number], 1.04 ** (number - (n_curves - 1) / 2)
    xs = [n * shift for n, _ in points]
    axes.vlines(
        xs, [e.low for _, e in points], [e.high for _, e in points], color=style["color"],
        lw=2.6 if number == 0 else 1.2, alpha=0.55 if number == 0 else 0.3,
    )  # fmt: skip
    axes.plot(
        xs, [e.value for _, e in points], marker="o", ms=6 if number == 0 else 4.5, mec=style["color"],
        lw=2.2 if number == 0 else 1.3, mew=1.3, clip_on=False, label=stand_in(number), **style,
    )  # fmt: skip
