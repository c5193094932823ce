"""What holds about every image now, kept in memory beside the log on disk.

A message is acknowledged only after its transaction was committed. Its id is
the name of its step, so that a message sent again, after a lost answer or a
restart, is known and not written twice.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handful.core import Bool, Float64, ProjectError
from handful.jobs.labelling.answers import Answers, Undo, parse
from handful.project import Label, LabelEvent, Project

_NAME = "page "  # a step of the page is named by this and the id of its message
_ANSWERED = ("unsure", "none_of_these")


@dataclass(frozen=True)
class Done:
    """A step of one annotator that counts."""

    step: int
    id: str
    events: tuple[LabelEvent, ...]


def is_answer(said: Label) -> bool:
    """Return whether this settles an image: nobody need look at it again."""
    return said.label is not None or said.kind in _ANSWERED


class Ledger:
    """The labels of a project as a page needs them; every method may be called from any thread.

    Parameters
    ----------
    project : Project
        Open; no other process should write labels meanwhile, but it may (see `refresh`).
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.lock = threading.RLock()
        self.changes, self._counted_at = 0, -1
        self._counts = Counter[str]()
        self._read()

    def refresh(self) -> None:
        """Read the log again if another process wrote to it."""
        with self.lock:
            if self._last_step() != self._step:
                self._read()
                self.changes += 1

    def is_answered(self, image: str) -> bool:
        """Return whether nobody need look at an image again."""
        said = self.current.get(image)
        return said is not None and is_answer(said)

    def settled(self) -> list[str]:
        """Return the images that nobody need look at again."""
        with self.lock:
            return [image for image, said in self.current.items() if is_answer(said)]

    def unsure(self) -> list[str]:
        """Return the images that somebody was unsure of."""
        with self.lock:
            return [image for image, said in self.current.items() if said.kind == "unsure"]

    def label(self, image: str) -> str | None:
        """Return the class of an image."""
        said = self.current.get(image)
        return said.label if said else None

    def counts(self) -> Counter[str]:
        """Return the number of images of each class."""
        with self.lock:
            if self._counted_at != self.changes:
                labels = (said.label for said in self.current.values())
                self._counts = Counter(label for label in labels if label is not None)
                self._counted_at = self.changes
            return self._counts

    def votes(self) -> dict[str, dict[str, str]]:
        """Return the last class that each annotator gave each image."""
        with self.lock:
            return {
                image: {who: label for who, (label, _) in said.items()}
                for image, said in self._votes.items()
            }

    def suggested(self) -> tuple[Bool, Float64]:
        """Return whether each suggestion that was shown was taken, and its probability."""
        with self.lock:
            shown = [
                (event.label == event.suggestion, event.suggestion_probability)
                for stack in self._stacks.values()
                for done in stack
                for event in done.events
                if event.label and not event.blind and event.suggestion_probability is not None
            ]
        return np.array([taken for taken, _ in shown], bool), np.array([p for _, p in shown], float)

    def latest(self, annotator: str) -> Done | None:
        """Return the latest step of an annotator that counts."""
        with self.lock:
            stack = self._stacks[annotator]
            return stack[-1] if stack else None

    def write(
        self, annotator: str, messages: Sequence[Any], known: Container[str]
    ) -> tuple[list[dict[str, Any]], list[Done]]:
        """Write messages of a page in one transaction, and return what became of each.

        Parameters
        ----------
        annotator : str
        messages : sequence of JSON values
            See `parse`.
        known : container of str
            Hashes of the images there are.

        Returns
        -------
        results : list of dict
            ``{"id", "step"}``, or ``{"id", "refused": message}`` for one that can never
            be written. All are durable.
        new : list of Done
            The steps that were not there before, undos left out.

        Raises
        ------
        ProjectError
            If nothing could be written, as on a full disk.
        """
        with self.lock:
            checked = [self._checked(said, annotator, known) for said in messages]
            new: list[Done] = []
            try:
                with self.project.database.writing():
                    results = [self._written(message, annotator, new) for message in checked]
            except BaseException:
                self._read()  # what was noted of the transaction did not happen
                raise
            self._step = self._last_step()
            self.changes += 1
            return results, new

    def _checked(self, said: Any, annotator: str, known: Container[str]) -> Any:
        """Return a message, or the refusal of one that can never be written."""
        try:
            message = parse(said, annotator)
            if isinstance(message, Answers):
                for event in message.events:
                    if event.image not in known and event.image not in self.current:
                        raise ValueError("The image is no longer in the folder.")
            return message
        except (ValueError, ProjectError) as error:
            name = said.get("id") if isinstance(said, dict) else None
            return {"id": name if isinstance(name, str) else "", "refused": str(error)}

    def _written(self, message: Any, annotator: str, new: list[Done]) -> dict[str, Any]:
        if isinstance(message, Answers):
            step = self._seen.get(message.id)
            if step is None:
                step = self.project.labels.add(message.events, what=_NAME + message.id)
                new.append(Done(step, message.id, message.events))
                self._note(new[-1], annotator)
            return {"id": message.id, "step": step}
        if isinstance(message, Undo):
            return self._undone(message, annotator)
        refusal: dict[str, Any] = message
        return refusal

    def _undone(self, message: Undo, annotator: str) -> dict[str, Any]:
        step = self._seen.get(message.step) if isinstance(message.step, str) else message.step
        state = next((s for s in self.project.labels.steps() if s.number == step), None)
        own = step in {done.step for done in self._stacks[annotator]}
        if state is None or (state.counts and not own):
            return {"id": message.id, "refused": "There is no such step to take back."}
        if state.counts:
            self.project.labels.undo(step)
            self._read()
        return {"id": message.id, "step": state.number}

    def _note(self, done: Done, annotator: str) -> None:
        self._seen[done.id] = done.step
        self._stacks[annotator].append(done)
        for event in done.events:
            self.current[event.image] = Label(event.label, event.kind)
            self._remember(event, done.step)

    def _remember(self, event: LabelEvent, step: int) -> None:
        self.times_said[event.image] += 1
        if event.kind == "audit":
            self.audits.add(event.image)
        (self.flagged.add if event.flagged else self.flagged.discard)(event.image)
        if event.label is not None:
            self._votes[event.image][event.annotator] = (event.label, step)

    def _rename_votes(self) -> None:
        if not any(event.into for event in self.project.classes.events()):
            return
        given = [vote for said in self._votes.values() for vote in said.values()]
        names = iter(self.project.classes.names_now(given))
        for said in self._votes.values():
            for who, (_, step) in said.items():
                said[who] = (next(names), step)

    def _read(self) -> None:
        """Read everything from the log."""
        labels = self.project.labels
        self.current = labels.current()
        names = {s.number: s.what for s in labels.steps() if not s.imported and s.undoes is None}
        self._seen = {
            what.removeprefix(_NAME): step for step, what in names.items() if what.startswith(_NAME)
        }
        self._votes: dict[str, dict[str, tuple[str, int]]] = defaultdict(dict)
        self.times_said: Counter[str] = Counter()
        self.audits, self.flagged = set[str](), set[str]()
        together: dict[tuple[str, int], list[LabelEvent]] = defaultdict(list)
        for logged in labels.events():
            if logged.counts and logged.step in names:
                together[logged.event.annotator, logged.step].append(logged.event)
                self._remember(logged.event, logged.step)
        self._rename_votes()
        self._stacks: dict[str, list[Done]] = defaultdict(list)
        for (annotator, step), events in together.items():
            name = names[step].removeprefix(_NAME)
            self._stacks[annotator].append(Done(step, name, tuple(events)))
        self._step = self._last_step()

    def _last_step(self) -> int:
        return int(self.project.database.rows("SELECT coalesce(max(step), 0) FROM steps")[0][0])
