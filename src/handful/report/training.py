"""The course of a training run as one SVG file: its loss, and what was watched beside it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np

_HIDDEN = ("step", "seconds", "norm", "loss")
_SMOOTH = 50  # parts of a run over which a step's figures are averaged


def training_plot(lines: Sequence[Mapping[str, float]], title: str) -> str:
    """Return the plot of a log.

    Parameters
    ----------
    lines : sequence of mappings
        One a step: ``step``, ``loss``, and figures that some steps have.
    title : str
        Drawn above it.

    Returns
    -------
    str
        An SVG document.
    """
    from matplotlib.figure import Figure

    names = sorted({key for line in lines for key in line} - set(_HIDDEN))
    names = ["loss", *names]
    figure = Figure(figsize=(8, 1.9 * len(names) + 0.5), layout="constrained")
    for axes, name in zip(
        np.atleast_1d(figure.subplots(len(names), sharex=True)), names, strict=True
    ):
        points = [(line["step"], line[name]) for line in lines if name in line]
        steps, values = np.array(points, np.float64).reshape(-1, 2).T
        window = max(1, len(values) // _SMOOTH)
        if window > 1:
            axes.plot(steps, values, color="#9fb8d9", lw=0.6)
            values = np.convolve(values, np.full(window, 1 / window), "valid")
            steps = steps[window - 1 :]
        axes.plot(steps, values, color="#1f5fa8", lw=1.6, marker="o" if len(values) < 20 else "")
        axes.set_ylabel(name.replace("_", " "))
        axes.grid(color="#dddddd", lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title)
    figure.supxlabel("step")
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()
