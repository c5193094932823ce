from __future__ import annotations

import pytest

from handful.core import Estimate
from handful.report import ShotCurve, shots_plot


def curve(name="ridge <1>", labels=(1, 5, 20)):
    points = [(n, Estimate(0.5 + n / 100, 0.4, 0.9, 10, "accuracy", "x")) for n in labels]
    return ShotCurve(name, [*points, (50, Estimate.not_measurable("accuracy", "too few"))])


@pytest.mark.parametrize("n", [1, 5])
def test_every_method_is_named_with_its_numbers(n):
    svg = shots_plot([curve(f"method {i}") for i in range(n)])
    for i in range(n):
        assert f">method {i}<" in svg
        assert f"method {i}: 1 labels 51.0 % (40.0–90.0), 5 labels 55.0 %" in svg
    assert "50 labels" not in svg


def test_names_are_escaped():
    assert "ridge &lt;1&gt;" in shots_plot([curve()])


@pytest.mark.parametrize("n", [0, 6])
def test_the_number_of_curves_is_bounded(n):
    with pytest.raises(ValueError, match="has 1 to 5 curves"):
        shots_plot([curve()] * n)
