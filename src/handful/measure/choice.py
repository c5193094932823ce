"""Which head to ship: the first, in order of preference, within one standard error of the best.

The rule is that of Breiman, Friedman, Olshen and Stone ("Classification and
Regression Trees", 1984, section 3.4.3), with the standard error of the *paired*
difference: the heads are tried on the same images, so what is hard for all of
them does not count.

A choice makes the figure of the chosen one a little too good. `nested_hits`
measures by how much, in the manner of Varma and Simon ("Bias in error estimation
when using cross-validation for model selection", BMC Bioinformatics 7, 2006): for
each fold the choice is made again without its images. Those hits are of the whole
procedure, though, not of the head that is shipped: where the choice is a close
one they mix in worse heads and come out too low (prototypes preferred, 20 labels
a class, 200 draws: 90.5 % coverage against 93.5 % by the chosen head's own
hits). So the own hits give the figure, and the gap between the two is added to
its standard deviation (94 % on the same draws).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from handful.core import Estimate, Float64, listed
from handful.measure.folds import Fold
from handful.measure.intervals import paired_error, paired_interval
from handful.measure.predictions import nanmean


@dataclass(frozen=True)
class Choice:
    """The head to ship.

    Parameters
    ----------
    name : str
        Its name.
    why : str
        The reason, in a sentence.
    differences : dict of str to Estimate
        Accuracy of the chosen head minus that of each other one.
    """

    name: str
    why: str
    differences: dict[str, Estimate]


def choose(hits: Mapping[str, Float64], *, inflation: float, how: str = "") -> Choice:
    """Return the most preferred head within one standard error of the best, and why.

    Parameters
    ----------
    hits : mapping of str to ndarray of shape (n_samples,)
        Out-of-fold hits of each head on the same images, the preferred head
        first; NaN for images that were not tested.
    inflation : float
        Factor of the variance for training sets that overlap (see `paired_interval`).
    how : str, default=""
        The folds in words.

    Examples
    --------
    >>> same = np.array([1.0, 0.0, 1.0])
    >>> choose({"default": same, "other": same}, inflation=1.25).name
    'default'
    """
    names = list(hits)
    tested = ~np.isnan(hits[names[0]])
    if len(names) == 1:
        return Choice(names[0], "The only method.", {})
    if not tested.any():
        why = f"No image could be tested, so no method can be preferred: {names[0]} is the default."
        return Choice(names[0], why, {})
    seen = {name: values[tested] for name, values in hits.items()}
    chosen = _first_near_best(seen, inflation)
    differences = {
        name: _difference(seen, chosen, name, inflation, how) for name in names if name != chosen
    }
    return Choice(chosen, _why(names, chosen, differences), differences)


def nested_hits(
    repeats: Mapping[str, Float64], folds: Sequence[Fold], *, inflation: float
) -> Float64:
    """Return the hits of the choice itself, made anew for each fold without its images.

    Parameters
    ----------
    repeats : mapping of str to ndarray of shape (n_repeats, n_samples)
        Hit of each image in each repeat, NaN where it was not tested.
    folds : sequence of Fold
        All of them.
    inflation : float
        As for `choose`.

    Returns
    -------
    ndarray of shape (n_repeats, n_samples)
        NaN where an image was not tested.
    """
    means = {name: nanmean(values) for name, values in repeats.items()}
    result = np.full(next(iter(repeats.values())).shape, np.nan)
    for fold in folds:
        others = {name: values.copy() for name, values in means.items()}
        for values in others.values():
            values[fold.test] = np.nan
        seen = {name: values[~np.isnan(values)] for name, values in others.items()}
        empty = len(next(iter(seen.values()))) == 0
        name = next(iter(seen)) if empty else _first_near_best(seen, inflation)
        result[fold.repeat, fold.test] = repeats[name][fold.repeat, fold.test]
    return result


def _first_near_best(seen: Mapping[str, Float64], inflation: float) -> str:
    best = max(seen, key=lambda name: float(seen[name].mean()))
    for name in seen:
        value, error = paired_error(seen[best] - seen[name], inflation=inflation)
        if value <= error:
            return name
    return best


def _difference(
    seen: Mapping[str, Float64], chosen: str, name: str, inflation: float, how: str
) -> Estimate:
    value, low, high = paired_interval(seen[chosen] - seen[name], inflation=inflation)
    words = f"{how}, paired by image, variance enlarged for overlapping training sets"
    what = f"accuracy of {chosen} minus that of {name}"
    return Estimate(value, low, high, len(seen[name]), what, words.removeprefix(", "))


def _why(names: Sequence[str], chosen: str, differences: Mapping[str, Estimate]) -> str:
    open_ = [name for name, estimate in differences.items() if estimate.low <= 0 <= estimate.high]
    if not open_:
        gap = min(estimate.value for estimate in differences.values())
        return f"{chosen} beats every other method on the same folds, by {100 * gap:.1f} points or more."
    place = "the default and" if chosen == names[0] else "the first"
    beaten = [name for name in differences if name not in open_]
    also = f"; it beats {listed(beaten)}" if beaten else ""
    return (
        f"No winner among {listed([chosen, *open_])}: the paired intervals overlap zero. "
        f"{chosen} is {place} within one standard error of the best{also}."
    )
