"""The label log: precedence, undo and redo, and the laws they keep."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handful.core import ProjectError
from handful.project import Label, LabelEvent, LabelLog, Project
from handful.project.database import open_database
from handful.project.labels import append_label_events
from handful.project.steps import add_step, undone

IMAGES = ["a", "b", "c"]


@pytest.fixture
def log(tmp_path):
    """A log over three images of which nothing is said."""
    database = open_database(tmp_path / "project.db")
    yield clear(database)
    database.close()


def clear(database):
    with database.writing() as connection:
        for table in ("label_events", "class_events", "steps"):
            connection.execute(f"DELETE FROM {table}")
        connection.executemany("INSERT OR IGNORE INTO images (hash) VALUES (?)", zip(IMAGES))
    return LabelLog(database)


def add_import(log, events):
    with log._database.writing() as connection:
        step = add_step(connection, "scan", imported=True)
        append_label_events(connection, step, events)
    return step


def now(log):
    return {image: label.label for image, label in log.current().items()}


def test_the_latest_label_of_a_person_holds(log):
    log.add([LabelEvent("a", "cat"), LabelEvent("b", "cat")])
    log.add([LabelEvent("a", "dog", "confirmed")])
    assert log.current() == {"a": Label("dog", "confirmed"), "b": Label("cat", "human")}


def test_people_outrank_imports_before_and_after(log):
    log.add([LabelEvent("a", "cat")])
    add_import(log, [LabelEvent("a", "dog", "imported"), LabelEvent("b", "dog", "imported")])
    log.add([LabelEvent("b", "cat")])
    assert now(log) == {"a": "cat", "b": "cat"}


@pytest.mark.parametrize("kind", ["unsure", "none_of_these", "retracted"])
def test_a_person_may_take_a_label_away(log, kind):
    add_import(log, [LabelEvent("a", "cat", "imported")])
    log.add([LabelEvent("a", None, kind)])
    assert log.current() == {"a": Label(None, kind)}


def test_imports_of_one_step_that_disagree_give_no_label(log):
    events = [LabelEvent("a", name, "imported") for name in ("cat", "dog", "cat")]
    add_import(log, events)
    assert log.current() == {"a": Label(None, "imported", ("cat", "dog"))}
    add_import(log, [LabelEvent("a", "dog", "imported")])
    assert log.current() == {"a": Label("dog", "imported")}


def test_undo_takes_a_whole_page_back_and_redo_brings_it(log):
    log.add([LabelEvent("a", "cat"), LabelEvent("b", "cat")])
    page = log.add([LabelEvent("a", "dog"), LabelEvent("b", "dog"), LabelEvent("c", "dog")])
    undo = log.undo()
    assert now(log) == {"a": "cat", "b": "cat"}
    assert [(s.number, s.counts) for s in log.steps()] == [(1, True), (page, False), (undo, True)]
    assert log.undo(undo) is not None
    assert now(log) == {"a": "dog", "b": "dog", "c": "dog"}


def test_undo_without_limit_then_redo_without_limit(log):
    for name in ("one", "two", "three"):
        log.add([LabelEvent("a", name)])
    seen = []
    while log.undo():
        seen.append(now(log).get("a"))
    assert seen == ["two", "one", None]
    while log.redo():
        seen.append(now(log).get("a"))
    assert seen[3:] == ["one", "two", "three"]


def test_new_work_ends_redo(log):
    log.add([LabelEvent("a", "one")])
    log.undo()
    log.add([LabelEvent("a", "two")])
    assert (log.redo(), now(log)) == (None, {"a": "two"})


def test_undo_spares_imports_and_other_annotators(log):
    log.add([LabelEvent("a", "cat", annotator="ana")])
    log.add([LabelEvent("b", "cat", annotator="ben")])
    add_import(log, [LabelEvent("c", "cat", "imported")])
    log.undo(annotator="ana")
    assert now(log) == {"b": "cat", "c": "cat"}
    assert log.undo(annotator="ana") is None


def test_undo_of_what_is_not_there(log):
    step = log.add([LabelEvent("a", "cat")])
    log.undo(step)
    with pytest.raises(ValueError, match="Step 1 is undone already"):
        log.undo(step)
    with pytest.raises(ValueError, match="Step 99 does not exist"):
        log.undo(99)


def test_events_keep_every_column(log):
    event = LabelEvent(
        "a", "cat", "audit", blind=True, flagged=True, annotator="ana", suggestion="dog",
        suggestion_probability=0.75, model_version="v7", q=0.01, milliseconds=812,
    )  # fmt: skip
    log.add([event])
    log.undo()
    (logged,) = log.events()
    assert (logged.event, logged.step, logged.counts) == (event, 1, False)
    assert logged.time.endswith("+00:00")


def test_nothing_of_a_page_is_kept_when_one_event_is_wrong(log):
    with pytest.raises(ValueError, match=r"no image of this hash in the project\. Scan first"):
        log.add([LabelEvent("a", "cat"), LabelEvent("unknown", "cat")])
    assert (log.events(), log.steps()) == ([], [])
    with pytest.raises(ValueError, match="At least one label event"):
        log.add([])


@pytest.mark.parametrize(
    ("label", "kind", "message"),
    [
        (None, "human", "'human' needs a label"),
        ("cat", "unsure", "'unsure' event has no label"),
        ("cat", "guess", "must be one of"),
    ],
)
def test_events_that_make_no_sense(label, kind, message):
    with pytest.raises(ValueError, match=message):
        LabelEvent("a", label, kind)


@pytest.mark.parametrize(
    ("name", "message"),
    [("  ", "is empty"), ("x" * 501, "501 characters"), ("a\nb", "control character")],
)
def test_names_that_are_no_class_names(name, message):
    with pytest.raises(ProjectError, match=message):
        LabelEvent("a", name)


@pytest.mark.parametrize("name", ["<b>cat</b>", "🐈", "x" * 500, "'; DROP TABLE steps; --"])
def test_odd_class_names_are_kept(log, name):
    log.add([LabelEvent("a", name)])
    assert now(log) == {"a": name}


def test_accents_are_composed():
    assert LabelEvent("a", "cafe\u0301").label == "caf\u00e9"


# Laws, on random histories. An editor with two stacks is the model of undo and redo.

LABELS = st.sampled_from(["cat", "dog", "eel"])
PAGES = st.lists(st.tuples(st.sampled_from(IMAGES), LABELS), min_size=1, max_size=3)
ACTIONS = st.lists(st.one_of(PAGES, st.sampled_from(["undo", "redo"])), max_size=12)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    database = open_database(tmp_path_factory.mktemp("laws") / "project.db")
    database._connection.execute("PRAGMA synchronous = OFF")  # many short histories
    yield database
    database.close()


@settings(max_examples=60, deadline=None)
@given(actions=ACTIONS)
def test_undo_and_redo_are_those_of_an_editor(database, actions):
    log = clear(database)
    done, taken_back = [], []
    for action in actions:
        if action == "undo":
            assert (log.undo() is None) == (not done)
            taken_back += [done.pop()] if done else []
        elif action == "redo":
            assert (log.redo() is None) == (not taken_back)
            done += [taken_back.pop()] if taken_back else []
        else:
            log.add([LabelEvent(image, label) for image, label in action])
            done, taken_back = [*done, action], []
    assert now(log) == {image: label for page in done for image, label in page}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(IMAGES), LABELS), max_size=12))
def test_precedence_is_the_last_of_the_highest_rank(database, said):
    log = clear(database)
    for is_human, image, label in said:
        if is_human:
            log.add([LabelEvent(image, label)])
        else:
            add_import(log, [LabelEvent(image, label, "imported")])
    for image in IMAGES:
        people = [label for is_human, i, label in said if i == image and is_human]
        files = [label for is_human, i, label in said if i == image and not is_human]
        expected = (people or files or [None])[-1]
        assert now(log).get(image) == expected


@settings(max_examples=60, deadline=None)
@given(pages=st.lists(PAGES, min_size=1, max_size=6), data=st.data())
def test_undoing_any_step_is_as_if_it_had_not_been(database, pages, data):
    log = clear(database)
    steps = [log.add([LabelEvent(i, name) for i, name in page]) for page in pages]
    before = now(log)
    chosen = data.draw(st.integers(0, len(pages) - 1))
    undo = log.undo(steps[chosen])
    rest = [page for number, page in enumerate(pages) if number != chosen]
    assert now(log) == {image: label for page in rest for image, label in page}
    log.undo(undo)
    assert now(log) == before


@settings(deadline=None)
@given(st.lists(st.integers(1, 20), max_size=20))
def test_a_step_counts_unless_a_later_one_that_counts_undoes_it(targets):
    undos = [(n + 21, target if n % 3 else n + 20) for n, target in enumerate(targets)]
    gone = undone(undos)
    for step in range(1, 42):
        assert (step in gone) == any(t == step and s not in gone for s, t in undos)


def test_labels_stay_after_closing(tmp_path):
    (tmp_path / "1.jpg").write_text("1")
    with Project.open(tmp_path) as project:
        project.scan(quiet=True)
        project.labels.add([LabelEvent(project.images()[0].hash, "cat")])
    with Project.open(tmp_path) as project:
        assert project.images()[0].label == "cat"
        assert project.labels.undo() is not None  # undo survives a restart
        assert project.images()[0].label is None
