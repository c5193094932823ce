from __future__ import annotations

import io
import json
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from handful.core import ImageError, ProjectError


def test_a_folder_that_is_not_there(tmp_path, pixels):
    with pytest.raises(ProjectError, match="There is no folder"):
        pixels.session(tmp_path / "nowhere")


def test_a_folder_without_images_is_told_on_the_page(tmp_path, pixels, wait):
    (tmp_path / "empty").mkdir()
    with pixels.session(tmp_path / "empty") as labelling:
        wait(lambda: labelling.state("")["stage"] == "failed")
        assert "no image" in labelling.state("")["message"].lower()
        assert labelling.screens("", "tab", "auto", 3) == []


def test_a_damaged_image_is_left_out(tmp_path, digits_folder, pixels, wait):
    folder = shutil.copytree(digits_folder, tmp_path / "some", ignore=shutil.ignore_patterns(".*"))
    (folder / "damaged.png").write_bytes((folder / "digit-0-0000.png").read_bytes()[:60])
    with pixels.session(folder) as labelling:
        wait(lambda: labelling.state("")["stage"] == "done")
        assert labelling.state("")["ready"] == 120
        assert [bad.name for bad in labelling.project.unusable()] == ["damaged.png"]


def test_a_picture_is_the_content_that_the_label_belongs_to(tmp_path, digits_folder, pixels, wait):
    folder = shutil.copytree(digits_folder, tmp_path / "some", ignore=shutil.ignore_patterns(".*"))
    with pixels.session(folder) as labelling:
        wait(lambda: labelling.state("")["stage"] == "done")
        image, other, third = labelling.queue.pool.images[:3]
        content, kind = labelling.picture(image.hash, 192)
        assert kind == "image/png"
        assert Image.open(io.BytesIO(content)).size == (64, 64)
        other.path.write_bytes(image.path.read_bytes())
        with pytest.raises(FileNotFoundError, match="was changed"):
            labelling.picture(other.hash, 192)
        twin = folder / "twin.png"
        third.path.rename(twin)
        with pytest.raises(FileNotFoundError):
            labelling.picture(third.hash, 192)


@pytest.mark.parametrize(("image", "side"), [("../../etc/passwd", 192), ("00" * 16, 192), ("", 1)])
def test_there_is_no_other_picture(opened, image, side):
    with pytest.raises(LookupError):
        opened.picture(image, side)


def test_a_picture_of_an_image_that_cannot_be_decoded(opened, monkeypatch):
    from handful.jobs.labelling import pictures

    image = opened.queue.pool.images[0]

    def broken(*_, **__):
        raise ImageError("The file ends too early.")

    monkeypatch.setattr(pictures, "thumbnail", broken)
    with pytest.raises(ImageError, match="too early"):
        opened.picture(image.hash, 192)
    assert image.hash in opened.queue.missing


def test_pictures_are_kept_up_to_a_size(opened):
    from handful.jobs.labelling.pictures import Pictures

    pictures = Pictures(kept=20_000)
    for image in opened.queue.pool.images[:20]:
        first = pictures.get(image, 192, None)
        assert pictures.get(image, 192, None) is first
    assert pictures._size <= 20_000
    assert len(pictures._copies) < 20


def test_the_state_is_json(opened, ann):
    ann.label(12)
    state = json.loads(json.dumps(opened.state("Ann"), allow_nan=False))
    assert state["labelled"] == 12
    assert state["images"] == state["ready"] == 120
    assert state["pace"] > 0
    assert sum(n for _, n in state["classes"]) == 12


def test_the_accuracy_is_measured_on_audits_that_no_model_learnt_from(start, person, wait, pixels):
    with start("Ann") as labelling:
        ann = person(labelling)
        ann.label(120, mode="single")
        wait(lambda: labelling.state("Ann")["progress"]["points"])
        audits = labelling.ledger.audits
        assert len(audits) == sum(labelling.queue.pool.is_reserved)
        wait(lambda: labelling.queue.model.n_labels == 120 - len(audits))
        labels, value, low, high, n = labelling.state("Ann")["progress"]["points"][-1]
        assert n >= 5
        assert labels <= 120
        assert low <= value <= high
    with start("Ann") as labelling:
        assert labelling.state("Ann")["progress"]["points"][-1][:2] == [labels, value]


def test_copies_of_audits_are_not_learnt_from(opened, ann):
    from handful.jobs.labelling.training import lesson

    ann.label(40)
    pool, ledger = opened.queue.pool, opened.ledger
    learnt = lesson(pool, ledger, set()).rows
    copy = pool.images[learnt[0]].hash
    what = lesson(pool, ledger, {copy, *ledger.audits})
    assert learnt[0] not in what.rows
    assert learnt[0] in what.closed
    assert {pool.images[row].hash for row in what.audits} == ledger.audits


def test_it_trains_after_some_labels_or_some_seconds(opened, ann, wait, monkeypatch):
    from handful.jobs.labelling import session

    wait(lambda: not opened.queue.is_low())
    ann.label(12)
    wait(lambda: opened.queue.model.number == 1)
    assert opened.queue.model.n_labels >= 8
    monkeypatch.setattr(session, "AFTER", 0.0)
    ann.label(1)
    wait(lambda: opened.queue.model.number >= 2)


