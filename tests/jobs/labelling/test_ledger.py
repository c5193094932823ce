from __future__ import annotations

import pytest

from handful.core import ProjectError
from handful.project import LabelEvent, Project


@pytest.fixture
def image(opened):
    return opened.queue.pool.images[0].hash


def test_an_answer_is_on_disk_before_it_is_acknowledged(opened, ann, image):
    done = ann.say({"image": image, "kind": "human", "label": "cat"}, name="a")
    assert done == {"id": "a", "step": done["step"]}
    assert opened.project.labels.current()[image].label == "cat"
    assert opened.state("Ann")["labelled"] == 1


def test_what_is_sent_twice_is_written_once(opened, ann, image):
    answer = {"image": image, "kind": "human", "label": "cat"}
    assert ann.say(answer, name="a") == ann.say(answer, name="a")
    assert len(opened.project.labels.events()) == 1


def test_and_also_after_a_restart(start, person):
    answers = []
    for _ in range(2):
        with start("Ann") as labelling:
            image = sorted(labelling.queue.pool.row)[0]
            said = {"image": image, "kind": "human", "label": "cat"}
            answers.append(person(labelling).say(said, name="same"))
            assert len(labelling.project.labels.events()) == 1
    assert answers[0] == answers[1]


def test_undo_goes_back_step_by_step_beyond_a_restart(start, person):
    with start("Ann") as labelling:
        images = sorted(labelling.queue.pool.row)[:3]
        for image in images:
            person(labelling).say({"image": image, "kind": "human", "label": "cat"})
    with start("Ann") as labelling:
        ann = person(labelling)
        for left, image in zip((2, 1, 0), reversed(images), strict=True):
            last = labelling.last("Ann")
            assert last["items"][0]["image"] == image
            assert ann.undo(last["step"])["step"] == last["step"]
            assert labelling.state("Ann")["labelled"] == left
        assert labelling.last("Ann") is None
        assert labelling.state("Ann")["undo"] is None


def test_a_page_is_one_step(opened, ann):
    images = sorted(opened.queue.pool.row)[:12]
    step = ann.say(*({"image": i, "kind": "confirmed", "label": "cat"} for i in images))["step"]
    assert opened.state("Ann")["labelled"] == 12
    ann.undo(step)
    assert opened.state("Ann")["labelled"] == 0


def test_undo_by_the_id_of_answers_and_twice(opened, ann, image):
    ann.say({"image": image, "kind": "human", "label": "cat"}, name="a")
    assert ann.undo("a")["step"] == ann.undo("a")["step"]
    assert opened.state("Ann")["labelled"] == 0
    assert "no such step" in ann.undo("never sent")["refused"]
    assert "no such step" in ann.undo(999)["refused"]


def test_a_person_takes_back_only_their_own(opened, ann, bob):
    first, second = sorted(opened.queue.pool.row)[:2]
    ann.say({"image": first, "kind": "human", "label": "cat"})
    bob.say({"image": second, "kind": "human", "label": "dog"})
    assert opened.last("Ann")["items"][0]["image"] == first
    assert opened.last("Bob")["items"][0]["image"] == second
    assert "no such step" in ann.undo(opened.last("Bob")["step"])["refused"]
    assert opened.state("Ann")["labelled"] == 2


@pytest.mark.parametrize("kind", ["unsure", "none_of_these"])
def test_unsure_and_none_are_facts_without_a_class(opened, ann, image, kind):
    ann.say({"image": image, "kind": kind, "label": None})
    assert opened.project.labels.current()[image].kind == kind
    assert opened.ledger.is_answered(image)
    assert opened.state("Ann")["labelled"] == 0


