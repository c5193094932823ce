"""Long work that the page asks for: a model file, or advice, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from handful.advise import Advice
from handful.core import HandfulError
from handful.jobs.advising import advise
from handful.jobs.class_texts import read_classes
from handful.jobs.fitting import FitResult, fit
from handful.jobs.labelling.priority import give_way
from handful.report import plans_as_text


class Errand:
    """Do one thing, once at a time, and remember how it ended last.

    Parameters
    ----------
    work : callable
        Takes nothing, returns what the page is told, as JSON values.
    """

    def __init__(self, work: Callable[[], dict[str, Any]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {"status": "none"}
        self.result: dict[str, Any] = {}
        """What the last one that succeeded found."""

    def start(self) -> None:
        """Begin, unless it is running."""
        with self._lock:
            if self._state["status"] == "running":
                return
            self._state = {"status": "running"}
            threading.Thread(target=self._run, name="handful-errand", daemon=True).start()

    def state(self) -> dict[str, Any]:
        """Return ``status`` none, running, done or failed, with what belongs to it."""
        with self._lock:
            return self._state

    def _run(self) -> None:
        give_way()
        try:
            self.result = self._work()
            state = {"status": "done", **self.result}
        except HandfulError as error:
            state = {"status": "failed", "message": str(error)}
        except Exception as error:
            state = {"status": "failed", "message": f"{type(error).__name__}: {error}"}
        with self._lock:
            self._state = state


def exporting(images: Path, options: dict[str, Any]) -> Errand:
    """Return the errand of fitting a model file; the options are those of `handful.fit`."""

    def work() -> dict[str, Any]:
        result: FitResult = fit(images, **options)
        return {
            "bundle": str(result.bundle.absolute()),
            "report": str(result.report_html),
            "accuracy": result.accuracy.as_dict(),
        }

    return Errand(work)


def advising(images: Path, options: dict[str, Any], named: Callable[[], list[str]]) -> Errand:
    """Return the errand of ranking plans for classes; the options are those of `handful.advise`."""

    def work() -> dict[str, Any]:
        classes = named()
        texts = read_classes(classes) if len(classes) > 1 else None
        advice: Advice = advise(images, classes=texts, **options)
        return plans_as_text(advice.as_dict())

    return Errand(work)
