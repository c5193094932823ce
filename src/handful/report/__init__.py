"""The report of a fit: one HTML page, and a few lines for the terminal."""

from handful.report.advised import advice_table, plans_as_text
from handful.report.cut_plot import CutCurve, cut_plot, standing_alone
from handful.report.page import render
from handful.report.shots_plot import ShotCurve, shots_plot
from handful.report.terminal import summary_table
from handful.report.training import training_plot

__all__ = [
    "CutCurve",
    "ShotCurve",
    "advice_table",
    "cut_plot",
    "plans_as_text",
    "render",
    "shots_plot",
    "standing_alone",
    "summary_table",
    "training_plot",
]