def test_every_field_of_an_event_is_kept(opened, ann, image):
    said = {
        "image": image, "kind": "audit", "label": "cat", "blind": True, "flagged": True,
        "suggestion": "dog", "probability": 0.25, "model": "v3", "q": 0.125, "milliseconds": 750,
    }  # fmt: skip
    ann.say(said)
    event = opened.project.labels.events()[-1].event
    assert (event.annotator, event.kind, event.blind, event.flagged) == ("Ann", "audit", True, True)
    assert (event.suggestion, event.suggestion_probability) == ("dog", 0.25)
    assert (event.model_version, event.q, event.milliseconds) == ("v3", 0.125, 750)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"kind": "human", "label": "  "}, "class name is empty"),
        ({"kind": "human", "label": "x" * 501}, "501 characters"),
        ({"kind": "human", "label": "a\nb"}, "control character"),
        ({"kind": "human", "label": None}, "needs a label"),
        ({"kind": "unsure", "label": "cat"}, "has no label"),
        ({"kind": "imported", "label": "cat"}, "not 'imported'"),
        ({"kind": "nonsense", "label": "cat"}, "must be one of"),
        ({"kind": "human", "label": "cat", "q": 2}, "lies in"),
        ({"kind": "human", "label": "cat", "q": float("nan")}, "lies in"),
        ({"kind": "human", "label": "cat", "probability": "high"}, "Reload"),
        ({"kind": "human", "label": 7}, "Reload"),
        ({"kind": "human", "label": "cat", "surprise": 1}, "Reload"),
    ],
)
def test_a_bad_answer_is_refused_and_the_others_are_kept(opened, ann, image, answer, why):
    other = sorted(opened.queue.pool.row)[1]
    good = {"id": "good", "answers": [{"image": other, "kind": "human", "label": "cat"}]}
    bad = {"id": "bad", "answers": [{"image": image, **answer}]}
    first, second = opened.answer("Ann", [bad, good])
    assert first["id"] == "bad"
    assert why in first["refused"]
    assert second["step"]
    assert [e.event.image for e in opened.project.labels.events()] == [other]


@pytest.mark.parametrize(
    "message",
    [None, 7, [], {}, {"id": ""}, {"id": "a" * 65, "answers": []}, {"id": "a", "answers": []},
     {"id": "a", "answers": [{}]}, {"id": "a", "answers": [7]}, {"id": "a", "undo": True},
     {"id": "a", "undo": None}],
)  # fmt: skip
def test_a_malformed_message_is_refused(opened, message):
    (done,) = opened.answer("Ann", [message])
    assert done["refused"]


def test_an_image_that_never_was_there_is_refused(ann):
    done = ann.say({"image": "00" * 16, "kind": "human", "label": "cat"})
    assert "no longer in the folder" in done["refused"]


@pytest.mark.parametrize("name", ["<b>bold</b>", "🐈 cat", "x" * 500, "a/b", "Ünïcode", "'; --"])
def test_strange_names_are_names(opened, ann, image, name):
    ann.say({"image": image, "kind": "human", "label": name})
    assert opened.state("Ann")["classes"] == [[name, 1]]


def test_a_full_disk_keeps_nothing_and_says_so(opened, ann, image):
    database = opened.project.database
    pages = database.rows("PRAGMA page_count")[0][0]
    database.rows(f"PRAGMA max_page_count = {pages}")
    answers = [
        {"id": str(n), "answers": [{"image": image, "kind": "human", "label": f"{n:02}" * 200}]}
        for n in range(60)
    ]
    with pytest.raises(ProjectError, match="disk is full"):
        opened.answer("Ann", answers)
    assert opened.state("Ann")["labelled"] == 0
    assert opened.project.labels.events() == []
    database.rows("PRAGMA max_page_count = 1000000")
    assert all("step" in done for done in opened.answer("Ann", answers))
    assert len(opened.project.labels.events()) == 60


def test_what_another_process_writes_is_seen(opened, image):
    with Project.open(opened.project.root, project_dir=opened.project.folder) as other:
        other.labels.add([LabelEvent(image, "cat")])
    opened.ledger.refresh()
    assert opened.state("Ann")["labelled"] == 1


def test_the_suggestions_that_were_shown_survive_a_restart_and_an_undo(start, person):
    def answer(image, label, blind=False):
        return {"image": image, "kind": "human", "label": label, "suggestion": "cat",
                "probability": 0.75, "model": "v1", "blind": blind}  # fmt: skip

    with start("Ann") as labelling:
        ann = person(labelling)
        a, b, c, d = sorted(labelling.queue.pool.row)[:4]
        for each in (answer(a, "cat"), answer(b, "dog"), answer(c, "cat", blind=True)):
            ann.say(each)
        ann.undo(ann.say(answer(d, "cat"))["step"])
    with start("Ann") as labelling:
        taken, shown = labelling.ledger.suggested()
        assert taken.tolist() == [True, False]
        assert shown.tolist() == [0.75, 0.75]
        assert labelling.state("Ann")["progress"]["acceptance"]["value"] is None