def test_a_training_that_fails_does_not_end_all_training(opened, ann, wait, monkeypatch, caplog):
    from handful.jobs.labelling import session

    def broken(*_):
        raise ValueError("not foreseen")

    with monkeypatch.context() as patched:
        patched.setattr(session, "train", broken)
        ann.label(12)
        wait(lambda: "could not be trained" in caplog.text)
    ann.label(12)
    wait(lambda: opened.queue.model.number >= 1)


def test_threads_that_look_never_meet_one_that_writes(opened, ann):
    before, ends = sys.getswitchinterval(), threading.Event()

    def look(call):
        while not ends.is_set():
            call()

    calls = [
        lambda: opened.state("Ann"),
        opened.review,
        lambda: opened.screens("Bob", "other", "grid", 1, is_new=True),
        lambda: opened.queue.free_rows(),
        lambda: opened.last("Ann"),
        lambda: opened.queue.lost("gone"),
    ]
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(len(calls)) as threads:
            looking = [threads.submit(look, call) for call in calls]
            try:
                ann.label(20)
            finally:
                ends.set()
            assert [done.result() for done in looking] == [None] * len(calls)
    finally:
        sys.setswitchinterval(before)


def test_one_class_is_no_model_yet(opened, ann, wait):
    for image in sorted(opened.queue.pool.row)[:15]:
        ann.say({"image": image, "kind": "human", "label": "only"})
    wait(lambda: opened._trained_at[0] >= 10)
    assert opened.queue.model.number == 0
    assert opened.state("Ann")["model_age"] is None


def test_target_and_stop(opened):
    opened.set_target(0.5)
    opened.figures.points = [[100, 0.9, 0.7, 0.95, 40]]
    assert "at least 50 %" in opened.state("Ann")["progress"]["stop"]
    opened.set_target(0.8)
    assert opened.state("Ann")["progress"]["stop"] is None
    for wrong in (0, 1.5, -1, float("nan")):
        with pytest.raises(ValueError, match="share"):
            opened.set_target(wrong)


@pytest.mark.slow
def test_the_forecast_of_more_labels(forecasts, opened, ann, wait):
    ann.label(60)
    wait(lambda: opened.state("Ann")["progress"]["gain"]["value"] is not None)
    gain = opened.state("Ann")["progress"]["gain"]
    assert gain["low"] <= gain["value"] <= gain["high"]


def test_tokens_and_port_stay(start):
    with start("Ann", "Bob") as labelling:
        tokens = labelling.tokens()
        labelling.port = 4711
    with start("Bob", "Cid") as labelling:
        again = labelling.tokens()
        assert labelling.port == 4711
    assert {v: k for k, v in again.items()}["Bob"] == {v: k for k, v in tokens.items()}["Bob"]
    assert len({*tokens, *again}) == 3
    assert all(len(token) >= 20 for token in tokens)


def test_export_writes_a_model_file(opened, ann, wait, tmp_path, monkeypatch):
    from handful.jobs.labelling import errand

    ann.label(40)
    seen = {}

    class Result:
        bundle = tmp_path / "model.handful"
        report_html = tmp_path / "report.html"

        class accuracy:  # noqa: N801
            as_dict = staticmethod(lambda: {"value": 0.5})

    def fit(images, **options):
        seen.update(options, images=images)
        return Result

    monkeypatch.setattr(errand, "fit", fit)
    assert opened.bundle is None
    opened.export()
    wait(lambda: opened.state("Ann")["export"]["status"] == "done")
    assert opened.bundle == tmp_path / "model.handful"
    assert seen["images"] == opened.project.root
    assert seen["project_dir"] is not None


def test_an_export_that_fails_says_why(opened, wait, monkeypatch):
    from handful.jobs.labelling import errand

    def fit(images, **options):
        raise ProjectError("Nothing has a label.")

    monkeypatch.setattr(errand, "fit", fit)
    opened.export()
    wait(lambda: opened.state("Ann")["export"]["status"] == "failed")
    assert opened.state("Ann")["export"]["message"] == "Nothing has a label."


def test_search_by_text_needs_a_backbone_that_reads(opened, ann, monkeypatch, pixels):
    with pytest.raises(ProjectError, match="does not read text"):
        opened.search("Ann", "tab", "a three", 12)
    wanted = opened.queue.pool.images[opened.queue.free_rows()[3]]
    vector = opened._gathering.work.store.rows([wanted.hash])
    monkeypatch.setattr(pixels.Pixels, "embed_text", lambda self, texts: vector, raising=False)
    assert opened.can_search
    page = opened.search("Ann", "tab", "a three", 12)
    assert page["items"][0]["image"] == wanted.hash
    assert len(page["items"]) == 12
    assert np.all([not item["blind"] for item in page["items"]])


def test_search_takes_the_text_tower_of_an_image_text_model(opened, monkeypatch, pixels):
    wanted = opened.queue.pool.images[opened.queue.free_rows()[5]]
    vector = opened._gathering.work.store.rows([wanted.hash])

    class Tower:
        def embed_text(self, texts):
            return vector

    monkeypatch.setattr(pixels.Chosen, "reads_text", True)
    monkeypatch.setattr(pixels.Chosen, "text_encoder", lambda self: Tower())
    assert opened.can_search
    page = opened.search("Ann", "tab", "a three", 12)
    assert page["items"][0]["image"] == wanted.hash
