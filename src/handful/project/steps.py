"""Steps: the order in which things were said, and which of them still count.

A step counts unless a later step that counts undoes it. Read from the newest
step to the oldest, this settles every undo, undo of an undo, and so on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from handful.project.database import Database


@dataclass(frozen=True)
class Step:
    """One thing done: a page of labels, an import, a rename, an undo.

    Parameters
    ----------
    number : int
        1, 2, 3, ... in order of time.
    time : str
        UTC, ISO 8601.
    what : str
        Such as ``"labels"``, ``"scan"``, ``"labels.csv"``, ``"undo"``.
    imported : bool
        Whether it came from a file or a folder rather than a person.
    undoes : int or None
        The step this one takes back.
    counts : bool
        False once it was undone.
    """

    number: int
    time: str
    what: str
    imported: bool
    undoes: int | None
    counts: bool


def undone(undos: Iterable[tuple[int, int]]) -> set[int]:
    """Return the steps that do not count.

    Parameters
    ----------
    undos : iterable of (step, undone step)
        Every undo ever made, in any order.

    Examples
    --------
    >>> undone([(3, 1)])  # step 3 undoes step 1
    {1}
    >>> undone([(3, 1), (4, 3)])  # step 4 undoes the undo: step 1 counts again
    {3}
    """
    gone: set[int] = set()
    for step, target in sorted(undos, reverse=True):
        if step not in gone:
            gone.add(target)
    return gone


def undone_steps(database: Database) -> set[int]:
    """Return the steps of a project that do not count."""
    return undone(database.rows("SELECT step, undoes FROM steps WHERE undoes IS NOT NULL"))


def all_steps(database: Database) -> list[Step]:
    """Return every step, oldest first."""
    rows = database.rows("SELECT step, time, what, imported, undoes FROM steps ORDER BY step")
    gone = undone((step, undoes) for step, *_, undoes in rows if undoes is not None)
    return [
        Step(number, time, what, bool(imported), undoes, number not in gone)
        for number, time, what, imported, undoes in rows
    ]


def add_step(
    connection: sqlite3.Connection,
    what: str,
    *,
    imported: bool = False,
    undoes: int | None = None,
) -> int:
    """Append a step inside the running transaction and return its number."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    added = connection.execute(
        "INSERT INTO steps (time, what, imported, undoes) VALUES (?, ?, ?, ?)",
        (now, what, imported, undoes),
    )
    assert added.lastrowid is not None
    return added.lastrowid
