import re

import numpy as np
import pytest

from handful.core import Estimate
from handful.report import plots
from handful.report.facts import Bin, ClassResult, Confusion, Gain, Method, Point

NONE = Estimate.not_measurable("accuracy", "why")


def share(value, low=0.0, high=1.0):
    return Estimate(value, low, high, 10, "accuracy", "cv")


def circles(svg):
    return svg.count("<use ")


def test_each_method_has_a_dot_unless_not_measurable():
    methods = [Method("a", share(0.5), 1.0, True), Method("b", NONE, None, False)]
    svg = plots.methods_plot(methods)
    assert "50.0 % (0–100)" in svg and "not measurable" in svg and ">a<" in svg
    assert circles(svg) == circles(plots.methods_plot(methods[:1]))


@pytest.mark.parametrize("n", [1, 2, 30])
def test_class_plots_grow_with_the_classes(n):
    rows = [ClassResult(f"c{i}", 3, share(i / 30), share(0.5)) for i in range(n)]
    height = int(re.search(r"viewBox=\"0 0 720 (\d+)\"", plots.classes_plot(rows))[1])
    assert height == 54 + 30 * n


@pytest.mark.parametrize(
    "labels", [[10], [0, 10], [10, 20], [1, 2, 5, 1000], [7, 7], list(range(1, 60))]
)
@pytest.mark.parametrize("gain", [None, 0.5, -0.9, 0.0])
def test_curves_of_any_length(labels, gain):
    curve = [Point(m, share(0.6, 0.5, 0.7)) for m in labels]
    ahead = gain if gain is None else Gain(50, Estimate(gain, -1, 1, 9, "gain", ""), "")
    svg = plots.curve_plot(curve, ahead)
    assert "60.0 %" in svg and ("expected" in svg) == (gain is not None)


def test_a_gain_without_a_number_is_not_drawn():
    svg = plots.curve_plot([Point(5, share(0.5))], Gain(5, NONE, "unknown"))
    assert "expected" not in svg


def test_reliability_shows_what_was_measured():
    bins = [Bin(0.0, 0.5, 3, 0.4, share(0.3)), Bin(0.5, 1.0, 9, 0.9, NONE)]
    svg = plots.reliability_plot(bins)
    assert "3 answers near 40 % confidence: 30 % (0–100) right" in svg
    assert "9 answers" not in svg


def test_the_map_of_many_classes_stays_small():
    counts = np.random.default_rng(0).integers(0, 9, (200, 200))
    names = tuple(f"c{i}" for i in range(200))
    svg = plots.confusion_overview(Confusion(names, tuple(map(tuple, counts.tolist()))))
    assert len(svg) < 3_000_000 and "var(--wrong)" in svg and "var(--right)" in svg


def test_a_class_that_never_occurred_is_an_empty_row():
    svg = plots.confusion_overview(Confusion(("a", "b"), ((0, 0), (0, 5))))
    assert "var(--right)" in svg and "var(--wrong)" not in svg
