"""The classes of the page: their order, which the keys follow, and what may be changed of them."""

from __future__ import annotations

import threading

from handful.core import ProjectError
from handful.jobs.labelling.ledger import Ledger
from handful.project import Project

_ORDER = "label_class_order"


class Names:
    """The classes in the order of their keys: that in which they first came up.

    A class that is renamed keeps its place; a new one comes last, so that no key changes
    its meaning under the hand.

    Parameters
    ----------
    project : Project
    ledger : Ledger
    """

    def __init__(self, project: Project, ledger: Ledger) -> None:
        self.project, self.ledger = project, ledger
        self._order: list[str] = list(project.setting(_ORDER) or ())
        self._kept = list(self._order)
        self._lock = threading.RLock()
        self.refresh()

    def all(self) -> list[str]:
        """Return the classes there are."""
        with self._lock:
            counts = self.ledger.counts()
            for name in sorted(counts):
                if name not in self._order:
                    self._order.append(name)
            return [name for name in self._order if name in self._known or counts[name]]

    def refresh(self) -> None:
        """Read the classes from the log."""
        with self._lock:
            self._known = set(self.project.classes.names())
            self._order += [name for name in sorted(self._known) if name not in self._order]

    def keep(self) -> None:
        """Store the order, if it changed."""
        with self._lock:
            if self._kept != self._order:
                self.project.set_setting(_ORDER, self._order)
                self._kept = list(self._order)

    def add(self, names: list[str]) -> None:
        """Add classes that are not there yet, in this order.

        Raises
        ------
        ProjectError
            If one is there already, or cannot be a name.
        """
        with self._lock:
            there = self.all()
            for name in names:
                if name.strip() in there:
                    raise ProjectError(f"There already is a class {name.strip()!r}.")
            self.project.classes.add(*names)
            before = set(self._order)
            known = set(self.project.classes.names())
            for name in names:  # their own order, not the alphabet's
                if name.strip() in known - before and name.strip() not in self._order:
                    self._order.append(name.strip())
            self.refresh()
            self.keep()

    def rename(self, name: str, into: str) -> None:
        """Give a class another name.

        Raises
        ------
        ProjectError
            If there is no such class, or the new name is taken or cannot be one.
        """
        with self._lock, self.ledger.lock:
            place = self._order.index(name) if name in self._order else None
            self.project.classes.rename(name, into)
            self.ledger.refresh()
            self._known = set(self.project.classes.names())
            new = next(iter(self._known - set(self._order)), None)
            if place is not None and new is not None:
                self._order[place] = new
            self.refresh()
            self.keep()

    def merge(self, name: str, into: str) -> None:
        """Make all images of a class images of another.

        Raises
        ------
        ProjectError
            If one of the two does not exist, or both are the same.
        """
        with self._lock, self.ledger.lock:
            self.project.classes.merge(name, into)
            self.ledger.refresh()
            self.refresh()
            self.keep()
