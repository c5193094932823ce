"""Distilling a model file: what is learnt, what is measured, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

from handful import BackboneChoice, Bundle, fit
from handful.adapt import Held
from handful.backbones import load_saved
from handful.core import AdaptError
from handful.jobs import Budget, Distillation, DistilResult, Hardware, distil

Maker = Callable[..., Path]
pytestmark = pytest.mark.slow


def as_test(folder: Path, label: str, n: int) -> None:
    for path in sorted((folder / label).iterdir())[-n:]:
        place = folder / "test" / label / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)


def teacher_of(folder: Path) -> Path:
    path = folder.parent / "teacher.handful"
    fit(folder, path, method="prototypes", backbone=BackboneChoice(size=64), quiet=True)
    return path


def run(folder: Path, teacher: Path, *args: Any, state: Path | None = None, **own: Any) -> DistilResult:  # fmt: skip
    given = {"student": "efficientnet_lite0#5", "size": 32, "batch_size": 8, "hardware": Hardware("cpu"),
             "budget": Budget(80, "images"), **own}  # fmt: skip
    return distil(folder, teacher, *args, settings=Distillation(**given), project_dir=state, quiet=True)  # fmt: skip


@pytest.fixture
def split(digits: Maker) -> Path:
    folder = digits(12, classes="01", unlabelled=20)
    for label in "01":
        as_test(folder, label, 6)
    return folder


def test_a_student_is_measured_where_neither_learnt_and_ends_as_a_model_file(split: Path) -> None:
    teacher = teacher_of(split)
    output = split.parent / "student.handful"
    result = run(split, teacher, output)
    facts = result.facts
    assert facts["gain"]["n"] == facts["before"]["n"] == facts["after"]["n"] == 12
    assert facts["agreement"]["n"] == facts["unlabelled"]["held"] == 4
    assert facts["student"]["weights"] < facts["teacher"]["weights"] / 4
    assert facts["student"]["side"] == 32 and facts["teacher"]["side"] == 64
    student = Bundle.load(output)
    tested = sorted((split / "test").rglob("*.png"))
    said = [answer for _, answer in student.predict(tested)]
    right = np.mean([answer.label == path.parent.name for answer, path in zip(said, tested, strict=True)])  # type: ignore[union-attr]  # fmt: skip
    assert right == pytest.approx(facts["after"]["value"])
    learnt = json.loads((result.folder / "images.json").read_text())
    assert len(learnt["labelled"]) == 12 and not set(learnt["labelled"]) & set(learnt["unlabelled"])
    assert load_saved(result.folder).spec.saw_labels_of == set(learnt["labelled"])
    assert "images a second" in result.sentence
    report = fit(split, output, backbone=BackboneChoice(str(result.folder)), quiet=True).report
    assert report["accuracy"]["value"] is None and report["test"]["n"] == 12


def test_a_run_that_was_stopped_ends_bit_equal(
    split: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = teacher_of(split)
    whole = run(split, teacher, state=tmp_path / "whole")
    look, calls = Held.__call__, []

    def stop(self: Held, method: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return look(self, method)

    with monkeypatch.context() as patch:
        patch.setattr(Held, "__call__", stop)
        with pytest.raises(KeyboardInterrupt):
            run(split, teacher, state=tmp_path / "stopped")
    again = run(split, teacher, state=tmp_path / "stopped")
    names = ("network.safetensors", "backbone.onnx")
    for name in names:
        assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert again.facts["after"] == whole.facts["after"]


def test_what_cannot_be_measured_is_said(split: Path, digits: Maker) -> None:
    late = digits(8, classes="01", unlabelled=10, name="late")
    teacher = teacher_of(late)
    for label in "01":
        as_test(late, label, 3)
    result = run(late, teacher)
    assert result.facts["gain"]["value"] is None
    assert "Fit it again" in result.sentence
    assert Bundle.load(result.bundle).info["accuracy"]["value"] is None
    shutil.rmtree(late / "test")
    assert "test/CLASS" in run(late, teacher).sentence


def test_a_folder_without_any_label_is_learnt_from_the_teacher_alone(
    split: Path, digits: Maker
) -> None:
    teacher = teacher_of(split)
    bare = digits(0, classes="01", unlabelled=12, name="bare")
    facts = run(bare, teacher).facts
    assert facts["recipe"]["labelled_share"] is None
    assert facts["gain"]["value"] is None and facts["agreement"]["n"] == 2


def test_what_cannot_be_learnt_is_one_message(split: Path, digits: Maker) -> None:
    teacher = teacher_of(split)
    more = digits(3, classes="012", unlabelled=3, name="more")
    with pytest.raises(AdaptError, match="labels of others: '2'"):
        run(more, teacher)
    with pytest.raises(AdaptError, match="no unlabelled image"):
        run(digits(4, classes="01", name="none"), teacher)
    with pytest.raises(AdaptError, match="sure of none of 36 unlabelled images"):
        run(split, teacher, options={"threshold": 0.9999, "temperature": 4.0})
    with pytest.raises(AdaptError, match="'threshold' must be in"):
        run(split, teacher, options={"threshold": 2.0})


def test_a_teacher_of_a_crop_teaches_what_it_saw(split: Path) -> None:
    path = split.parent / "cropped.handful"
    choice = BackboneChoice(size=64, crop=(0.1, 0.1, 0.9, 0.9))
    fit(split, path, method="prototypes", backbone=choice, quiet=True)
    result = run(split, path)
    assert Bundle.load(result.bundle).preprocess.crop == (0.1, 0.1, 0.9, 0.9)
