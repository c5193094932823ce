"""Copies of the project database, and the refusal of a damaged one.

A copy is made by SQLite's own backup, so that it is whole even while another
process writes, and only of a database that passed SQLite's check: a damaged one
never pushes out the copies from before the damage.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

from handful.core import ProjectError

KEPT = 5
_LEFTOVER_AFTER = 3600.0  # seconds


def backups(database: Path) -> list[Path]:
    """Return the copies of a database file, newest first."""
    return sorted(_folder(database).glob("project-*.db"), reverse=True)


def changed_at(database: Path) -> int:
    """Return when the database or its log was last written, in ns; 0 when there is none."""
    times = [0]
    for path in (database, database.with_name(database.name + "-wal")):
        with contextlib.suppress(FileNotFoundError):
            times.append(path.stat().st_mtime_ns)
    return max(times)


def back_up(connection: sqlite3.Connection, database: Path, changed: int) -> Path | None:
    """Copy the database unless the newest copy already holds this state.

    Parameters
    ----------
    connection : sqlite3.Connection
        Open on the database.
    database : Path
        Its file.
    changed : int
        `changed_at` of the file before it was opened, ns; the copy gets this
        time, which is how the next call knows it.

    Returns
    -------
    Path or None
        The new copy.

    Raises
    ------
    ProjectError
        If the database is damaged; the message names the newest whole copy.
    """
    existing = backups(database)
    if existing and existing[0].stat().st_mtime_ns == changed:
        return None
    if not _is_whole(connection):
        raise damaged(database)
    folder = _folder(database)
    folder.mkdir(exist_ok=True)
    name = f"project-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S.%f}Z.db"
    unfinished = folder / f"{name}.{os.getpid()}.part"
    try:
        _copy(connection, unfinished)
        os.utime(unfinished, ns=(changed, changed))
        unfinished.replace(folder / name)
    finally:
        unfinished.unlink(missing_ok=True)
    _prune(database)
    return folder / name


def refuse_missing(database: Path) -> None:
    """Raise ProjectError where the database is gone or empty but copies of it remain."""
    copies = backups(database)
    if copies and not (database.exists() and database.stat().st_size):
        raise ProjectError(
            f"The project database '{database}' is missing or empty, but there are backups. "
            f"{_way_back(database, copies[0])} "
            f"To begin anew instead, remove the folder '{database.parent}'."
        )


def damaged(database: Path) -> ProjectError:
    """Return the error for a damaged database, naming its newest whole copy."""
    whole = next((copy for copy in backups(database) if _is_whole_file(copy)), None)
    told = f"The project database '{database}' is damaged and was not used."
    if whole is None:
        return ProjectError(
            f"{told} There is no whole backup of it. Move the file away to begin anew: "
            f"the labels of class folders are read again, those given by hand are lost."
        )
    return ProjectError(f"{told} {_way_back(database, whole)}")


def _way_back(database: Path, copy: Path) -> str:
    taken = datetime.fromtimestamp(copy.stat().st_mtime_ns / 1e9, UTC)
    return (
        f"The newest whole backup is '{copy}' (state of {taken:%Y-%m-%d %H:%M} UTC). To go back "
        f"to it, end every other handful, remove '{database.name}-wal' and '{database.name}-shm' "
        f"where they exist, and copy the backup over '{database}'."
    )


def _folder(database: Path) -> Path:
    return database.parent / "backups"


def _copy(connection: sqlite3.Connection, to: Path) -> None:
    with contextlib.closing(sqlite3.connect(to, isolation_level=None)) as target:
        connection.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")


def _prune(database: Path) -> None:
    for copy in backups(database)[KEPT:]:
        copy.unlink(missing_ok=True)
    for part in _folder(database).glob("*.part*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - part.stat().st_ctime > _LEFTOVER_AFTER:
                part.unlink()


def _is_whole(connection: sqlite3.Connection) -> bool:
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        return False


def _is_whole_file(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return _is_whole(connection)
