"""Classes: added, renamed, merged, each undone by a step."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.core import ProjectError
from handful.project import LabelEvent
from handful.project.classes import ClassEvent, name_now


def test_classes_are_those_in_use_and_those_added(pets):
    assert pets.classes.names() == ["cat", "dog"]
    pets.classes.add("eel", "cat")
    assert pets.classes.names() == ["cat", "dog", "eel"]
    pets.labels.undo()
    assert pets.classes.names() == ["cat", "dog"]


def test_rename_carries_old_labels_and_later_imports(pets, write, said):
    pets.classes.rename("cat", "kitten")
    write("cat/new.jpg")
    pets.scan(quiet=True)
    assert {n: label for n, label in said(pets).items() if n.startswith("cat")} == {
        "cat/1.jpg": "kitten", "cat/2.jpg": "kitten", "cat/new.jpg": "kitten",
    }  # fmt: skip
    assert pets.classes.names() == ["dog", "kitten"]
    pets.labels.undo()
    assert pets.classes.names() == ["cat", "dog"]
    assert said(pets)["cat/new.jpg"] == "cat"


def test_merge(pets, said):
    pets.classes.merge("dog", "cat")
    assert pets.classes.names() == ["cat"]
    assert said(pets)["dog/3.jpg"] == "cat"
    assert [event.kind for event in pets.classes.events()] == ["merged"]


def test_a_name_may_be_used_again_after_a_rename(pets, said):
    pets.classes.rename("cat", "kitten")
    pets.labels.add([LabelEvent(pets.images()[2].hash, "cat")])
    assert said(pets)["dog/3.jpg"] == "cat"
    assert pets.classes.names() == ["cat", "dog", "kitten"]


def test_two_classes_may_swap_names(pets, said):
    for name, new_name in (("cat", "_"), ("dog", "cat"), ("_", "dog")):
        pets.classes.rename(name, new_name)
    assert (said(pets)["cat/1.jpg"], said(pets)["dog/3.jpg"]) == ("dog", "cat")


def test_an_added_class_takes_its_name_back(pets, write, said):
    pets.classes.rename("cat", "kitten")
    pets.classes.add("cat")
    write("cat/new.jpg")
    pets.scan(quiet=True)
    assert (said(pets)["cat/1.jpg"], said(pets)["cat/new.jpg"]) == ("kitten", "cat")


def test_refusals_say_what_to_do(pets):
    with pytest.raises(
        ProjectError, match=r"already is a class 'dog'\. To make 'cat' a part of it"
    ):
        pets.classes.rename("cat", "dog")
    with pytest.raises(ProjectError, match=r"no class 'cta' \(did you mean 'cat'\?\)"):
        pets.classes.rename("cta", "x")
    with pytest.raises(ProjectError, match="no class 'bird'"):
        pets.classes.merge("cat", "bird")
    with pytest.raises(ProjectError, match="merged into itself"):
        pets.classes.merge("cat", "cat")
    with pytest.raises(ProjectError, match="class name is empty"):
        pets.classes.add("")


RENAMES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), max_size=8)


@settings(deadline=None)
@given(RENAMES, st.sampled_from("abc"), st.integers(0, 9))
def test_a_label_follows_only_later_renames(renames, label, step):
    events = [ClassEvent(n, "renamed", a, b) for n, (a, b) in enumerate(renames, start=1)]
    name = label
    for a, b in renames[step:]:
        name = b if name == a else name
    assert name_now(events, label, step, imported=False) == name
    assert name_now(events, label, 0, imported=False) == name_now(
        events, label, step, imported=True
    )
