"""Adapting with labels and unlabelled images: what is learnt from, what is measured, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the train extra")

from handful import BackboneChoice, fit
from handful.adapt import load_network, save_network
from handful.backbones import load_saved
from handful.core import AdaptError
from handful.jobs import Adaptation, AdaptResult, Budget, Hardware, adapt
from handful.jobs.semisupervised import TrainingPool, noted
from handful.project import Image as ProjectImage

Maker = Callable[..., Path]
SMALL = BackboneChoice(size=32)
pytestmark = pytest.mark.slow


def run(method: str, folder: Path, **options: Any) -> AdaptResult:
    kept = {
        "anyway": options.pop("anyway", True),
        "hardware": options.pop("hardware", Hardware("cpu")),
    }
    settings = Adaptation(
        folds=1, budget=Budget(32, "images"), train_size=32, batch_size=8, options=options, **kept
    )
    return adapt(method, folder, backbone=SMALL, settings=settings, quiet=True)


def content_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "images.json").read_text())


@pytest.mark.parametrize("method", ["consistency", "noisy-student"])
def test_unlabelled_images_are_learnt_and_labels_held_out(method: str, digits: Maker) -> None:
    folder = digits(8, classes="012", unlabelled=5)
    result = run(method, folder)
    facts, final = result.facts, load_saved(result.folder)
    held = set(facts["folds"][0]["held_out"])
    assert facts["gain"]["n"] == len(held) == 6
    assert facts["unlabelled"]["unlabelled"] == 15 and facts["unlabelled"]["left_out"] == 0
    assert 0 <= facts["unlabelled"]["never_confident"] <= 15
    whole, fold = content_of(result.folder), content_of(result.folder / "fold-1")
    assert final.spec.saw_labels_of == set(whole["labelled"]) and len(whole["labelled"]) == 24
    assert not held & ({*fold["labelled"], *fold["unlabelled"]})
    assert len(fold["labelled"]) == 18 and len(fold["unlabelled"]) == 15
    assert load_saved(result.folder / "fold-1").spec.saw_labels_of == set(fold["labelled"])
    bundle = folder.parent / "m"
    fitted = fit(folder, bundle, backbone=BackboneChoice(str(result.folder)), quiet=True)
    assert fitted.report["adapted"]["gain"] == facts["gain"]
    assert "What adapting brought" in fitted.report_html.read_text(encoding="utf-8")
    if method == "consistency":
        for path in sorted(
            (folder / "unlabelled").iterdir()
        ):  # labelled since: what the run guessed of them is in it
            path.rename(folder / "1" / path.name)
        report = fit(folder, bundle, backbone=BackboneChoice(str(result.folder)), quiet=True).report
        assert report["accuracy"]["n"] <= len(held)
    else:
        lines = (result.folder / "pseudo_labels.jsonl").read_text().splitlines()
        assert {json.loads(line)["image"] for line in lines} == set(whole["unlabelled"])
        assert {json.loads(line)["class"] for line in lines} <= set("012")


def test_what_tests_and_copies_of_it_are_in_no_pool(digits: Maker) -> None:
    root = digits(6, classes="01", unlabelled=4, name="parts")
    for label in "01":
        first, *_, last = sorted((root / label).iterdir())
        place = root / "test" / label / last.name
        place.parent.mkdir(parents=True)
        last.rename(place)
        for source, name in ((place, f"of-test-{label}"), (first, f"of-label-{label}")):
            picture = Image.open(source).convert("RGB").resize((62, 62), Image.Resampling.BICUBIC)
            picture.save(root / "unlabelled" / f"{name}.jpg", quality=90)
    (root / "test" / "unlabelled").mkdir()
    moved = sorted((root / "unlabelled").glob("digit*"))[0]
    moved.rename(root / "test" / "unlabelled" / moved.name)
    result = run("consistency", root, variant="fixmatch")
    assert result.facts["unlabelled"]["unlabelled"] == 7  # 8 less the one in the test split
    assert result.facts["unlabelled"]["left_out"] == 4
    assert len(content_of(result.folder)["unlabelled"]) == 7


def test_a_student_is_at_least_as_large_as_its_teacher(digits: Maker) -> None:
    folder = digits(6, classes="01", unlabelled=4)
    small, same = (folder.parent / f"{name}.safetensors" for name in ("small", "same"))
    save_network(load_network("timm:test_efficientnet", scratch=True), small)
    save_network(load_network(preprocess={"size": 40}), same)
    with pytest.raises(AdaptError, match="at least as large"):
        run("noisy-student", folder, student=str(small))
    result = run("noisy-student", folder, student=str(same), generations=2)
    assert load_saved(result.folder).spec.preprocess.size == 40
    assert len(result.facts["unlabelled"]["accuracies"]) in (2, 3)


def test_images_of_a_group_with_a_held_out_label_stay_out() -> None:
    def image(name: str, group: str | None) -> ProjectImage:
        return ProjectImage(name, Path(name), name, (Path(name),), group=group)

    labelled = [image("a", "g"), image("b", None), image("c", "h")]
    pool = TrainingPool([image("d", None), image("e", "g"), image("f", "h")], labelled, 0)
    assert pool.joined(np.array([0, 1, 2])).tolist() == [0, 1, 2, 3, 4, 5]
    assert pool.joined(np.array([1, 2])).tolist() == [1, 2, 3, 5]
    with pytest.raises(AdaptError, match="held out"):
        TrainingPool(pool.images[1:], labelled, 0).joined(np.array([1]))


def test_a_training_that_goes_on_never_draws_its_images_anew(tmp_path: Path) -> None:
    images = [ProjectImage(name, Path(name), name, (Path(name),)) for name in "abcd"]
    codes = np.array([0, 1, -1, -1])
    assert noted(tmp_path, images, codes, np.array([0, 1, 3])).tolist() == [0, 1, 3]
    assert noted(tmp_path, images, codes, np.array([0, 1, 2, 3])).tolist() == [0, 1, 3]
    with pytest.raises(AdaptError, match=r"'d' .* is gone"):
        noted(tmp_path, images[:3], codes, np.array([0, 1]))


def test_bad_input_is_one_message(digits: Maker) -> None:
    with pytest.raises(AdaptError, match="no unlabelled image"):
        run("consistency", digits(4, classes="01", name="no-pool"))
    with pytest.raises(AdaptError, match="two classes"):
        run("noisy-student", digits(4, classes="0", unlabelled=4, name="one-class"))
    folder = digits(4, classes="01", unlabelled=4, name="bad")
    with pytest.raises(AdaptError, match="did you mean 'softmatch'"):
        run("consistency", folder, variant="softmach")
    with pytest.raises(AdaptError, match="share of labelled images"):
        run("consistency", folder, labelled_share=1.5)
    with pytest.raises(AdaptError, match="'dropout'"):
        run("noisy-student", folder, dropout=1.0)
    with pytest.raises(AdaptError, match="one device"):
        run("consistency", folder, hardware=Hardware("cpu", 2))
    for path in sorted((folder / "1").iterdir())[1:]:
        path.unlink()
    with pytest.raises(AdaptError, match=r"two labels a class.*'1'"):
        run("noisy-student", folder)


def test_a_pool_of_copies_alone_is_refused(digits: Maker) -> None:
    folder = digits(3, classes="01")
    (folder / "unlabelled").mkdir()
    source = sorted((folder / "0").iterdir())[0]
    picture = Image.open(source).convert("RGB").resize((62, 62), Image.Resampling.BICUBIC)
    picture.save(folder / "unlabelled" / "copy.jpg", quality=90)
    with pytest.raises(AdaptError, match="are copies of labelled"):
        run("consistency", folder)
