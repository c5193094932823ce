"""Whether people take a suggestion because it is shown."""

from __future__ import annotations

import numpy as np
from scipy import stats

from handful.core import Array, Estimate

_FEWEST = 10
_WHAT = "suggestions taken because they were shown"


def acceptance_bias(
    taken: Array, shown: Array, right: Array, blind: Array, *, confidence: float = 0.95
) -> Estimate:
    """Return how much oftener a shown suggestion is taken than one is right that was hidden.

    A suggestion should be taken as often as its probability says; blind audits tell by
    how much the probabilities are off. So it is the mean of ``taken - shown`` less the
    mean of ``right - blind``.

    Parameters
    ----------
    taken : ndarray of shape (n_shown,)
        Whether the person's label was the suggestion on the screen.
    shown : ndarray of shape (n_shown,)
        Probability of that suggestion, in ``[0, 1]``.
    right : ndarray of shape (n_audits,)
        Whether the person's label, given blind, was the likeliest class.
    blind : ndarray of shape (n_audits,)
        Probability of that class, by a model that did not learn from the label.
    confidence : float, default=0.95

    Returns
    -------
    Estimate
        A fraction of the suggestions, above 0 where people take too many; not measurable
        from fewer than 10 of either kind. Welch's t-interval.

    Raises
    ------
    ValueError
        If the lengths do not fit.

    Notes
    -----
    It assumes that the probabilities are off by the same for images that were chosen and
    for audits, which are drawn at random.

    Examples
    --------
    >>> bias = acceptance_bias([1] * 19 + [0], [0.75] * 20, [1, 1, 1, 0] * 10, [0.75] * 40)
    >>> print(f"{bias.value:.2f}, {bias.low:.2f} to {bias.high:.2f}")
    0.20, 0.03 to 0.37
    """
    differences = [
        np.asarray(said, np.float64) - np.asarray(expected, np.float64)
        for said, expected in ((taken, shown), (right, blind))
    ]
    few = min(map(len, differences))
    if few < _FEWEST:
        why = f"it needs {_FEWEST} suggestions taken or not and {_FEWEST} blind audits"
        return Estimate.not_measurable(_WHAT, why, few)
    means = [each.mean() for each in differences]
    parts = [each.var(ddof=1) / len(each) for each in differences]
    error = np.sqrt(sum(parts))
    value = float(means[0] - means[1])
    freedom = sum(parts) ** 2 / max(
        sum(part**2 / (len(each) - 1) for part, each in zip(parts, differences, strict=True)), 1e-30
    )
    half = float(stats.t.ppf((1 + confidence) / 2, max(freedom, 1.0)) * error)
    how = f"against {len(differences[1])} blind audits, Welch's t-interval"
    return Estimate(value, value - half, value + half, len(differences[0]), _WHAT, how, confidence)
