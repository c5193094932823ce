"""Class events: added, renamed, merged. Old labels follow, nothing is rewritten.

A label that a person gave holds the name the person saw, so it follows the
renames after it. A label from a file holds the name in the file, which a rename
in handful does not change, so it follows every rename since that class was last
added by hand: importing an old table again gives the new names.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handful.core import ProjectError, did_you_mean
from handful.project.database import Database
from handful.project.steps import add_step, undone_steps

if TYPE_CHECKING:
    from handful.project.labels import LabelLog

_LONGEST = 500


@dataclass(frozen=True)
class ClassEvent:
    """One change to the set of classes.

    Parameters
    ----------
    step : int
    kind : str
        ``"added"``, ``"renamed"`` or ``"merged"``.
    name : str
    into : str or None
        The new name, or the class it went into.
    """

    step: int
    kind: str
    name: str
    into: str | None = None


def clean_class_name(name: str) -> str:
    """Return the name as it is stored: trimmed, with composed accents.

    Raises
    ------
    ProjectError
        If it is empty, longer than 500 characters or holds control characters.

    Examples
    --------
    >>> clean_class_name(" cat ")
    'cat'
    """
    name = unicodedata.normalize("NFC", name.strip())
    if not name:
        raise ProjectError("A class name is empty. Give it at least one letter.")
    if len(name) > _LONGEST:
        raise ProjectError(
            f"The class name {name[:20]!r}… has {len(name)} characters, at most {_LONGEST} are "
            f"allowed. Shorten it."
        )
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise ProjectError(
            f"The class name {name!r} holds a line break or another control character. Remove it."
        )
    return name


def read_class_events(database: Database) -> list[ClassEvent]:
    """Return the class events that count, oldest first."""
    gone = undone_steps(database)
    rows = database.rows("SELECT step, kind, name, into_name FROM class_events ORDER BY id")
    return [ClassEvent(*row) for row in rows if row[0] not in gone]


def name_now(events: list[ClassEvent], label: str, step: int, *, imported: bool) -> str:
    """Return the present name of a label that was given at a step.

    Parameters
    ----------
    events : list of ClassEvent
        Those that count, oldest first.
    label : str
        The name as the event holds it.
    step : int
        When it was given.
    imported : bool
        Whether it came from a file or folder.

    Examples
    --------
    >>> renamed = [ClassEvent(2, "renamed", "cat", "kitten")]
    >>> name_now(renamed, "cat", 1, imported=False)
    'kitten'
    >>> name_now(renamed, "cat", 3, imported=False)
    'cat'
    >>> name_now(renamed, "cat", 3, imported=True)
    'kitten'
    """
    since = step
    if imported:
        added = [e.step for e in events if e.kind == "added" and e.name == label and e.step <= step]
        since = max(added, default=0)
    for event in events:
        if event.step > since and event.into is not None and event.name == label:
            label = event.into
    return label


class ClassLog:
    """The classes of a project: `Project.classes`."""

    def __init__(self, database: Database, labels: LabelLog) -> None:
        self._database = database
        self._labels = labels

    def names(self) -> list[str]:
        """Return the classes, sorted: those added by name and those that an image has."""
        events = read_class_events(self._database)
        added = {
            name_now(events, event.name, event.step, imported=False)
            for event in events
            if event.kind == "added"
        }
        used = {label.label for label in self._labels.current().values() if label.label is not None}
        return sorted(added | used)

    def events(self) -> list[ClassEvent]:
        """Return the class events that count, oldest first."""
        return read_class_events(self._database)

    def names_now(self, given: Iterable[tuple[str, int]]) -> list[str]:
        """Return the present names of labels that a person gave, each as (name, step)."""
        events = read_class_events(self._database)
        return [name_now(events, name, step, imported=False) for name, step in given]

    def add(self, *names: str) -> int:
        """Add classes, which may have no image yet; return the step (see `LabelLog.undo`)."""
        return self._append(
            [("added", clean_class_name(name), None) for name in names], "classes added"
        )

    def rename(self, name: str, new_name: str) -> int:
        """Give a class a new name; return the step.

        Raises
        ------
        ProjectError
            If there is no such class, or the new name is taken.
        """
        new_name = clean_class_name(new_name)
        if new_name in self.names():
            raise ProjectError(
                f"There already is a class {new_name!r}. To make {name!r} a part of it, "
                f"merge the two; else choose another name."
            )
        return self._append([("renamed", self._known(name), new_name)], f"rename of {name}")

    def merge(self, name: str, into: str) -> int:
        """Make all images of one class images of another; return the step.

        Raises
        ------
        ProjectError
            If one of the classes does not exist, or both are the same.
        """
        if name == into:
            raise ProjectError(f"A class cannot be merged into itself: {name!r}. Name two classes.")
        event = ("merged", self._known(name), self._known(into))
        return self._append([event], f"merge of {name} into {into}")

    def _known(self, name: str) -> str:
        known = self.names()
        if name not in known:
            raise ProjectError(
                f"There is no class {name!r}{did_you_mean(name, known)}. "
                f"Add it first, or name one that exists."
            )
        return name

    def _append(self, events: list[tuple[str, str, str | None]], what: str) -> int:
        with self._database.writing() as connection:
            step = add_step(connection, what)
            connection.executemany(
                "INSERT INTO class_events (step, kind, name, into_name) VALUES (?, ?, ?, ?)",
                [(step, *event) for event in events],
            )
        return step
