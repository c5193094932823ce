"""What the progress panel says: accuracy over labels, pace, what more labels would bring, when to stop."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from handful.core import Bool, Estimate
from handful.jobs.labelling.pool import Pool
from handful.jobs.labelling.training import Lesson, Model, page_head
from handful.measure import acceptance_bias, audited_accuracy, gain_of_labels, learning_curve
from handful.select import agreement, stop_rule

MORE = 50  # labels of the forecast
_WINDOW = 600.0  # seconds that the pace looks back
_FEWEST_FOR_CURVE = 30
_FIRST_LOOK, _LOOK = 10, 1.3  # audits until the first look, growth until the next: each costs width
_ROUNDS = 3
_WHAT = "accuracy on the images of this folder"


@dataclass
class Pace:
    """Labels a minute, of the last ten minutes; one thread counts, others may look."""

    times: tuple[tuple[float, int], ...] = ()

    def add(self, n: int) -> None:
        """Count ``n`` labels now."""
        self.times = (*self._recent(), (time.monotonic(), n))

    def a_minute(self) -> float | None:
        """Return the pace, None while there is too little to tell."""
        times = self._recent()
        if len(times) < 2:
            return None
        minutes = (times[-1][0] - times[0][0]) / 60
        labels = sum(n for _, n in times[1:])
        return labels / max(minutes, 1 / 600)

    def _recent(self) -> list[tuple[float, int]]:
        since = time.monotonic() - _WINDOW
        return [one for one in self.times if one[0] >= since]


@dataclass
class Figures:
    """The accuracy over labels, and what follows from it.

    Parameters
    ----------
    points : list of [labels, value, low, high, audits]
        One a look; kept with the project, so that all intervals ever shown hold together.
    target : float or None
        The accuracy to reach, in ``(0, 1]``.
    """

    points: list[list[float]] = field(default_factory=list)
    target: float | None = None
    gain: Estimate = field(
        default_factory=lambda: Estimate.not_measurable("gain", "too few labels")
    )
    acceptance: Estimate = field(default_factory=lambda: acceptance_bias(*[np.empty(0)] * 4))
    agreements: list[float] = field(default_factory=list)
    _gain_at: int = 0

    @property
    def accuracy(self) -> Estimate:
        """The accuracy of the model at the last look, on the images of the folder."""
        if not self.points:
            why = f"the first look is at {_FIRST_LOOK} blind audits"
            return Estimate.not_measurable(_WHAT, why)
        labels, value, low, high, n = self.points[-1]
        how = f"blind audits, the model of {labels:.0f} labels, interval for all looks so far"
        return Estimate(value, low, high, int(n), _WHAT, how)

    def note(self, old: Model, new: Model, can_ask: Bool) -> bool:
        """Compare a model with the one before; look at its accuracy if enough audits came.

        Parameters
        ----------
        old, new : Model
        can_ask : ndarray of shape (n_pool,), bool
            Rows without a label.

        Returns
        -------
        bool
            Whether there is a new point.
        """
        self._compare(old, new, can_ask)
        audits = int(self.points[-1][4]) if self.points else 0
        if len(new.hits) < max(_FIRST_LOOK, _LOOK * audits):
            return False
        found = audited_accuracy(new.hits, look=len(self.points) + 1, what=_WHAT)
        labels = new.n_labels + len(new.hits)
        self.points.append([labels, found.value, found.low, found.high, found.n])
        return True

    def _compare(self, old: Model, new: Model, can_ask: Bool) -> None:
        if old.proba is None or new.proba is None or old.classes != new.classes:
            self.agreements = []
            return
        rows = np.flatnonzero(can_ask[: len(old.proba)])
        if len(rows):
            before, after = old.proba[rows].argmax(axis=1), new.proba[rows].argmax(axis=1)
            self.agreements = [*self.agreements, agreement(before, after)][-_ROUNDS:]

    def forecast(self, pool: Pool, what: Lesson) -> None:
        """Measure what the next labels are expected to bring, if enough came; takes seconds."""
        n = len(what.rows)
        if n < max(_FEWEST_FOR_CURVE, 1.25 * self._gain_at) or len(set(what.y)) < 2:
            return
        self._gain_at = n
        curve = learning_curve(page_head(), pool.X[what.rows], what.y, quiet=True)
        if curve.points:
            self.gain = gain_of_labels(curve, MORE)

    def as_dict(self) -> dict[str, Any]:
        """Return what the page draws."""
        stop = stop_rule(
            self.accuracy, target=self.target, agreements=self.agreements, gain=self.gain
        )
        return {
            "accuracy": self.accuracy.as_dict(),
            "points": self.points,
            "target": self.target,
            "gain": self.gain.as_dict(),
            "more": MORE,
            "acceptance": self.acceptance.as_dict(),
            "stop": stop.reason if stop.now else None,
        }
