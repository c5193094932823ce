"""What the confusion matrix and the reliability bins say, in words and short lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handful.report.facts import Bin, ClassResult, Confusion
from handful.report.text import percent

ABOUT_RIGHT = 0.03


@dataclass(frozen=True)
class Mistake:
    """One class taken for another, in ``count`` of its ``total`` images."""

    true: str
    predicted: str
    count: float
    total: float

    @property
    def share(self) -> float:
        """Share of the class's images, in ``(0, 1]``."""
        return self.count / self.total


def mistakes(confusion: Confusion) -> list[Mistake]:
    """Return the confusions of two classes, the most frequent first.

    Examples
    --------
    >>> found = mistakes(Confusion(("cat", "dog"), ((8, 2), (1, 9))))
    >>> [(m.true, m.predicted, m.count, m.share) for m in found]
    [('cat', 'dog', 2, 0.2), ('dog', 'cat', 1, 0.1)]
    """
    names = confusion.classes
    found = [
        Mistake(names[i], names[j], count, sum(row))
        for i, row in enumerate(confusion.counts)
        for j, count in enumerate(row)
        if i != j and count > 0
    ]
    return sorted(found, key=lambda m: (-m.count, -m.share))


def weakest_first(results: Sequence[ClassResult]) -> list[ClassResult]:
    """Return the classes by ascending recall, the ones without a number last."""
    return sorted(
        results,
        key=lambda r: (not r.recall.is_measured, r.recall.value if r.recall.is_measured else 0.0),
    )


def trust_sentence(bins: Sequence[Bin]) -> str:
    """Return whether stated confidence and share of right answers agree overall.

    Examples
    --------
    >>> from handful.core import Estimate
    >>> right = Estimate(0.7, 0.5, 0.8, 20, "accuracy", "bins")
    >>> trust_sentence([Bin(0.8, 1.0, 20, 0.9, right)])
    'On average it states 90 % confidence and is right 70 % of the time: it is too sure of itself.'
    """
    known = [b for b in bins if b.accuracy.is_measured]
    n = sum(b.n for b in known)
    if not n:
        return ""
    stated = sum(b.n * b.confidence for b in known) / n
    right = sum(b.n * b.accuracy.value for b in known) / n
    if abs(stated - right) < ABOUT_RIGHT:
        verdict = "its confidence can be taken at its word"
    else:
        verdict = "it is too sure of itself" if stated > right else "it is better than it says"
    return (
        f"On average it states {percent(stated, 0)} confidence "
        f"and is right {percent(right, 0)} of the time: {verdict}."
    )
