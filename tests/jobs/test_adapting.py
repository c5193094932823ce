from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

from handful import BackboneChoice, fit
from handful.backbones import load_saved
from handful.core import AdaptError, BackboneError, ProjectError
from handful.jobs import (
    Adaptation,
    AdaptResult,
    Budget,
    Hardware,
    adapt,
    adapting,
    check_images,
)

Maker = Callable[..., Path]
SMALL = BackboneChoice(size=32)
pytestmark = pytest.mark.slow


def run(
    method: str, folder: Path, *, images: int = 32, folds: int = 1, **options: Any
) -> AdaptResult:
    settings = Adaptation(
        folds=folds,
        budget=Budget(images, "images"),
        train_size=32,
        batch_size=8,
        hardware=Hardware("cpu"),
        **options,
    )
    return adapt(method, folder, backbone=SMALL, settings=settings, quiet=True)


def test_a_copy_of_another_split_is_not_used_again(tmp_path: Path) -> None:
    fold = tmp_path / "fold-1"
    adapting._of_this_split(fold, ["a", "b"])
    (fold / "backbone.onnx").write_bytes(b"weights")
    adapting._of_this_split(fold, ["a", "b"])
    assert (fold / "backbone.onnx").is_file()
    adapting._of_this_split(fold, ["a", "c"])  # a pair of copies was found since
    assert not (fold / "backbone.onnx").is_file()


def test_fine_tuning_is_measured_on_labels_it_did_not_see_and_fitted(digits: Maker) -> None:
    folder = digits(8, classes="012", unlabelled=2)
    result = run("finetune", folder, anyway=True)
    facts = result.facts
    assert facts["gain"]["n"] == len(facts["folds"][0]["held_out"])
    assert result.better == (facts["gain"]["value"] > 0)
    final, fold = load_saved(result.folder), load_saved(result.folder / "fold-1")
    assert len(final.spec.saw_labels_of) == 24
    assert not fold.spec.saw_labels_of & set(facts["folds"][0]["held_out"])
    fitted = fit(
        folder, folder.parent / "m", backbone=BackboneChoice(str(result.folder)), quiet=True
    )
    report = fitted.report
    assert report["adapted"]["gain"] == facts["gain"]
    assert report["accuracy"]["n"] <= len(facts["folds"][0]["held_out"])
    assert report["learning_curve"] == []
    page = fitted.report_html.read_text(encoding="utf-8")
    assert "What adapting brought" in page
    with pytest.raises(AdaptError, match="trained on labels of this folder"):
        adapt("finetune", folder, backbone=BackboneChoice(str(result.folder)), quiet=True)
    shutil.rmtree(result.folder / "fold-1")
    with pytest.raises(BackboneError):
        fit(folder, folder.parent / "m", backbone=BackboneChoice(str(result.folder)), quiet=True)


def test_the_test_split_is_never_seen_and_new_labels_are_tested(digits: Maker) -> None:
    root = digits(9, classes="01", name="parts")
    for label in "01":
        for number, path in enumerate(sorted((root / label).iterdir())):
            place = root / ("test" if number > 5 else "train") / label / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
        (root / label).rmdir()
    result = run("finetune", root, anyway=True)
    saw = load_saved(result.folder).spec.saw_labels_of
    assert len(saw) == 12
    report = fit(
        root, root.parent / "m", backbone=BackboneChoice(str(result.folder)), quiet=True
    ).report
    assert report["test"]["n"] == 6


