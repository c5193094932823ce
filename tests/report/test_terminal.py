import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from handful.report import summary_table


def printed(report, width=100):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(summary_table(report))
    return console.file.getvalue()


def test_table_headline_and_what_is_next(report):
    lines = printed(report(3)).splitlines()
    assert lines[0].split() == ["method", "accuracy", "interval", "time"]
    assert lines[2].split() == [
        "probe",
        "←",
        "chosen",
        "80.0",
        "%",
        "75.0–85.0",
        "%",
        "1",
        "min",
        "15",
        "s",
    ]
    assert any(line.startswith("80 %: Of 100 new images") for line in lines[3:6])
    assert any(line.startswith("→ Look at 1 image") for line in lines)


@pytest.mark.parametrize("n_classes", [0, 1, 2, 30])
@pytest.mark.parametrize("known", [True, False])
def test_at_most_six_lines_follow(report, n_classes, known):
    marks = [
        line
        for line in printed(report(n_classes, known=known), 500).splitlines()
        if line[:2] in {"! ", "· ", "→ "}
    ]
    assert 1 <= len(marks) <= 6


def test_nothing_is_no_error():
    assert "No labels yet" in printed({})


def test_names_are_not_markup(report):
    hostile = report(2)
    hostile["methods"][0]["name"] = "[red]x[/red]\x1b[31m"
    hostile["mislabelled"][0]["label"] = "[bold]"
    text = printed(hostile)
    assert "[red]x[/red]\\x1b[31m" in text and "[bold]" in text and "\x1b" not in text


@given(st.text(st.characters(exclude_categories=())))
def test_any_name_prints(name):
    report = {"methods": [{"name": name}], "uncertain": [{"name": name, "prediction": name}]}
    printed(report).encode("utf-8")
