"""From the page to a model file: `handful.fit` in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from handful.core import HandfulError
from handful.jobs.labelling.priority import give_way


class Exporting:
    """Run one fit at a time and remember how the last one ended.

    Parameters
    ----------
    fit : callable
        Takes nothing, returns a `handful.jobs.FitResult`.
    """

    def __init__(self, fit: Callable[[], Any]) -> None:
        self._fit = fit
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {"status": "none"}
        self.bundle: Path | None = None

    def start(self) -> None:
        """Begin, unless one is running."""
        with self._lock:
            if self._state["status"] == "running":
                return
            self._state = {"status": "running"}
            threading.Thread(target=self._run, name="handful-export", daemon=True).start()

    def state(self) -> dict[str, Any]:
        """Return ``status`` none, running, done or failed, with what belongs to it."""
        with self._lock:
            return self._state

    def _run(self) -> None:
        give_way()
        try:
            result = self._fit()
            self.bundle = result.bundle.absolute()
            state = {
                "status": "done",
                "bundle": str(self.bundle),
                "report": str(result.report_html),
                "accuracy": result.accuracy.as_dict(),
            }
        except HandfulError as error:
            state = {"status": "failed", "message": str(error)}
        except Exception as error:
            state = {"status": "failed", "message": f"{type(error).__name__}: {error}"}
        with self._lock:
            self._state = state
