"""Label events: who said what about which image, and what of it holds now.

Events are only ever added. Which label an image has now follows from three rules:

1. A step that was undone does not count (`handful.project.steps`).
2. What a person said outranks what was imported; of one rank the latest wins.
3. Imported labels of one step that disagree about an image give it none: two
   class folders may hold copies of one file, and nobody has said which is right.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Literal, get_args

from handful.project.classes import clean_class_name, name_now, read_class_events
from handful.project.database import Database
from handful.project.steps import Step, add_step, all_steps, undone_steps

Kind = Literal[
    "human", "confirmed", "imported", "audit", "unsure", "none_of_these", "retracted"
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)
_NEED_LABEL = ("human", "confirmed", "audit")
_FORBID_LABEL = ("unsure", "none_of_these", "retracted")


@dataclass(frozen=True)
class LabelEvent:
    """One thing said about the class of one image.

    Parameters
    ----------
    image : str
        Content hash.
    label : str or None
        The class. None for unsure, none_of_these and retracted, and for an
        import that takes the label away.
    kind : str, default="human"
        ``human`` (chosen by a person), ``confirmed`` (a suggestion accepted),
        ``audit`` (a blind answer for measuring), ``unsure`` (cannot tell),
        ``none_of_these`` (no class fits), ``retracted`` (label taken away) or
        ``imported``.
    blind, flagged : bool, default=False
        No suggestion was shown on purpose; marked for a second look.
    annotator : str, default=""
    suggestion, suggestion_probability, model_version : optional
        What was shown, its probability in ``[0, 1]``, and by which model.
    q : float, optional
        Probability with which the image was picked, in ``(0, 1]``.
    milliseconds : int, optional
        From showing the image to the answer.

    Examples
    --------
    >>> LabelEvent("00ff", "cat").kind
    'human'
    """

    image: str
    label: str | None
    kind: Kind = "human"
    blind: bool = False
    flagged: bool = False
    annotator: str = ""
    suggestion: str | None = None
    suggestion_probability: float | None = None
    model_version: str | None = None
    q: float | None = None
    milliseconds: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(
                f"The kind of a label event must be one of {KINDS}. Got {self.kind!r}."
            )
        if self.kind in _NEED_LABEL and self.label is None:
            raise ValueError(f"A label event of kind {self.kind!r} needs a label. Got None.")
        if self.kind in _FORBID_LABEL and self.label is not None:
            raise ValueError(f"A {self.kind!r} event has no label. Got {self.label!r}.")
        if self.label is not None:
            object.__setattr__(self, "label", clean_class_name(self.label))


@dataclass(frozen=True)
class LoggedEvent:
    """A label event as the log holds it.

    Parameters
    ----------
    step : int
        The step it belongs to.
    time : str
        UTC, ISO 8601.
    counts : bool
        False once its step was undone.
    event : LabelEvent
    """

    step: int
    time: str
    counts: bool
    event: LabelEvent


@dataclass(frozen=True)
class Label:
    """What holds about the class of one image now.

    Parameters
    ----------
    label : str or None
        The class under its present name; None when there is none.
    kind : str
        Kind of the event that decided, see `LabelEvent`.
    disputed : tuple of str, default=()
        The classes, when imported labels of one step disagree.
    """

    label: str | None
    kind: str
    disputed: tuple[str, ...] = ()


_COLUMNS = [field.name for field in fields(LabelEvent)]
_INSERT = (
    f"INSERT INTO label_events (step, {', '.join(_COLUMNS)}) "
    f"VALUES (?{', ?' * len(_COLUMNS)})"
)  # fmt: skip


def append_label_events(
    connection: sqlite3.Connection, step: int, events: Iterable[LabelEvent]
) -> None:
    """Append events to a step inside the running transaction."""
    rows = [(step, *(getattr(event, name) for name in _COLUMNS)) for event in events]
    connection.executemany(_INSERT, rows)


class LabelLog:
    """The label events of a project: `Project.labels`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, events: Iterable[LabelEvent], *, what: str = "labels") -> int:
        """Append events as one step, durably, and return the step's number.

        Parameters
        ----------
        events : iterable of LabelEvent
            One answer or a whole page; `undo` takes all of them back at once.
        what : str, default="labels"
            A name for the step.

        Raises
        ------
        ValueError
            If there is no event, or an image was never part of the project.
        ProjectError
            If the database cannot be written, such as when the disk is full:
            then none of the events is kept.
        """
        events = list(events)
        if not events:
            raise ValueError("At least one label event is needed. Got none.")
        with self._database.writing() as connection:
            step = add_step(connection, what)
            append_label_events(connection, step, events)
        return step

    def undo(self, step: int | None = None, *, annotator: str | None = None) -> int | None:
        """Take a step back, by a new step; undoing that one is a redo.

        Parameters
        ----------
        step : int, optional
            The step. By default the latest that counts and that a person made
            (not an import).
        annotator : str, optional
            Without ``step``: only steps in which this annotator labelled.

        Returns
        -------
        int or None
            Number of the undoing step; None when there is nothing to undo.

        Raises
        ------
        ValueError
            If there is no such step, or it is undone already.
        """
        with self._database.writing() as connection:
            steps = {s.number: s for s in all_steps(self._database)}
            target = self._latest(steps, annotator) if step is None else step
            if target is None:
                return None
            if target not in steps or not steps[target].counts:
                state = "is undone already" if target in steps else "does not exist"
                raise ValueError(f"Step {target} {state}. `steps()` lists those that count.")
            return add_step(connection, "undo", undoes=target)

    def redo(self) -> int | None:
        """Take the latest `undo` back, unless a person has done something since.

        Returns
        -------
        int or None
            Number of the new step; None when there is nothing to redo.
        """
        with self._database.writing() as connection:
            steps = {s.number: s for s in all_steps(self._database)}
            for step in sorted(steps.values(), key=lambda s: -s.number):
                if step.undoes is None and not step.imported:
                    return None
                if step.counts and step.undoes is not None and _is_by_hand(steps[step.undoes]):
                    return add_step(connection, "redo", undoes=step.number)
            return None

    def steps(self) -> list[Step]:
        """Return every step, oldest first."""
        return all_steps(self._database)

    def events(self) -> list[LoggedEvent]:
        """Return every label event, oldest first, undone ones too."""
        gone = undone_steps(self._database)
        rows = self._database.rows(
            f"SELECT step, time, {', '.join(_COLUMNS)} FROM label_events JOIN steps USING (step) "
            f"ORDER BY id"
        )
        return [LoggedEvent(s, time, s not in gone, _event(row)) for s, time, *row in rows]

    def current(self) -> dict[str, Label]:
        """Return what holds now, by content hash; images of which nothing was said are absent."""
        gone, renames = undone_steps(self._database), read_class_events(self._database)
        rows = self._database.rows(
            "SELECT image, label, kind, step FROM label_events ORDER BY kind = 'imported' DESC, id"
        )
        current: dict[str, Label] = {}
        decided: dict[str, int] = {}
        for image, label, kind, step in rows:
            if step in gone:
                continue
            imported = kind == "imported"
            if renames and label is not None:
                label = name_now(renames, label, step, imported=imported)
            new = Label(label, kind)
            if imported and decided.get(image) == step:
                new = _together(current[image], label)
            current[image], decided[image] = new, step
        return current

    def _latest(self, steps: dict[int, Step], annotator: str | None) -> int | None:
        candidates = {s.number for s in steps.values() if s.counts and _is_by_hand(s)}
        if annotator is not None:
            rows = self._database.rows(
                "SELECT DISTINCT step FROM label_events WHERE annotator = ?", annotator
            )
            candidates &= {step for (step,) in rows}
        return max(candidates, default=None)


def _is_by_hand(step: Step) -> bool:
    return not step.imported and step.undoes is None


def _event(row: list[object]) -> LabelEvent:
    values = dict(zip(_COLUMNS, row, strict=True))
    return LabelEvent(**{**values, "blind": bool(row[3]), "flagged": bool(row[4])})  # type: ignore[arg-type]


def _together(said: Label, label: str | None) -> Label:
    """Return what two imported labels of one step say about one image."""
    classes = {*said.disputed, said.label, label} - {None}
    if len(classes) < 2:
        return Label(next(iter(classes), None), "imported")
    return Label(None, "imported", tuple(sorted(name for name in classes if name is not None)))
