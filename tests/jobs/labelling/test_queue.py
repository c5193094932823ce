from __future__ import annotations

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest

from handful.jobs.labelling.pool import is_reserved
from handful.project import LabelEvent


def images_of(screens):
    return [item["image"] for screen in screens for item in screen["items"]]


def test_it_begins_without_a_label_by_typical_images(opened, ann):
    screens = ann.screens(n=8)
    assert {screen["why"] for screen in screens} <= {"planned", "drawn"}
    assert len(set(images_of(screens))) == 8
    assert all(item["suggestion"] is None for screen in screens for item in screen["items"])


def test_the_cold_start_is_planned(opened, ann, wait):
    wait(lambda: not opened.queue.is_low())
    assert [screen["why"] for screen in ann.screens(n=6)] == ["planned"] * 6


def test_nothing_is_handed_out_twice(opened, ann, bob):
    seen = images_of([*ann.screens(n=12), *bob.screens(n=12), *ann.screens(n=12, tab="other")])
    assert len(seen) == len(set(seen)) == 36


def test_a_tab_that_is_loaded_again_gives_back_what_it_had(opened, ann):
    first = images_of(ann.screens(n=5))
    everything = images_of(ann.screens(n=12, is_new=True) + ann.screens(n=12))
    while more := ann.screens(n=12):
        everything += images_of(more)
    assert set(first) <= set(everything)


def test_what_a_closed_tab_had_is_asked_again_after_a_while(opened, ann):
    while ann.screens(n=12):
        pass
    assert not ann.screens(n=12, tab="other")
    leases = opened.queue._leases
    leases.update({image: replace(lease, until=0.0) for image, lease in leases.items()})
    assert images_of(ann.screens(n=12, tab="other"))


def test_what_a_tab_has_is_not_handed_out_by_a_restarted_server(start, person):
    with start("Ann") as labelling:
        held = images_of(person(labelling).screens(n=5))
    with start("Ann") as labelling:
        seen = images_of(person(labelling).screens(n=12, held=held))
        while more := person(labelling).screens(n=12):
            seen += images_of(more)
    assert len(seen) == 115
    assert not set(seen) & set(held)


def test_all_images_come_once_and_unsure_ones_last(opened, ann):
    first = ann.screens()[0]["items"][0]["image"]
    ann.say({"image": first, "kind": "unsure", "label": None})
    seen = []
    while screens := ann.screens(n=12):
        seen += images_of(screens)
    assert len(seen) == 120
    assert seen[-1] == first


def test_one_pick_in_ten_is_a_blind_audit_with_its_probability(opened, ann):
    left = sum(opened.queue.pool.is_reserved)
    audits = []
    for number in range(40):
        (screen,) = ann.screens()
        (item,) = screen["items"]
        assert (screen["why"] == "audit") == is_reserved(item["image"])
        if screen["why"] == "audit":
            audits.append(number)
            assert item["blind"]
            assert item["suggestion"] is None
            assert item["top"] == []
            assert item["q"] == pytest.approx(1 / left)
            left -= 1
        ann.say(*ann.answer_to(screen))
    assert len(audits) == 3
    assert opened.queue.model.n_labels <= 37


def test_suggestions_come_with_a_probability_once_there_is_a_model(opened, ann, wait):
    ann.label(40)
    wait(lambda: opened.queue.model.number > 0)
    item = next(s["items"][0] for s in ann.screens(n=3) if s["why"] != "audit")
    assert item["suggestion"] in map(str, range(10))
    assert 0 < item["probability"] <= 1
    assert item["model"].startswith("v")
    assert item["top"][0] == [item["suggestion"], item["probability"]]
    assert math.fsum(share for _, share in item["top"]) <= 1.001


def test_training_never_changes_what_was_handed_out(opened, ann, wait):
    before = ann.screens(n=10)
    kept = [[*screen["items"]] for screen in before]
    for screen in before:
        ann.say(*ann.answer_to(screen))
    shown = ann.screens(n=4)
    copy = [dict(screen["items"][0]) for screen in shown]
    number = opened.queue.model.number
    ann.label(20, tab="second")
    wait(lambda: opened.queue.model.number > number)
    assert [screen["items"][0] for screen in shown] == copy
    assert [screen["items"] for screen in before] == kept
    again = images_of(ann.screens(n=12))
    assert not set(again) & set(images_of(shown))


def test_a_page_has_one_class_most_sure_first(opened, ann, wait):
    ann.label(60)
    wait(lambda: opened.queue.model.n_labels >= 40)
    pages = [s for s in ann.screens("grid", n=4) if s["kind"] == "grid"]
    assert pages
    for page in pages:
        shares = [dict(item["top"]).get(page["class"]) for item in page["items"]]
        assert shares == sorted(shares, reverse=True)
        assert {item["suggestion"] for item in page["items"]} == {page["class"]}


def test_a_page_without_a_model_is_a_cluster_to_be_named(opened, ann, wait):
    wait(lambda: not opened.queue.is_low())
    (page,) = ann.screens("grid")
    assert (page["kind"], page["class"], len(page["items"])) == ("grid", None, 12)


def test_pages_that_were_wrong_raise_what_is_asked_of_the_next(opened):
    queue = opened.queue
    wrong = [LabelEvent("00" * 16, "a", suggestion="b", suggestion_probability=0.95)] * 12
    queue.answered(wrong)
    assert queue._excess == pytest.approx(0.3 * 0.95)
    queue.answered(wrong[:3])  # too few to learn from
    assert queue._excess == pytest.approx(0.3 * 0.95)


def test_images_like_one(opened, ann, pixels):
    (screen,) = ann.screens()
    (item,) = screen["items"]
    page = opened.alike("Ann", "tab", item["image"], 12)
    assert page["kind"] == "grid"
    assert item["image"] not in images_of([page])
    same = [pixels.truth(i["name"]) == pixels.truth(item["name"]) for i in page["items"]]
    assert np.mean(same) > 0.3
    assert opened.alike("Ann", "tab", "00" * 16, 12) is None


def test_a_second_annotator_sees_some_of_the_first_ones_images_blind(opened, ann, bob):
    ann.label(30)
    seconds = [s for s in bob.screens(n=40) if s["why"] == "second"]
    labelled = set(opened.ledger.votes())
    assert len(seconds) == 3
    for screen in seconds:
        assert screen["items"][0]["blind"]
        assert screen["items"][0]["image"] in labelled


def test_an_image_that_vanished_is_not_asked_for(tmp_path, digits_folder, pixels, person, wait):
    folder = shutil.copytree(digits_folder, tmp_path / "some", ignore=shutil.ignore_patterns(".*"))
    with pixels.session(folder, annotators=["Ann"]) as labelling:
        wait(lambda: labelling.state("Ann")["stage"] == "done")
        gone = labelling.queue.pool.images[5]
        gone.path.unlink()
        with pytest.raises(FileNotFoundError, match="no longer there"):
            labelling.picture(gone.hash, 192)
        ann, seen = person(labelling), []
        while screens := ann.screens(n=12):
            seen += images_of(screens)
        assert gone.hash not in seen
        assert len(seen) == 119
