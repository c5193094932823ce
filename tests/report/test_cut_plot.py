from xml.etree import ElementTree

import pytest

from handful.core import Estimate
from handful.report.cut_plot import CutCurve, cut_plot, standing_alone


def share(value):
    return Estimate(value, max(value - 0.1, 0.0), min(value + 0.1, 1.0), 10, "accuracy", "cv")


def curve(name="AnB <frozen>", cuts=(1, 4, 18)):
    return CutCurve(name, [(cut, share(0.5 + cut / 100)) for cut in cuts])


@pytest.mark.parametrize("n", [1, 2, 5])
def test_every_arm_is_named_and_dotted(n):
    svg = cut_plot([curve(f"arm {i}") for i in range(n)], base=share(0.9), keep=4)
    for i in range(n):
        assert f">arm {i}<" in svg and f"arm {i}: 1 blocks 51.0 % (41.0–61.0)" in svg
    assert "Advised: 4 blocks." in svg and "own network" in svg
    assert "var(--right)" in svg


def test_one_cut_alone_and_neither_base_nor_advice():
    svg = cut_plot([curve(cuts=(3,))])
    assert "Advised" not in svg and "own network" not in svg


def test_a_file_of_its_own_is_xml_with_colours():
    text = standing_alone(cut_plot([curve()]))
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg") and root.get("viewBox") == "0 0 720 400"
    assert "--right:#17608f" in text and "AnB &lt;frozen&gt;" in text


@pytest.mark.parametrize("n", [0, 6])
def test_the_number_of_curves_is_bounded(n):
    with pytest.raises(ValueError, match="1 to 5 curves"):
        cut_plot([curve()] * n)
