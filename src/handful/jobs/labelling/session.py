"""One session of labelling a folder: what the page asks of this side."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from handful.core import HandfulError, ProjectError
from handful.jobs.backbone import BackboneChoice
from handful.jobs.labelling.errand import advising, exporting
from handful.jobs.labelling.figures import Figures, Pace
from handful.jobs.labelling.ledger import Ledger
from handful.jobs.labelling.names import Names
from handful.jobs.labelling.pictures import SIDES, Pictures
from handful.jobs.labelling.pool import Gathering, Pool
from handful.jobs.labelling.priority import give_way
from handful.jobs.labelling.queue import MOST, Mode, Queue
from handful.jobs.labelling.review import second_looks, together
from handful.jobs.labelling.suggesting import Suggested, Suggestions
from handful.jobs.labelling.training import lesson, train
from handful.jobs.near_duplicates import copies_among
from handful.measure import acceptance_bias
from handful.project import Project

EVERY, AFTER = 10, 15.0  # labels, and seconds, until the model is fitted again
_SETTING = "label_page"  # tokens and port, so that an open tab finds a restarted server
_CURVE = "label_curve"
_LOG = logging.getLogger(__name__)


class Labelling:
    """A folder being labelled; every method may be called from several threads.

    Nothing that a person waits for waits for a model: scanning, embedding and
    training happen in threads, and what they find is put in place in one step.

    Parameters
    ----------
    images : Path
        The folder.
    annotators : sequence of str, default=("",)
        Who labels.
    classes : sequence of str, default=()
        Classes to begin with.
    suggest : Path, optional
        A model file that proposes classes until the page's own model is right more often; its classes
        are among those to begin with.
    backbone : BackboneChoice, optional
    fit_options : dict, optional
        ``output``, ``method`` and the like of `handful.fit`, for the model file; the
        page's own model is a linear probe.
    target : float, optional
        Accuracy in ``(0, 1]`` at which the page says that one may stop.
    project_dir : Path, optional
    random_state : int, default=0

    Raises
    ------
    ProjectError
        If there is no such folder, it cannot be written, or a class cannot be one.

    Examples
    --------
    >>> with Labelling(Path("photos"), annotators=["Ann"]) as labelling:  # doctest: +SKIP
    ...     labelling.state("Ann")["labelled"]
    0
    """

    def __init__(  # noqa: PLR0913 - what can be chosen of a session
        self,
        images: Path,
        *,
        annotators: Sequence[str] = ("",),
        classes: Sequence[str] = (),
        suggest: Path | None = None,
        backbone: BackboneChoice | None = None,
        fit_options: dict[str, Any] | None = None,
        target: float | None = None,
        project_dir: Path | None = None,
        random_state: int = 0,
    ) -> None:
        self._suggestions = Suggestions(suggest) if suggest else None
        classes = [*classes, *(self._suggestions.classes if self._suggestions else ())]
        self.project = Project.open(images, project_dir=project_dir)
        # a connection of their own for the threads: an answer never waits for one of theirs
        self._apart = Project.open(images, project_dir=project_dir)
        self.annotators = list(dict.fromkeys(annotators)) or [""]
        self.choice = backbone or BackboneChoice()
        self.ledger = Ledger(self.project)
        self.names = Names(self.project, self.ledger)
        if new := [name for name in classes if name.strip() not in self.names.all()]:
            self.names.add(list(dict.fromkeys(new)))
        if self._suggestions:
            self._suggestions.begin(self.project)
        self.queue = Queue(self.ledger, len(self.annotators), random_state)
        self.figures = Figures(self.project.setting(_CURVE) or [], target)
        options: dict[str, Any] = {
            "project_dir": project_dir, "backbone": self.choice, "random_state": random_state, "quiet": True,
        }  # fmt: skip
        root = self.project.root
        self.exporting = exporting(root, options | (fit_options or {}))
        self.advising = advising(root, options, self.names.all)
        self._pictures = Pictures()
        self._reader: Any = None  # of the texts that are searched for, from the first on
        self._pace = {name: Pace() for name in self.annotators}
        self._gathering = Gathering(self._apart, self.choice, self._grown)
        self._wake = threading.Event()
        self._is_stopping = threading.Event()
        self._trained_at = (-1, -1, 0.0)  # changes of the ledger, rows of the pool, when
        self._worker = threading.Thread(target=self._work, name="handful-train", daemon=True)

    def __enter__(self) -> Labelling:
        self._gathering.start()
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopping.set()
        self._wake.set()
        self._gathering.stop()
        self._worker.join(timeout=5.0)  # a training or a forecast may still run
        self._apart.close()
        self.project.close()

    @property
    def title(self) -> str:
        """The name of the folder."""
        return self.project.root.name

    def tokens(self) -> dict[str, str]:
        """Return the annotator of each token: the same as in the last session."""
        kept = self.project.setting(_SETTING) or {}
        tokens = {
            name: kept.get("tokens", {}).get(name) or secrets.token_urlsafe(18)
            for name in self.annotators
        }
        self.project.set_setting(_SETTING, {**kept, "tokens": kept.get("tokens", {}) | tokens})
        return {token: name for name, token in tokens.items()}

    @property
    def port(self) -> int | None:
        """The port of the last session."""
        kept = self.project.setting(_SETTING) or {}
        port: int | None = kept.get("port")
        return port

    @port.setter
    def port(self, port: int) -> None:
        self.project.set_setting(_SETTING, {**(self.project.setting(_SETTING) or {}), "port": port})

    def state(self, annotator: str) -> dict[str, Any]:
        """Return everything that changes while one looks, as JSON values."""
        gathering, model, ledger = self._gathering, self.queue.model, self.ledger
        counts = ledger.counts()
        last = ledger.latest(annotator)
        return {
            "stage": gathering.stage,
            "message": gathering.message,
            "images": gathering.total or len(gathering.images),
            "embedded": gathering.done,
            "ready": len(self.queue.pool),
            "labelled": counts.total(),
            "classes": [[name, counts[name]] for name in self.names.all()],
            "model": model.number,
            "model_labels": model.n_labels,
            "model_source": model.source,
            "model_age": round(time.monotonic() - model.time, 1) if model.number else None,
            "pace": self._pace[annotator].a_minute(),
            "progress": self.figures.as_dict(),
            "undo": last.step if last else None,
            "annotators": len(self.annotators),
            "export": self.exporting.state(),
            "advice": self.advising.state(),
        }

    def screens(
        self, annotator: str, tab: str, mode: Mode = "auto", n: int = 1, tiles: int = MOST,
        *, is_new: bool = False, held: Sequence[str] = (),
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Return the next screens; see `Queue.screens`.

        ``is_new``: the tab was just loaded, and has nothing; ``held``: images that it has.
        """
        if is_new:
            self.queue.release(annotator, tab)
        self.queue.hold(annotator, tab, held)
        found = self.queue.screens(annotator, tab, mode, n, tiles)
        if self.queue.is_low():
            self._wake.set()
        return found

    def answer(self, annotator: str, messages: Sequence[Any]) -> list[dict[str, Any]]:
        """Write what a person said; see `Ledger.write`. What is returned is durable."""
        before = self.ledger.counts().total()
        results, new = self.ledger.write(annotator, messages, self._gathering.images)
        for done in new:
            self.queue.answered(done.events)
        self.names.all()  # a new class gets its place now
        self.names.keep()
        if (more := self.ledger.counts().total() - before) > 0:
            self._pace[annotator].add(more)
        self._wake.set()
        return results

    def last(self, annotator: str) -> dict[str, Any] | None:
        """Return the latest step of an annotator that counts, with its images as a screen's."""
        done = self.ledger.latest(annotator)
        if done is None:
            return None
        images = self._gathering.images
        items: list[dict[str, Any]] = [
            {
                "image": event.image, "label": event.label, "kind": event.kind,
                "name": images[event.image].name if event.image in images else "",
                "suggestion": None if event.blind else event.suggestion,
                "probability": None if event.blind else event.suggestion_probability,
                "model": event.model_version, "blind": event.blind, "q": event.q, "top": [],
                "flagged": event.flagged,
            }
            for event in done.events
        ]  # fmt: skip
        return {"step": done.step, "items": items}

    def alike(self, annotator: str, tab: str, image: str, tiles: int) -> dict[str, Any] | None:
        """Return a page of the images most like one, None where there is none."""
        return self.queue.alike(annotator, tab, image, tiles, self.ledger.label(image))

    @property
    def can_search(self) -> bool:
        """Whether the backbone also reads text."""
        work = self._gathering.work
        return work is not None and (self.choice.reads_text or hasattr(work.backbone, "embed_text"))

    def search(self, annotator: str, tab: str, text: str, tiles: int) -> dict[str, Any] | None:
        """Return a page of the images that fit a text best, None where none is left.

        Raises
        ------
        ProjectError
            If the backbone does not read text.
        """
        work = self._gathering.work
        if work is None or not self.can_search:
            raise ProjectError("The backbone does not read text. Press / on an image for its like.")
        rows = self.queue.free_rows()
        if not len(rows):
            return None
        images = [self.queue.pool.images[row].hash for row in rows]
        vectors = work.store.rows(images)
        if self._reader is None:
            self._reader = self.choice.text_encoder() or work.backbone
        wanted = self._reader.embed_text([text])[0]
        fit_ = (vectors @ wanted) / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
        best = rows[np.argsort(-fit_, kind="stable")[:tiles]]
        return self.queue.page_of(annotator, tab, best.tolist(), f"found by “{text}”")

    def review(self) -> dict[str, Any]:
        """Return what deserves a second look, and how the annotators agree."""
        images = self._gathering.images
        looks = second_looks(self.ledger, self.queue.pool, self.queue.model)
        for look in looks:
            look["name"] = images[look["image"]].name if look["image"] in images else ""
        return {
            "looks": [look for look in looks if look["image"] in images],
            "together": together(self.ledger),
        }

    def change_class(self, do: str, name: str, into: str = "") -> None:
        """Add, rename or merge a class.

        Raises
        ------
        ProjectError
            With what is wrong.
        ValueError
            If ``do`` is none of these.
        """
        if do == "add":
            self.names.add([name])
        elif do == "rename":
            self.names.rename(name, into)
        elif do == "merge":
            self.names.merge(name, into)
        else:
            raise ValueError(f"A class can be added, renamed and merged. Got {do!r}.")
        self.ledger.changes += 1
        self._wake.set()

    def set_target(self, target: float | None) -> None:
        """Choose the accuracy at which one may stop, in ``(0, 1]``; None for none."""
        if target is not None and not 0 < target <= 1:
            raise ValueError(f"The target is a share above 0 and at most 1. Got {target!r}.")
        self.figures.target = target

    def picture(self, image: str, side: int) -> tuple[bytes, str]:
        """Return a copy of an image for the page, and its media type.

        Raises
        ------
        LookupError
            If there is no such image or no such side.
        FileNotFoundError, ImageError
            If it is gone, or damaged: it is not asked for again.
        """
        found = self._gathering.images.get(image)
        if found is None or side not in SIDES:
            raise LookupError(f"There is no image {image!r} of side {side}.")
        try:
            return self._pictures.get(found, side, self._gathering.white)
        except (FileNotFoundError, HandfulError):
            self.queue.lost(image)
            raise

    def export(self) -> None:
        """Begin to fit and write the model file; `state` says how far it is."""
        self.exporting.start()

    @property
    def bundle(self) -> Path | None:
        """The model file, once it is written."""
        written = self.exporting.result.get("bundle")
        return Path(written) if written else None

    def advise(self) -> None:
        """Begin to rank the plans; `state` has them when they are there."""
        self.advising.start()

    def _grown(self, pool: Pool) -> None:
        self.queue.renew(pool, self.queue.model)
        self._wake.set()

    def _work(self) -> None:
        """Train whenever there is a reason, until the session ends."""
        give_way()
        while not self._is_stopping.is_set():
            self._wake.wait(1.0)
            self._wake.clear()
            pool = self._gathering.pool
            if self._is_stopping.is_set() or not len(pool) or not self._is_due(pool):
                continue
            try:
                with threadpool_limits(1, user_api="blas"):  # its helpers would not give way
                    self._train(pool)
            except Exception as error:
                if self._is_stopping.is_set() and isinstance(error, sqlite3.ProgrammingError):
                    return  # the project was closed under the last training
                if isinstance(error, HandfulError):
                    self._gathering.message = str(error)
                else:
                    _LOG.exception("The page's model could not be trained; more labels try again.")
                self._trained_at = (self.ledger.changes, len(pool), time.monotonic())

    def _is_due(self, pool: Pool) -> bool:
        changes, rows, when = self._trained_at
        new = self.ledger.changes - changes
        waited = time.monotonic() - when
        is_more = new >= EVERY or (new > 0 and waited >= AFTER)
        return is_more or len(pool) > rows or (self.queue.is_low() and new > 0)

    def _train(self, pool: Pool) -> None:
        self.ledger.refresh()
        changes = self.ledger.changes
        what = lesson(pool, self.ledger, self._copies(pool))
        old = self.queue.model
        new = train(pool, what, old.number, self.queue.leased(), self._suggested(pool))
        if self._is_stopping.is_set():
            return
        self.queue.renew(pool, new)
        self._trained_at = (changes, len(pool), time.monotonic())
        can_ask = np.ones(len(pool), np.bool_)
        can_ask[what.rows] = can_ask[what.closed] = can_ask[what.audits] = False
        if self.figures.note(old, new, can_ask):
            self._apart.set_setting(_CURVE, self.figures.points)
        self.figures.acceptance = acceptance_bias(*self.ledger.suggested(), new.hits, new.sure)
        self.figures.forecast(pool, what)

    def _suggested(self, pool: Pool) -> Suggested | None:
        work = self._gathering.work
        if self._suggestions is None or work is None:
            return None
        return self._suggestions.of(pool, work, self._apart)

    def _copies(self, pool: Pool) -> set[str]:
        """Return the images that show the same picture as an audit."""
        work, audits = self._gathering.work, self.ledger.audits
        if work is None or not audits:
            return set()
        labelled = [image for image in pool.images if self.ledger.label(image.hash) is not None]
        blind = [image for image in labelled if image.hash in audits]
        others = [image for image in labelled if image.hash not in audits]
        return copies_among(work, blind, others, quiet=True)
