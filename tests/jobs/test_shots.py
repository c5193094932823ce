"""`episodes`: the table, the plot, what they rest on, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from handful.cli import main
from handful.core import Estimate, MeasureError, ProjectError
from handful.jobs import BackboneChoice, episodes

Maker = Callable[..., Path]
SMALL = BackboneChoice(size=32)


def test_table_and_plot_of_a_folder(digits: Maker) -> None:
    result = episodes(digits(12, classes="017"), shots=(5, 1), draws=20, backbone=SMALL, quiet=True)
    one, five = result.facts["labels"]
    assert (one["labels_a_class"], five["labels_a_class"]) == (1, 5)
    for name in result.facts["labels"][0]["methods"]:
        low, high = (Estimate.from_dict(r["methods"][name]["accuracy"]) for r in (one, five))
        assert low.value < high.value
        mean = Estimate.from_dict(five["methods"][name]["mean"])
        assert high.low <= mean.low <= mean.high <= high.high
    assert "5 labels a class would give" in result.sentence
    assert json.loads((result.folder / "episodes.json").read_text()) == result.facts
    plot = (result.folder / "labels.svg").read_text()
    assert ElementTree.fromstring(plot).tag.endswith("svg")
    assert ">linear_probe<" in plot


def test_the_same_seed_gives_the_same_and_the_test_split_is_never_seen(digits: Maker) -> None:
    folder = digits(8)
    first = episodes(folder, shots=(2,), draws=5, backbone=SMALL, quiet=True)
    for path in sorted((folder / "0").iterdir())[:2]:
        moved = folder / "test" / "0" / path.name
        moved.parent.mkdir(parents=True, exist_ok=True)
        path.rename(moved)
    other = episodes(folder, shots=(2,), draws=5, backbone=SMALL, quiet=True)
    again = episodes(folder, shots=(2,), draws=5, backbone=SMALL, quiet=True)
    assert (first.facts["images"], other.facts["images"]) == (16, 14)
    assert again.facts == other.facts and again.folder == other.folder != first.folder


def test_classes_with_too_few_images_are_told(digits: Maker) -> None:
    folder = digits(12, classes="017")
    for label, kept in (("0", 3), ("1", 1)):
        for path in sorted((folder / label).iterdir())[kept:]:
            path.unlink()
    result = episodes(
        folder, shots=(1, 5), draws=5, methods=["prototypes"], backbone=SMALL, quiet=True
    )
    said = " ".join(result.facts["warnings"])
    assert "a class needs two images that are no copies: '1'" in said
    assert "At 5 labels a class these gave half of their images instead: '0'" in said
    none = episodes(folder, shots=(12,), draws=5, methods=["ridge"], backbone=SMALL, quiet=True)
    assert none.sentence.startswith("Nothing can be measured: 2 of 2 classes have too few images")
    assert not (none.folder / "labels.svg").exists()


def test_one_class_and_strange_methods_are_refused(digits: Maker) -> None:
    with pytest.raises(MeasureError, match=r"need 2 classes\. Got 1: '0'"):
        episodes(digits(4, classes="0"), backbone=SMALL, quiet=True)
    with pytest.raises(ProjectError, match=r"No method 'protypes' \(did you mean 'prototypes'\?\)"):
        episodes(digits(4), methods=["protypes"], backbone=SMALL, quiet=True)
    with pytest.raises(ProjectError, match=r"at least 2 draws\. Got \[0\] and 5"):
        episodes(digits(4), shots=[0], draws=5, backbone=SMALL, quiet=True)


def test_the_command_prints_a_table_or_json(digits: Maker) -> None:
    folder = str(digits(8))
    shared = ["episodes", folder, "--size", "32", "--labels", "1,4", "--draws", "4", "-q"]
    table = CliRunner().invoke(main, [*shared, "--method", "ridge", "--method", "soft_kmeans"])
    assert table.exit_code == 0, table.output
    lines = table.stdout.splitlines()
    assert lines[0].split() == ["labels", "a", "class", "1", "4"]
    assert lines[1].startswith("ridge ") and lines[2].startswith("soft_kmeans ")
    assert "! Transductive" in table.stdout and "labels.svg" in table.stdout
    values = json.loads(CliRunner().invoke(main, [*shared, "--json"]).stdout)
    assert [row["labels_a_class"] for row in values["labels"]] == [1, 4]
    wrong = CliRunner().invoke(main, ["episodes", folder, "--labels", "1,x"])
    assert wrong.exit_code == 2 and "such as 1,2,5,10,20" in wrong.output
