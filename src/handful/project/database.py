"""One SQLite connection: short transactions, several processes, errors in the user's terms.

The write-ahead log lets readers and one writer work at once; on a network share
the slower rollback journal takes its place. ``synchronous = FULL`` means that a
committed label survives the end of the process and of the power.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from handful.core import ProjectError
from handful.project.backup import back_up, changed_at, damaged, refuse_missing
from handful.project.migrations import MIGRATIONS
from handful.project.network import is_on_network

_PATIENCE = 60.0  # seconds to wait for another process's write
_TURNS: WeakValueDictionary[Path, threading.RLock] = WeakValueDictionary()
"""By file, who of this process writes: SQLite itself would look again in ever longer pauses."""


class Database:
    """The project database, opened by `open_database`; safe to use from several threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.RLock()
        self._turn = _TURNS.setdefault(path.resolve(), threading.RLock())

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        """Return all rows of a query."""
        with self._lock, explained(self.path):
            return self._connection.execute(sql, parameters).fetchall()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside one transaction, all of which is kept or nothing.

        A transaction inside another is part of it.
        """
        with self._lock, explained(self.path):
            if self._connection.in_transaction:
                yield self._connection
                return
            with self._turn:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise

    def close(self) -> None:
        """Close the connection; what was committed is safe already."""
        with self._lock:
            self._connection.close()


def open_database(path: Path) -> Database:
    """Open or make a project database: checked, backed up when changed, at the newest version.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.

    Raises
    ------
    ProjectError
        If it is damaged (the message names the backup), made by a newer
        handful, or cannot be written.
    """
    refuse_missing(path)
    changed = changed_at(path)
    with explained(path):
        connection = sqlite3.connect(
            path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
    try:
        with explained(path):
            if _version(connection):
                back_up(connection, path, changed)
            _configure(connection, "DELETE" if is_on_network(path.parent) else "WAL")
            database = Database(path, connection)
            _migrate(database)
    except BaseException:
        connection.close()
        raise
    return database


def _configure(connection: sqlite3.Connection, journal: str) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    give_up = time.monotonic() + _PATIENCE
    while True:  # SQLite does not wait by itself when two processes set the journal at once
        try:
            connection.execute(f"PRAGMA journal_mode = {journal}")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _migrate(database: Database) -> None:
    version = database.rows("PRAGMA user_version")[0][0]
    if version == len(MIGRATIONS):
        return
    with database.writing() as connection:
        version = _version(connection)  # another process may have been first
        if version > len(MIGRATIONS):
            raise ProjectError(
                f"The project database '{database.path}' has version {version}, made by a newer "
                f"handful; this one knows {len(MIGRATIONS)}. "
                f"Update it with: pip install --upgrade handful"
            )
        for migration in MIGRATIONS[version:]:
            migration(connection)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ones that say what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise damaged(path) from error
        if code == sqlite3.SQLITE_CONSTRAINT:
            raise ValueError(
                "There is no image of this hash in the project. Scan first."
            ) from error
        if code in _WAYS_OUT:
            raise ProjectError(f"The project database '{path}' {_WAYS_OUT[code]}") from error
        raise


_WAYS_OUT = {
    sqlite3.SQLITE_BUSY: (
        f"was written by another process for over {_PATIENCE:.0f} s. Wait for it, then run again."
    ),
    sqlite3.SQLITE_FULL: (
        "could not be written: the disk is full. What was saved before is safe. "
        "Make room, then run again."
    ),
    sqlite3.SQLITE_IOERR: (
        "could not be read or written: the disk reported an error or is full. "
        "Check the disk and its free space, then run again."
    ),
    sqlite3.SQLITE_READONLY: (
        "cannot be written. Give yourself the right to write there, "
        "or keep the project elsewhere with --project DIR."
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened. Give yourself the right to read and write there, "
        "or keep the project elsewhere with --project DIR."
    ),
}
