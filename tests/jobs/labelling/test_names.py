from __future__ import annotations

import pytest

from handful.core import ProjectError


def names(labelling):
    return [name for name, _ in labelling.state("Ann")["classes"]]


@pytest.fixture
def three(opened, ann):
    for image, label in zip(sorted(opened.queue.pool.row), ("zebra", "cat", "dog"), strict=False):
        ann.say({"image": image, "kind": "human", "label": label})
    return opened


def test_keys_follow_the_order_in_which_classes_came_up(three, ann):
    assert names(three) == ["zebra", "cat", "dog"]
    ann.say({"image": sorted(three.queue.pool.row)[3], "kind": "human", "label": "ant"})
    assert names(three) == ["zebra", "cat", "dog", "ant"]


def test_the_order_survives_a_restart(start, person):
    with start("Ann", classes=["b", "a"]) as labelling:
        assert names(labelling) == ["b", "a"]
        image = sorted(labelling.queue.pool.row)[0]
        person(labelling).say({"image": image, "kind": "human", "label": "0"})
    with start("Ann", classes=["a", "c"]) as labelling:
        assert names(labelling) == ["b", "a", "0", "c"]


def test_a_renamed_class_keeps_its_place_and_its_images(three):
    three.change_class("rename", "cat", "kitten")
    assert three.state("Ann")["classes"] == [["zebra", 1], ["kitten", 1], ["dog", 1]]
    events = [(e.kind, e.name, e.into) for e in three.project.classes.events()]
    assert events == [("renamed", "cat", "kitten")]


def test_a_merged_class_is_gone(three):
    three.change_class("merge", "cat", "dog")
    assert three.state("Ann")["classes"] == [["zebra", 1], ["dog", 2]]


def test_votes_follow_renames(three):
    three.change_class("rename", "cat", "kitten")
    said = {label for votes in three.ledger.votes().values() for label in votes.values()}
    assert said == {"zebra", "kitten", "dog"}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("add", "cat"), "already is a class"),
        (("add", " cat "), "already is a class"),
        (("add", ""), "empty"),
        (("add", "x" * 501), "501 characters"),
        (("add", "a\x00b"), "control character"),
        (("rename", "cat", "dog"), "already is a class"),
        (("rename", "cow", "ox"), "no class 'cow'"),
        (("rename", "cat", " "), "empty"),
        (("merge", "cat", "cat"), "into itself"),
        (("merge", "cat", "ox"), "no class 'ox'"),
    ],
)
def test_what_cannot_be_changed(three, change, why):
    with pytest.raises(ProjectError, match=why):
        three.change_class(*change)
    assert names(three) == ["zebra", "cat", "dog"]


def test_an_unknown_change_is_a_fault_of_the_page(three):
    with pytest.raises(ValueError, match="added, renamed and merged"):
        three.change_class("burn", "cat")


def test_a_class_may_be_called_anything_printable(three):
    for name in ("<script>alert(1)</script>", "🦓", "ß" * 500):
        three.change_class("add", name)
        assert name in names(three)


def test_a_thousand_classes(start, person):
    many = [f"class {number:04}" for number in range(1000)]
    with start("Ann", classes=many) as labelling:
        assert names(labelling) == many
        image = sorted(labelling.queue.pool.row)[0]
        done = person(labelling).say({"image": image, "kind": "human", "label": many[-1]})
        assert done["step"]
        assert len(names(labelling)) == 1000
