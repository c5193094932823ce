"""What comes next on whose screen; what was handed out never changes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from handful.core import Bool, Int, stream
from handful.jobs.labelling.ledger import Ledger
from handful.jobs.labelling.pool import AUDITS, Pool
from handful.jobs.labelling.training import Model
from handful.project import LabelEvent
from handful.select import more_like_these

Mode = Literal["auto", "single", "grid"]
FEWEST, MOST = 12, 48  # tiles of a page
_PURITY = 0.9  # expected share of right tiles, from which a page is offered
_FEWEST_LABELS = 3  # a class on average, before a page is offered
_BETWEEN = 10  # single images between two pages that are offered
_LEASE = 600.0  # seconds until an image that was handed out may go to somebody else
_SHOWN = 5  # classes with their probability


@dataclass(frozen=True)
class Lease:
    """An image on a screen."""

    annotator: str
    tab: str
    until: float


@dataclass
class _Turn:
    """What one person's screens have had so far."""

    singles: int = 0
    audits_due: float = 0.0
    seconds_due: float = 0.0


@dataclass
class Queue:
    """Hand out screens: single images, and pages of one proposed class.

    Parameters
    ----------
    ledger : Ledger
    n_annotators : int
        From two on, one image in ten is one that somebody else has labelled.
    random_state : int, default=0
    """

    ledger: Ledger
    n_annotators: int = 1
    random_state: int = 0
    pool: Pool = field(default_factory=Pool)
    model: Model = field(default_factory=Model)
    missing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self._leases: dict[str, Lease] = {}
        self._turns: dict[str, _Turn] = {}
        self._random = stream(self.random_state, "queue")
        self._plan: deque[int] = deque()
        self._order: dict[str, Int] = {}
        self._excess = 0.0  # of the expected share of right tiles over the one found

    def renew(self, pool: Pool, model: Model) -> None:
        """Go on with a larger pool or a new model; screens that were handed out stay."""
        order: dict[str, Int] = {}
        if model.proba is not None:
            best, sure = model.proba.argmax(axis=1), model.proba.max(axis=1)
            for code, name in enumerate(model.classes):
                rows = np.flatnonzero(best == code)
                order[name] = rows[np.argsort(-sure[rows], kind="stable")]
        with self.lock:
            self.pool, self.model = pool, model
            self._plan, self._order = deque(model.plan), order

    def answered(self, events: Sequence[LabelEvent]) -> None:
        """Take what was answered off the screens; compare a page with what was expected of it."""
        with self.lock:
            for event in events:
                self._leases.pop(event.image, None)
        shown = [event for event in events if event.suggestion and event.label]
        if len(shown) < FEWEST:
            return
        expected = np.mean([event.suggestion_probability or 0.0 for event in shown])
        right = np.mean([event.label == event.suggestion for event in shown])
        with self.lock:
            self._excess = 0.7 * self._excess + 0.3 * float(expected - right)

    def lost(self, image: str) -> None:
        """Ask no more for an image that cannot be shown."""
        with self.lock:
            self.missing.add(image)

    def leased(self) -> Int:
        """Return the rows that are on a screen."""
        with self.lock:
            self._expire()
            rows = [self.pool.row[image] for image in self._leases if image in self.pool.row]
            return np.array(rows, np.int64)

    def release(self, annotator: str, tab: str) -> None:
        """Take back what a tab had, because it was loaded again."""
        with self.lock:
            self._leases = {
                image: lease
                for image, lease in self._leases.items()
                if (lease.annotator, lease.tab) != (annotator, tab)
            }

    def hold(self, annotator: str, tab: str, images: Sequence[str]) -> None:
        """Note what a tab has on its screen or in reserve, which a restarted server does not know."""
        with self.lock:
            self._lease([name for name in images if name not in self._leases], annotator, tab)

    def is_low(self) -> bool:
        """Return whether a new plan is wanted."""
        with self.lock:
            return len(self._plan) < FEWEST

    def screens(
        self, annotator: str, tab: str, mode: Mode, n: int, tiles: int = MOST
    ) -> list[dict[str, Any]]:
        """Return the next screens of a tab, fewer where nothing is left.

        Parameters
        ----------
        annotator, tab : str
        mode : {"auto", "single", "grid"}
            Auto: a page after every ten images, where one class is sure enough.
        n : int
            Screens wanted.
        tiles : int
            That fit on a page.
        """
        with self.lock:
            self._expire()
            turn = self._turns.setdefault(f"{annotator}/{tab}", _Turn())
            found = []
            for _ in range(n):
                screen = self._screen(annotator, turn, mode, int(np.clip(tiles, FEWEST, MOST)))
                if screen is None:
                    break
                self._lease([item["image"] for item in screen["items"]], annotator, tab)
                found.append(screen)
            return found

    def alike(
        self, annotator: str, tab: str, image: str, tiles: int, title: str | None
    ) -> dict[str, Any] | None:
        """Return a page of the images most like one; ``title`` is the class it proposes."""
        with self.lock:
            row = self.pool.row.get(image)
            free = self.free_rows()
            if row is None or not len(free):
                return None
            rows = np.union1d(free, [row])
            picks = more_like_these(
                examples=np.searchsorted(rows, [row]), X=self.pool.X[rows],
                n=int(np.clip(tiles, FEWEST, MOST)),
            )  # fmt: skip
            page = self._page(title, rows[picks.indices], "like the image before")
            self._lease([item["image"] for item in page["items"]], annotator, tab)
            return page

    def page_of(self, annotator: str, tab: str, rows: Sequence[int], why: str) -> dict[str, Any]:
        """Return a page of given rows, without a proposed class."""
        with self.lock:
            page = self._page(None, np.asarray(rows, np.int64), why)
            self._lease([item["image"] for item in page["items"]], annotator, tab)
            return page

    def free_rows(self) -> Int:
        """Return the rows that may be asked for, none of those set apart for audits."""
        with self.lock:
            return np.flatnonzero(self._free() & ~self.pool.is_reserved)

    def _expire(self) -> None:
        """Take back what tabs had that were closed long ago."""
        now = time.monotonic()
        self._leases = {k: lease for k, lease in self._leases.items() if lease.until > now}

    def _lease(self, images: list[str], annotator: str, tab: str) -> None:
        lease = Lease(annotator, tab, time.monotonic() + _LEASE)
        self._leases.update(dict.fromkeys(images, lease))

    def _is_free(self, row: int) -> bool:
        image = self.pool.images[row].hash
        return not (
            image in self._leases or image in self.missing or self.ledger.is_answered(image)
        )

    def _free(self) -> Bool:
        taken = [*self._leases, *self.missing, *self.ledger.settled()]
        free = np.ones(len(self.pool), np.bool_)
        free[[self.pool.row[image] for image in taken if image in self.pool.row]] = False
        return free

    def _screen(self, annotator: str, turn: _Turn, mode: Mode, tiles: int) -> dict[str, Any] | None:
        rest: tuple[Callable[[], dict[str, Any] | None], ...] = (
            lambda: self._audit(turn),
            lambda: self._second_opinion(annotator, turn),
            lambda: self._grid(turn, mode, tiles),
            lambda: self._planned(turn),
            lambda: self._drawn(turn),
            lambda: self._audit(turn, is_due=True),
            self._unsure,
        )
        return next((screen for make in rest if (screen := make()) is not None), None)

    def _audit(self, turn: _Turn, *, is_due: bool = False) -> dict[str, Any] | None:
        """Return an image drawn uniformly from those set apart, to be answered blind."""
        if not is_due and turn.audits_due < 1:
            return None
        rows = np.flatnonzero(self._free() & self.pool.is_reserved)
        if not len(rows):
            return None
        turn.audits_due = max(0.0, turn.audits_due - 1)
        return self._single(int(self._random.choice(rows)), "audit", q=1 / len(rows))

    def _second_opinion(self, annotator: str, turn: _Turn) -> dict[str, Any] | None:
        """Return an image that somebody else has labelled, to be answered blind."""
        if turn.seconds_due < 1 or self.n_annotators < 2:
            return None
        votes = self.ledger.votes()
        rows = [
            self.pool.row[image]
            for image, said in votes.items()
            if annotator not in said and image in self.pool.row and image not in self._leases
            and image not in self.missing and image not in self.ledger.audits
        ]  # fmt: skip
        if not rows:
            return None
        turn.seconds_due -= 1
        return self._single(int(self._random.choice(rows)), "second", q=1 / len(rows))

    def _grid(self, turn: _Turn, mode: Mode, tiles: int) -> dict[str, Any] | None:
        if mode == "single" or (mode == "auto" and turn.singles < _BETWEEN):
            return None
        asked = mode == "grid"
        page = self._sure_page(tiles, takes_fewer=asked)
        if page is None and asked:
            page = self._cluster(tiles)
        if page is not None:
            turn.singles = 0
            self._owe(turn, len(page["items"]))
        return page

    def _sure_page(self, tiles: int, takes_fewer: bool) -> dict[str, Any] | None:
        """Return a page of the class with the fewest labels that has enough sure images.

        Where no class has ``FEWEST`` of them, a page of fewer or less sure ones is
        returned if ``takes_fewer``.
        """
        proba = self.model.proba
        if proba is None:
            return None
        counts, pages = self.ledger.counts(), []
        few = self.model.n_labels < _FEWEST_LABELS * len(self.model.classes)
        least = 1.0 if few else _PURITY + max(0.0, self._excess)
        free = self._free() & ~self.pool.is_reserved
        for code, name in enumerate(self.model.classes):
            order = self._order[name]
            rows = order[free[order]][:tiles]
            purity = np.cumsum(proba[rows, code]) / np.arange(1, len(rows) + 1)
            n = int((purity >= least).sum())
            if len(rows) and (n >= FEWEST or takes_fewer):
                pages.append((n < FEWEST, counts[name], name, rows[: max(n, FEWEST)]))
        if not pages:
            return None
        _, _, name, rows = min(pages, key=lambda page: page[:3])
        return self._page(name, rows, "")

    def _cluster(self, tiles: int) -> dict[str, Any] | None:
        """Return a typical image and those most like it, while there is no model to name them."""
        row = self._pop_plan()
        if row is None:
            return None
        free = self.free_rows()
        picks = more_like_these(
            examples=np.searchsorted(free, [row]), X=self.pool.space[free],
            n=min(tiles, FEWEST) - 1,
        )  # fmt: skip
        rows = np.concatenate([[row], free[picks.indices]])
        return self._page(None, rows.astype(np.int64), "images that are much alike")

    def _planned(self, turn: _Turn) -> dict[str, Any] | None:
        row = self._pop_plan()
        if row is None:
            return None
        turn.singles += 1
        self._owe(turn, 1)
        return self._single(row, "planned")

    def _pop_plan(self) -> int | None:
        while self._plan:
            row = self._plan.popleft()
            if self._is_free(row):
                return row
        return None

    def _owe(self, turn: _Turn, n: int) -> None:
        turn.audits_due += n / AUDITS
        turn.seconds_due += n / AUDITS

    def _drawn(self, turn: _Turn) -> dict[str, Any] | None:
        """Return an image drawn uniformly: the plan is used up and the next not there yet."""
        rows = self.free_rows()
        if not len(rows):
            return None
        turn.singles += 1
        self._owe(turn, 1)
        return self._single(int(self._random.choice(rows)), "drawn", q=1 / len(rows))

    def _unsure(self) -> dict[str, Any] | None:
        """Return an image that somebody was unsure of: these come last."""
        for image in self.ledger.unsure():
            row = self.pool.row.get(image)
            if row is not None and image not in self._leases:
                return self._single(row, "unsure")
        return None

    def _single(self, row: int, why: str, q: float | None = None) -> dict[str, Any]:
        blind = why in ("audit", "second")
        return {
            "kind": "single", "class": None, "why": why,
            "items": [{**self._item(row), "blind": blind, "q": q} if not blind else
                      {**self._bare(row), "blind": True, "q": q}],
        }  # fmt: skip

    def _page(self, title: str | None, rows: Int, why: str) -> dict[str, Any]:
        items = [{**self._item(int(row)), "blind": False, "q": None} for row in rows]
        return {"kind": "grid", "class": title, "why": why, "items": items}

    def _bare(self, row: int) -> dict[str, Any]:
        image = self.pool.images[row]
        return {
            "image": image.hash, "name": image.name, "suggestion": None, "probability": None,
            "top": [], "model": None,
        }  # fmt: skip

    def _item(self, row: int) -> dict[str, Any]:
        bare, model = self._bare(row), self.model
        if model.proba is None or row >= len(model.proba):
            return bare
        p = model.proba[row]
        best = np.argsort(-p, kind="stable")[:_SHOWN]
        top = [[model.classes[code], round(float(p[code]), 4)] for code in best]
        return {
            **bare, "suggestion": top[0][0], "probability": top[0][1], "top": top,
            "model": model.version,
        }  # fmt: skip
