"""What each plan gave on image sets where it was tried: the benchmarks' rows, and forecasts from them.

A forecast is made set by set: the rows of one set are averaged, those at a like number of labels
counting most; then the sets are averaged, and their spread is the error for a new set. Gains are in
log-odds, so that what lifts 50 % by ten points lifts 90 % by three.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit

FILE = Path(__file__).parent / "evidence.json"
_NEAR = 1.0  # doublings of the labels at which a row counts 0.6 of one at the same number
_ALIKE = 0.15  # difference of the names' skill at which it does
_USUAL, _USUAL_SETS = 0.4, 2.0  # spread of log-odds between sets, and the sets it counts for
_FAR = 0.1  # log-odds that a doubling away from the nearest row adds to the error
_LEAST_LABELS = 0.25  # a class: fewer count as so many


@dataclass(frozen=True)
class Row:
    """One plan on one image set.

    Parameters
    ----------
    image_set : str
        The set it was measured on.
    plan : str
    labels : float
        Labels a class.
    classes : int
    accuracy, probe : float
        Of the plan, and of the linear probe on the same labels; fractions.
    source : str
        The benchmark's result file.
    names : float or None
        Share of the way from guessing to perfection of the classes' names alone.
    minutes : float or None
        CPU minutes of the training, None for plans on vectors.
    """

    image_set: str
    plan: str
    labels: float
    classes: int
    accuracy: float
    probe: float
    source: str
    names: float | None = None
    minutes: float | None = None

    @property
    def gain(self) -> float:
        """Log-odds of the accuracy less those of the probe's."""
        return _log_odds(self.accuracy) - _log_odds(self.probe)

    @property
    def skill(self) -> float:
        """Log-odds of the probe's way from guessing to perfection."""
        chance = 1 / self.classes
        return _log_odds((self.probe - chance) / (1 - chance))


@dataclass(frozen=True)
class Prior:
    """What other image sets let expect.

    Parameters
    ----------
    value, error : float
        Mean and standard error for a new set, in log-odds.
    sets : tuple of str
        The sets it rests on.
    sources : tuple of str
        The result files.
    minutes : float
        Median CPU minutes of the training, 0 for plans on vectors.
    """

    value: float
    error: float
    sets: tuple[str, ...]
    sources: tuple[str, ...]
    minutes: float = 0.0

    @property
    def where(self) -> str:
        """The rows in words."""
        return f"{', '.join(self.sources)} on {', '.join(self.sets)}"


@dataclass(frozen=True)
class Evidence:
    """Rows of benchmarks.

    Examples
    --------
    >>> rows = [Row(name, "finetune", 20, 10, 0.82, 0.8, "finetune_few") for name in ("a", "b")]
    >>> evidence = Evidence(tuple(rows))
    >>> evidence.gain("finetune", 20).sets, evidence.without("a").gain("finetune", 20).sets
    (('a', 'b'), ('b',))
    >>> evidence.without("a").without("b").gain("finetune", 20) is None
    True
    """

    rows: tuple[Row, ...]

    def without(self, image_set: str) -> Evidence:
        """Return the rows of all other sets."""
        return Evidence(tuple(row for row in self.rows if row.image_set != image_set))

    def gain(self, plan: str, labels: float, names: float | None = None) -> Prior | None:
        """Return what a plan gains over the probe at so many labels a class, None without a row.

        Parameters
        ----------
        plan : str
        labels : float
        names : float, optional
            Skill of the names here: sets where they do as well count most.
        """
        rows = [row for row in self.rows if row.plan == plan]
        return _forecast(rows, lambda row: row.gain, labels, names)

    def probe(self, labels: float) -> Prior | None:
        """Return the log-odds of the probe's skill at so many labels a class."""
        rows = [row for row in self.rows if row.plan == "prototypes"]  # one a situation
        return _forecast(rows, lambda row: row.skill, labels)


def read_evidence(rows: Iterable[dict[str, Any]]) -> Evidence:
    """Return rows that were read from JSON."""
    known = {field.name for field in fields(Row)}
    return Evidence(tuple(Row(**{k: v for k, v in row.items() if k in known}) for row in rows))


@cache
def packaged_evidence() -> Evidence:
    """Return the rows that come with handful, made by ``benchmarks/evidence.py``."""
    return read_evidence(json.loads(FILE.read_text(encoding="utf-8"))["rows"])


def moved(share: float, step: float) -> float:
    """Return a share after a step of its log-odds.

    Examples
    --------
    >>> round(moved(0.5, 0.4), 3), round(moved(0.9, 0.4), 3)
    (0.599, 0.931)
    """
    return float(expit(_log_odds(share) + step))


def _log_odds(share: float) -> float:
    return float(logit(min(max(share, 0.005), 0.995)))


def _forecast(
    rows: Sequence[Row], value: Callable[[Row], float], labels: float, names: float | None = None
) -> Prior | None:
    if not rows:
        return None
    sets: dict[str, list[Row]] = {}
    for row in rows:
        sets.setdefault(row.image_set, []).append(row)
    means = np.array([_mean(own, value, labels) for own in sets.values()])
    worth = np.array([_likeness(own, names) for own in sets.values()])
    share = worth / worth.sum()
    spread = float(share @ np.square(means - share @ means)) * len(sets)
    variance = (spread + _USUAL_SETS * _USUAL**2) / (len(sets) - 1 + _USUAL_SETS)
    far = min(_doublings(row.labels, labels) for row in rows)
    minutes = [row.minutes for row in rows if row.minutes is not None]
    return Prior(
        value=float(share @ means),
        error=math.sqrt(variance * (1 + float(share @ share)) + (_FAR * far) ** 2),
        sets=tuple(sets),
        sources=tuple(dict.fromkeys(row.source for row in rows)),
        minutes=float(np.median(minutes)) if minutes else 0.0,
    )


def _mean(rows: Sequence[Row], value: Callable[[Row], float], labels: float) -> float:
    """Return the mean over rows of one set, those at a like number of labels counting most."""
    far = np.array([_doublings(row.labels, labels) for row in rows])
    weights = np.exp(-np.square(far / _NEAR) / 2) + 1e-9
    return float(np.average([value(row) for row in rows], weights=weights))


def _doublings(a: float, b: float) -> float:
    return abs(math.log2(max(a, _LEAST_LABELS)) - math.log2(max(b, _LEAST_LABELS)))


def _likeness(rows: Sequence[Row], names: float | None) -> float:
    known = [row.names for row in rows if row.names is not None]
    if names is None or not known:
        return 1.0
    return math.exp(-(((float(np.mean(known)) - names) / _ALIKE) ** 2) / 2) + 0.01
