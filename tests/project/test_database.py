"""The database: versions, journals, and errors in the user's terms."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from handful.core import ProjectError
from handful.project import LabelEvent, Project, database
from handful.project.database import open_database
from handful.project.migrations import MIGRATIONS
from handful.project.migrations import __doc__ as schema


def test_every_table_and_column_is_described(tmp_path):
    opened = open_database(tmp_path / "project.db")
    for (table,) in opened.rows("SELECT name FROM sqlite_schema WHERE type = 'table'"):
        if not table.startswith("sqlite_"):
            described = schema.split(f"    {table} ")[1]
            for _, column, *_ in opened.rows(f"PRAGMA table_info({table})"):
                assert column in described or column == "id", (table, column)
    opened.close()


def test_write_ahead_log_except_on_network_shares(tmp_path, monkeypatch):
    opened = open_database(tmp_path / "project.db")
    assert opened.rows("PRAGMA journal_mode") == [("wal",)]
    assert opened.rows("PRAGMA synchronous") == [(2,)]  # FULL: a commit survives the power
    opened.close()
    monkeypatch.setattr(database, "is_on_network", lambda folder: True)
    opened = open_database(tmp_path / "project.db")
    assert opened.rows("PRAGMA journal_mode") == [("delete",)]
    opened.close()


def test_newer_version_is_refused(tmp_path):
    open_database(tmp_path / "project.db").close()
    with sqlite3.connect(tmp_path / "project.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ProjectError, match=r"version 99, made by a newer.*pip install --upgrade"):
        open_database(tmp_path / "project.db")


def test_migrations_are_numbered_and_run_once(tmp_path, monkeypatch):
    assert [m.__name__[:4] for m in MIGRATIONS] == [
        f"m{n:03d}" for n in range(1, len(MIGRATIONS) + 1)
    ]
    open_database(tmp_path / "project.db").close()
    runs = []

    def m002_more(connection):
        runs.append(connection.execute("CREATE TABLE more (x)"))

    monkeypatch.setattr(database, "MIGRATIONS", [*MIGRATIONS, m002_more])
    for _ in range(2):
        open_database(tmp_path / "project.db").close()
    assert len(runs) == 1


def test_failed_migration_leaves_the_old_version(tmp_path, monkeypatch):
    open_database(tmp_path / "project.db").close()

    def m002_broken(connection):
        connection.execute("CREATE TABLE more (x)")
        raise RuntimeError("stop")

    monkeypatch.setattr(database, "MIGRATIONS", [*MIGRATIONS, m002_broken])
    with pytest.raises(RuntimeError, match="stop"):
        open_database(tmp_path / "project.db")
    monkeypatch.undo()
    opened = open_database(tmp_path / "project.db")
    assert opened.rows("SELECT name FROM sqlite_schema WHERE name = 'more'") == []
    opened.close()


def test_full_disk_refuses_the_labels_and_keeps_the_old(pets, said):
    images = pets.images()
    pages = pets.database.rows("PRAGMA page_count")[0][0]
    pets.database.rows(f"PRAGMA max_page_count = {pages}")
    page = [LabelEvent(image.hash, "x" * 400) for image in images] * 9
    with pytest.raises(ProjectError, match=r"the disk is full\. What was saved before is safe"):
        any(pets.labels.add(page) < 0 for _ in range(100))
    assert pets.database.rows("PRAGMA integrity_check") == [("ok",)]
    kept = {step for (step,) in pets.database.rows("SELECT DISTINCT step FROM label_events")}
    assert kept == {step.number for step in pets.labels.steps()}


def test_lock_held_too_long(pets, monkeypatch, root):
    other = sqlite3.connect(root / ".handful/project.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    pets.database.rows("PRAGMA busy_timeout = 10")
    with pytest.raises(ProjectError, match=r"was written by another process.*Wait for it"):
        pets.labels.add([LabelEvent(pets.images()[0].hash, "cat")])
    other.close()
    assert pets.labels.add([LabelEvent(pets.images()[0].hash, "cat")])


def test_reading_goes_on_while_another_writes(pets, root):
    other = sqlite3.connect(root / ".handful/project.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE images SET unusable = 'x'")
    assert len(pets.images()) == 5
    other.close()


def test_several_threads_share_a_project(pets):
    image = pets.images()[0].hash
    threads = [
        threading.Thread(
            target=lambda: [pets.labels.add([LabelEvent(image, "x")]) for _ in range(9)]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([e for e in pets.labels.events() if e.event.label == "x"]) == 36


def test_outer_transaction_takes_the_inner_with_it(pets):
    def add_and_fail():
        with pets.database.writing():
            pets.labels.add([LabelEvent(pets.images()[0].hash, "x")])
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        add_and_fail()
    assert "x" not in pets.classes.names()


def test_opening_with_two_processes_at_once_is_patient(root):
    projects = []
    threads = [
        threading.Thread(target=lambda: projects.append(Project.open(root))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(projects) == 4
    for project in projects:
        project.close()


def test_connections_of_one_process_take_turns(tmp_path, monkeypatch):
    """SQLite alone would refuse the second at once here, where it may not look again later."""
    monkeypatch.setattr(database, "_PATIENCE", 0.0)
    path = tmp_path / "project.db"
    first, second = open_database(path), open_database(tmp_path / "." / "project.db")
    first.rows("CREATE TABLE seen (who TEXT, n INTEGER)")
    began = threading.Event()

    def write(own, who):
        for n in range(20):
            with own.writing() as connection:
                began.set()
                connection.execute("INSERT INTO seen VALUES (?, ?)", (who, n))

    with first.writing() as connection:
        other = threading.Thread(target=write, args=(second, "second"))
        other.start()
        assert not began.wait(0.1)
        connection.execute("INSERT INTO seen VALUES ('first', 0)")
    write(first, "first")
    other.join()
    assert first.rows("SELECT who, count(*) FROM seen GROUP BY who") == [
        ("first", 21),
        ("second", 20),
    ]
    first.close()
    second.close()