def test_worse_is_refused_and_kept_when_asked_for(
    digits: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = digits(6, classes="012")
    from handful.core import Estimate
    from handful.jobs import adapting
    from handful.measure import BeforeAfter

    worse = Estimate(-0.1, -0.2, 0.1, 5, "gain", "test")
    monkeypatch.setattr(adapting, "before_after", lambda *_, **__: BeforeAfter(worse, worse, worse))
    unlabelled = run("instance", digits(10, classes="0123", name="more"))
    assert "refused" in unlabelled.sentence
    assert not (unlabelled.folder / "backbone.json").exists()
    result = run("finetune", folder)
    assert result.better is False
    assert "refused" in result.sentence
    assert not (result.folder / "backbone.json").exists()
    with pytest.raises(BackboneError, match="no better"):
        fit(folder, folder.parent / "m", backbone=BackboneChoice(str(result.folder)), quiet=True)
    kept = run("finetune", folder, anyway=True)
    assert kept.folder == result.folder
    assert (kept.folder / "backbone.json").exists()


@pytest.mark.parametrize("method", ["rotation", "masked", "contrastive", "predictive", "instance"])
def test_methods_without_labels_use_every_image(method: str, digits: Maker) -> None:
    folder = digits(8, classes="012", unlabelled=6)
    result = run(method, folder, anyway=True)
    spec = load_saved(result.folder).spec
    assert spec.saw_labels_of == frozenset()
    assert "42 images" in spec.pretrained_on
    assert result.facts["gain"]["n"] == 24
    report = fit(
        folder, folder.parent / "m", backbone=BackboneChoice(str(result.folder)), quiet=True
    ).report
    assert report["learning_curve"]
    np.testing.assert_allclose(report["adapted"]["gain"]["value"], result.facts["gain"]["value"])


def test_from_scratch_it_is_compared_with_the_packaged_backbone(digits: Maker) -> None:
    result = run("instance", digits(8, classes="012", unlabelled=6), scratch=True, anyway=True)
    assert result.facts["origin"]["name"] == "efficientnet_lite0"
    assert load_saved(result.folder).spec.pretrained_on.startswith("42 images")


def test_without_augmentation_frozen_blocks_are_computed_once(digits: Maker) -> None:
    folder = digits(6, classes="012")
    own = {"train": "last:1", "scale": 1.0, "flip": False}
    result = run("finetune", folder, options=own, anyway=True)
    assert result.facts["kept"]
    assert not (result.folder / "pixels").exists()


def test_a_finished_run_is_not_done_again(digits: Maker) -> None:
    folder = digits(8, classes="012")
    first = run("finetune", folder)
    times = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    assert run("finetune", folder).facts == first.facts
    assert {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")} == times


def test_too_little_to_learn_from_is_one_message(digits: Maker) -> None:
    few = digits(5, classes="01")
    with pytest.raises(AdaptError, match="10 images are too few"):
        run("contrastive", few)
    with pytest.raises(AdaptError, match="two classes"):
        run("finetune", digits(4, classes="0", name="one"))
    with pytest.raises(ProjectError, match="has a label"):
        run("finetune", digits(0, classes="01", unlabelled=4, name="none"))
    with pytest.raises(AdaptError, match="too small for one step"):
        run("finetune", few, images=8)
    with pytest.raises(AdaptError, match="tiles"):
        adapt("finetune", few, backbone=BackboneChoice(tiles=2), quiet=True)
    with pytest.raises(ValueError, match="did you mean 'finetune'"):
        adapt("finetun", few, quiet=True)


def test_a_class_with_one_image_stays_in_training(digits: Maker) -> None:
    folder = digits(6, classes="01")
    for extra in sorted((folder / "1").iterdir())[1:]:
        extra.unlink()
    result = run("finetune", folder, anyway=True)
    assert len(load_saved(result.folder / "fold-1").spec.saw_labels_of) < 7


def test_pretext_verdicts_are_given(digits: Maker) -> None:
    verdicts = check_images(digits(12, classes="0123"), backbone=SMALL, quiet=True)
    assert [verdict.what for verdict in verdicts] == ["rotation", "colour", "crops"]
    assert all(verdict.value.is_measured for verdict in verdicts)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("method", ["finetune", "contrastive", "consistency"])
def test_kill_9_at_random_moments_ends_bit_equal(
    method: str, digits: Maker, tmp_path: Path
) -> None:
    whole, part = (
        digits(8, classes="012", unlabelled=4, name="a"),
        digits(8, classes="012", unlabelled=4, name="b"),
    )
    script = (
        "import sys; import torch; torch.set_num_threads(1); import handful.adapt.loop as loop\n"
        "loop._CHECKPOINT_SECONDS = 0.0\n"
        "from handful.cli import main\nmain()"
    )
    command = [sys.executable, "-c", script, "adapt", method]
    options = ["--size", "32", "--train-size", "32", "--batch-size", "4", "--budget", "120images",
               "--device", "cpu", "--anyway", "-q"]  # fmt: skip
    if method != "contrastive":
        options += ["--folds", "1"]
    subprocess.run([*command, str(whole), *options], check=True, stdout=subprocess.DEVNULL)
    random, killed = np.random.default_rng(), 0
    for _ in range(4):
        process = subprocess.Popen([*command, str(part), *options], stdout=subprocess.DEVNULL)
        try:
            process.wait(random.uniform(5, 20))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
    subprocess.run([*command, str(part), *options], check=True, stdout=subprocess.DEVNULL)
    assert killed
    (a,), (b,) = (list((f / ".handful/runs").glob("adapt-*")) for f in (whole, part))
    for name in ("network.safetensors", "backbone.onnx"):
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    facts = [json.loads((folder / "adapt.json").read_text()) for folder in (a, b)]
    assert facts[0]["gain"] == facts[1]["gain"]
