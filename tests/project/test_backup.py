"""Backups at open, and damaged databases."""

from __future__ import annotations

import os
import shutil
import sqlite3

import pytest

from handful.core import ProjectError
from handful.project import LabelEvent, Project, backup
from handful.project.backup import KEPT, backups


@pytest.fixture
def database(root, write):
    """Return the database file of a closed project with one label by hand."""
    write("cat/1.jpg")
    label(root, "first")
    return root / ".handful/project.db"


def label(root, name):
    with Project.open(root) as project:
        project.scan(quiet=True)
        project.labels.add([LabelEvent(project.images()[0].hash, name)])


def names_in(path):
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT label FROM label_events WHERE kind = 'human'").fetchall()
    connection.close()
    return [name for (name,) in rows]


def test_open_backs_up_what_changed_since(root, database):
    assert backups(database) == []
    label(root, "second")
    label(root, "third")
    assert [names_in(path) for path in backups(database)] == [["first", "second"], ["first"]]


def test_open_backs_up_nothing_twice(root, database):
    for _ in range(3):
        Project.open(root).close()
    assert len(backups(database)) == 1


def test_five_are_kept_the_newest(root, database):
    for number in range(KEPT + 3):
        label(root, f"label {number}")
    copies = backups(database)
    assert len(copies) == 5
    assert len(names_in(copies[0])) == KEPT + 3


def test_backup_holds_what_another_process_has_just_committed(root, database):
    with Project.open(root) as writer:
        writer.labels.add([LabelEvent(writer.images()[0].hash, "in the log")])
        Project.open(root).close()
        assert "in the log" in names_in(backups(database)[0])


def test_unfinished_backups_are_cleared_away(root, database, monkeypatch):
    label(root, "second")
    part = backups(database)[0].with_suffix(".db.1.part")
    part.touch()
    label(root, "third")
    assert part.exists()  # it may be another process at work
    monkeypatch.setattr(backup, "_LEFTOVER_AFTER", -1.0)
    label(root, "fourth")
    assert not part.exists()


@pytest.mark.parametrize("damage", ["header", "middle", "truncated", "zeros"])
def test_damaged_database_is_refused_with_the_backup_that_restores_it(root, database, damage):
    label(root, "second")
    label(root, "third")
    spoil(database, damage)
    with pytest.raises(ProjectError) as refusal:
        Project.open(root)
    newest = backups(database)[0]
    assert f"'{database}' is damaged and was not used" in str(refusal.value)
    assert f"The newest whole backup is '{newest}'" in str(refusal.value)
    assert f"copy the backup over '{database}'" in str(refusal.value)
    shutil.copyfile(newest, database)
    with Project.open(root) as project:
        assert project.images()[0].label == "second"


def spoil(database, damage):
    size = database.stat().st_size
    with database.open("r+b") as file:
        if damage == "header":
            file.write(b"not a database at all")
        elif damage == "middle":
            file.seek(4096)
            file.write(os.urandom(size - 8192))
        elif damage == "truncated":
            file.truncate(size // 2)
        else:
            file.write(bytes(size))


def test_damaged_backups_are_not_offered(root, database):
    label(root, "second")
    label(root, "third")
    backups(database)[0].write_bytes(b"damaged too")
    spoil(database, "header")
    with pytest.raises(ProjectError) as refusal:
        Project.open(root)
    assert str(backups(database)[1]) in str(refusal.value)
    assert str(backups(database)[0]) not in str(refusal.value)


def test_damaged_without_any_backup(root, database):
    spoil(database, "middle")
    with pytest.raises(ProjectError, match=r"no whole backup of it\. Move the file away"):
        Project.open(root)
    assert backups(database) == []  # a damaged state is never backed up


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_missing_database_is_not_begun_anew_over_backups(root, database, how):
    label(root, "second")
    database.unlink()
    if how == "empty":
        database.touch()
    with pytest.raises(ProjectError, match=r"is missing or empty, but there are backups.*remove"):
        Project.open(root)


def test_damage_met_while_open_names_the_backup(root, database):
    label(root, "second")
    with Project.open(root) as project:
        project.database.rows("PRAGMA cache_size = 0")  # read from the file again
        spoil(database, "middle")
        with pytest.raises(ProjectError, match="newest whole backup is"):
            project.summary()
