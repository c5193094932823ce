from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image as Pillow

from handful.cli import main
from handful.core import ProjectError
from handful.jobs import BackboneChoice, as_label_studio, import_labels, next_images, status
from handful.project import LabelEvent, Project

Maker = Callable[..., Path]
SMALL = BackboneChoice(size=32)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


def test_asks_for_unlabelled_images_with_suggestions(digits: Maker) -> None:
    folder = digits(6, unlabelled=10)
    found = next_images(folder, 5, backbone=SMALL, quiet=True)
    assert len({question.image.hash for question in found}) == 5
    assert all(question.image.label is None for question in found)
    assert {question.suggestion for question in found} <= {"0", "1"}
    assert all(0.5 <= (question.probability or 0) <= 1 for question in found)
    assert all("unsure" in question.why and question.q is None for question in found)


def test_works_without_any_label(digits: Maker) -> None:
    folder = digits(0, unlabelled=12)
    found = next_images(folder, 4, backbone=SMALL, quiet=True)
    assert len(found) == 4
    assert all(q.suggestion is None and q.probability is None for q in found)
    assert "typical" in found[0].why


def test_random_says_with_what_probability(digits: Maker) -> None:
    folder = digits(2, unlabelled=5)
    found = next_images(folder, 3, strategy="random", backbone=SMALL, quiet=True)
    assert [question.q for question in found] == [1 / 10, 1 / 9, 1 / 8]


def test_leaves_out_what_a_person_could_not_tell(digits: Maker) -> None:
    folder = digits(2, unlabelled=3)
    first = next_images(folder, 9, backbone=SMALL, quiet=True)
    with Project.open(folder) as project:
        project.labels.add([LabelEvent(first[0].image.hash, None, "unsure")])
    second = next_images(folder, 9, backbone=SMALL, quiet=True)
    assert {q.image.hash for q in first} - {q.image.hash for q in second} == {first[0].image.hash}


def test_nothing_left_and_no_such_strategy_are_one_message(digits: Maker) -> None:
    folder = digits(2)
    with pytest.raises(ProjectError, match=r"Every image in .* has a label\. Add images, or fit"):
        next_images(folder, backbone=SMALL, quiet=True)
    with pytest.raises(ProjectError, match=r"No strategy 'magin' .did you mean 'margin'"):
        next_images(folder, strategy="magin", backbone=SMALL, quiet=True)


def test_label_studio_round_trip(digits: Maker, tmp_path: Path) -> None:
    """Tasks out, predictions accepted as annotations in Label Studio, export, import."""
    folder = digits(4, unlabelled=8)
    done = run("next", folder, "-n", 6, "--size", 32, "--format", "label-studio", "-q")
    tasks = json.loads(done.stdout)
    assert len(tasks) == 6
    for number, task in enumerate(tasks):
        (said,) = task["predictions"]
        assert said["model_version"] == "handful default" and 0.5 <= said["score"] <= 1
        task["id"] = number
        task["data"]["image"] = f"/data/upload/1/{number}-{Path(task['data']['name']).name}"
        task["annotations"] = [{"result": said["result"], "completed_by": 1}]
    export = tmp_path / "export.json"
    export.write_text(json.dumps(tasks))
    report = import_labels(folder, export)
    assert report.labelled == 6
    with Project.open(folder) as project:
        labels = {image.hash: image.label for image in project.images()}
    for task in tasks:
        (choice,) = task["predictions"][0]["result"][0]["value"]["choices"]
        assert labels[task["data"]["handful"]] == choice
    assert status(folder, quiet=True)["unlabelled"] == 10
    asked = next_images(folder, 99, backbone=SMALL, quiet=True)
    assert not {q.image.hash for q in asked} & {task["data"]["handful"] for task in tasks}


def test_tasks_without_a_model_have_no_predictions(digits: Maker) -> None:
    found = next_images(digits(0, unlabelled=6), 3, backbone=SMALL, quiet=True)
    assert all("predictions" not in task for task in as_label_studio(found, "default"))


def test_every_format_says_the_same(digits: Maker) -> None:
    folder = digits(3, unlabelled=6)
    arguments = ("next", folder, "-n", 3, "--size", 32, "-q")
    rows = json.loads(run(*arguments, "--json").stdout)
    assert list(rows[0]) == ["path", "suggestion", "probability", "q", "why"]
    table = list(csv.DictReader(io.StringIO(run(*arguments, "--format", "csv").stdout)))
    assert [row["path"] for row in table] == [row["path"] for row in rows]
    assert [row["q"] for row in table] == [""] * 3
    printed = run(*arguments).stdout
    assert all(row["path"] in printed for row in rows)
    assert "Why these: the model is unsure" in printed


def test_the_table_with_a_column_of_labels_comes_back(digits: Maker, tmp_path: Path) -> None:
    folder = digits(3, unlabelled=6)
    lines = run("next", folder, "-n", 4, "--size", 32, "-q", "--format", "csv").stdout.splitlines()
    file = tmp_path / "next.csv"
    file.write_text("\n".join([f"{lines[0]},label", *(f"{line},1" for line in lines[1:])]))
    assert import_labels(folder, file).labelled == 4


def test_copies_of_labelled_images_and_of_picks_are_not_asked_for(digits: Maker) -> None:
    folder = digits(3, unlabelled=12)
    originals = [*sorted((folder / "unlabelled").iterdir())[:3], *sorted((folder / "0").iterdir())]
    for path in originals:  # another file, the same picture
        Pillow.open(path).resize((48, 48)).save(folder / "unlabelled" / f"copy-{path.stem}.png")
    found = next_images(folder, 99, backbone=SMALL, quiet=True)
    names = {question.image.path.stem.removeprefix("copy-") for question in found}
    assert len(found) == len(names) == 24
    assert not names & {path.stem for path in (folder / "0").iterdir()}
    drawn = next_images(folder, 99, strategy="random", backbone=SMALL, quiet=True)
    assert len(drawn) == 24 + len(originals)
