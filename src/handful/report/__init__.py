"""The report of a fit: one HTML page, and a few lines for the terminal."""

from handful.report.page import render
from handful.report.terminal import summary_table
from handful.report.training import training_plot

__all__ = ["render", "summary_table", "training_plot"]
