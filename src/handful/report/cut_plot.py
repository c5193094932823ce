"""The plot of the cut report: accuracy against the number of blocks that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from handful.core import Estimate
from handful.report.plots import _bare, _percent_axis, _snug
from handful.report.svg import GRID, INK, MUTED, RIGHT, WRONG, drawn, stand_in
from handful.report.text import measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _FOOT = 64, 220, 14, 56
_STYLES: tuple[dict[str, Any], ...] = (  # color, dashes, filled
    {"color": RIGHT, "ls": "-", "mfc": RIGHT},
    {"color": RIGHT, "ls": "--", "mfc": "none"},
    {"color": WRONG, "ls": "-", "mfc": WRONG},
    {"color": WRONG, "ls": "--", "mfc": "none"},
    {"color": MUTED, "ls": "-", "mfc": MUTED},
)
_COLORS = {  # of the page, for a file that stands alone
    "light": "--ink:#1c2026;--muted:#5a616c;--grid:#e3e0d8;--right:#17608f;--wrong:#b5500b;--band:#c9dae5",
    "dark": "--ink:#e9e6df;--muted:#a0a7b2;--grid:#333841;--right:#76b7ea;--wrong:#f29d5f;--band:#2c4457",
}


@dataclass(frozen=True)
class CutCurve:
    """One arm of the plot.

    Parameters
    ----------
    name : str
        In the legend.
    points : sequence of (int, Estimate)
        Blocks kept and accuracy, ascending, at least one.
    """

    name: str
    points: Sequence[tuple[int, Estimate]]


def cut_plot(
    curves: Sequence[CutCurve], *, base: Estimate | None = None, keep: int | None = None
) -> Markup:
    """Return the accuracy of each arm at each cut, with intervals.

    Parameters
    ----------
    curves : sequence of CutCurve
        One to five, in the order of the report: each pair of frozen and
        retrained shares a colour.
    base : Estimate, optional
        Drawn as a line across.
    keep : int, optional
        The advised number of blocks, marked.

    Raises
    ------
    ValueError
        If there are no curves, or more than five.
    """
    if not 1 <= len(curves) <= len(_STYLES):
        raise ValueError(f"A cut plot has 1 to {len(_STYLES)} curves. Got {len(curves)}.")
    estimates = [estimate for curve in curves for _, estimate in curve.points]
    estimates += [base] if base else []
    span = _snug([bound for e in estimates for bound in (e.low, e.high)])

    def draw(figure: Figure) -> None:
        wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _FOOT - _TOP
        axes = figure.add_axes((_LEFT / _WIDTH, _FOOT / _HEIGHT, wide / _WIDTH, high / _HEIGHT))
        _bare(axes, "blocks kept, counted from the input")
        _lines(axes, curves)
        if base:
            axes.axhline(base.value, color=INK, lw=1, ls=":", label=stand_in(len(curves)))
        if keep is not None:
            axes.axvline(keep, color=GRID, lw=8, zorder=0)
        axes.set_ylim(*span)
        _percent_axis(axes.yaxis, span)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False, labelcolor=INK)

    names = [(curve.name, 28) for curve in curves] + [("task's own network", 28)]
    return drawn(draw, (_WIDTH, _HEIGHT), title=_title(curves, keep), names=names)


def standing_alone(svg: Markup) -> str:
    """Return a plot as the content of an SVG file, with the page's colours for light and dark."""
    light, dark = _COLORS["light"], _COLORS["dark"]
    style = (
        f"<style>svg{{{light};font-family:sans-serif}}"
        f"@media(prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    )
    opening, _, rest = str(svg).partition(">")
    return f"{opening}>{style}{rest}\n"


def _lines(axes: Axes, curves: Sequence[CutCurve]) -> None:
    apart = 0.12 if len(curves) > 1 else 0.0
    places = sorted({kept for curve in curves for kept, _ in curve.points})
    for number, (curve, style) in enumerate(zip(curves, _STYLES, strict=False)):
        shift = apart * (number - (len(curves) - 1) / 2)
        xs = [kept + shift for kept, _ in curve.points]
        estimates = [estimate for _, estimate in curve.points]
        axes.vlines(
            xs, [e.low for e in estimates], [e.high for e in estimates], color=style["color"], lw=1.6, alpha=0.4
        )  # fmt: skip
        axes.plot(
            xs, [e.value for e in estimates], marker="o", ms=6, lw=1.8, mec=style["color"], mew=1.3,
            clip_on=False, label=stand_in(number), **style,
        )  # fmt: skip
    axes.set_xticks(places, [str(place) for place in places])
    axes.set_xlim(places[0] - 0.5, places[-1] + 0.5)


def _title(curves: Sequence[CutCurve], keep: int | None) -> str:
    parts = [
        f"{curve.name}: " + ", ".join(f"{kept} blocks {measured(e)}" for kept, e in curve.points)
        for curve in curves
    ]
    advised = "" if keep is None else f" Advised: {keep} blocks."
    return "Accuracy by blocks kept. " + "; ".join(parts) + "." + advised
