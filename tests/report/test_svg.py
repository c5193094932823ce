import subprocess
import sys
import warnings
from xml.etree import ElementTree

import pytest

from handful.report.svg import INK, RIGHT, drawn, stand_in

HOSTILE = [
    ("<script>alert(1)</script>", 40),
    ("$\\frac{1}{2}$", 40),
    ("狐\x00\udce9", 40),
    ("x" * 99, 9),
]


def draw_names(figure):
    for i in range(len(HOSTILE)):
        figure.text(0.1, 0.2 * i, stand_in(i), color=INK)
    figure.add_axes((0.1, 0.1, 0.8, 0.8)).plot([0, 1], [0, 1], "o", color=RIGHT)


def texts(svg):
    root = ElementTree.fromstring(svg)
    return [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]


def test_names_are_text_whatever_they_hold():
    svg = drawn(draw_names, (300, 200), title="a <title>", names=HOSTILE)
    assert texts(svg)[-4:] == [
        "<script>alert(1)</script>",
        "$\\frac{1}{2}$",
        "狐\\x00\\xe9",
        "xxxx…xxxx",
    ]
    assert "<script" not in svg and "x" * 99 in svg
    assert ElementTree.fromstring(svg).get("aria-label") == "a <title>"


def test_colours_and_fonts_are_the_page_s():
    svg = drawn(draw_names, (300, 200), title="t", names=HOSTILE)
    assert "var(--ink)" in svg and "var(--right)" in svg
    assert "#00000" not in svg and "font-family" not in svg and "<style" not in svg


def test_the_same_drawing_is_the_same_text():
    first, second = (drawn(draw_names, (300, 200), title="t", names=HOSTILE) for _ in range(2))
    assert first == second
    assert "<metadata" not in first and "date" not in first


def test_settings_of_the_user_neither_matter_nor_change():
    import matplotlib

    first = drawn(draw_names, (300, 200), title="t", names=HOSTILE)
    with matplotlib.rc_context({"font.size": 40, "text.usetex": True, "axes.grid": True}):
        assert drawn(draw_names, (300, 200), title="t", names=HOSTILE) == first
        assert matplotlib.rcParams["font.size"] == 40


def test_warnings_of_fonts_stay_inside():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(lambda figure: figure.text(0.5, 0.5, "狐"), (100, 100), title="t")


@pytest.mark.slow
def test_importing_the_room_leaves_matplotlib_out():
    code = "import sys, handful.report; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_pyplot_is_never_imported():
    code = (
        "import sys; from handful.report.svg import drawn;"
        "drawn(lambda f: f.add_axes((0, 0, 1, 1)), (9, 9), title='t');"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
