"""The guesses that a student learns from: filtered by confidence, balanced by class, written down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handful.core import Array, Bool, Int, stream, write_atomically

FILE = "pseudo_labels.jsonl"


def balanced_rows(p: Array, threshold: float, *, random_state: int) -> Int:
    """Return the rows of the confident guesses, every class that has any equally often.

    As Noisy Student [1]_ (section 3.1): guesses below the threshold are left out; of a
    class that has too many the most confident are kept, and of a class with too
    few some are taken again. How many a class gets is the mean number of confident guesses
    over these classes, rounded up.

    Parameters
    ----------
    p : ndarray of shape (n, n_classes)
        Probabilities; rows sum to 1.
    threshold : float
        Lowest confidence, in [0, 1).
    random_state : int
        Chooses which guesses are taken again.

    Returns
    -------
    ndarray of int
        Sorted; empty where no guess is confident.

    References
    ----------
    .. [1] Xie et al., "Self-training with Noisy Student improves ImageNet classification",
       CVPR 2020, https://arxiv.org/abs/1911.04252. Deviation: theirs are 130,000 a class.

    Examples
    --------
    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6], [0.5, 0.5]])
    >>> balanced_rows(p, 0.55, random_state=0).tolist()
    [0, 1, 3, 3]
    """
    confidence, classes = p.max(axis=1), p.argmax(axis=1)
    sure = np.flatnonzero(confidence >= threshold)
    if not len(sure):
        return sure
    found = np.unique(classes[sure])
    each = -(-len(sure) // len(found))
    random = stream(random_state, "pseudo-labels")
    rows = []
    for c in found:
        own = sure[classes[sure] == c]
        own = own[np.argsort(-confidence[own], kind="stable")][:each]
        again = random.permutation(own)
        rows += [own, np.resize(again, each - len(own))]
    return np.sort(np.concatenate(rows))


def pseudo_label_rows(
    names: Sequence[str], p: Array, classes: Sequence[str], used: Bool, generation: int
) -> list[dict[str, Any]]:
    """Return a record for each unlabelled image: hash, round, class, confidence, whether it was learnt."""
    return [
        {"image": name, "round": generation, "class": classes[int(row.argmax())],
         "confidence": round(float(row.max()), 4), "used": bool(is_used)}
        for name, row, is_used in zip(names, p, used, strict=True)
    ]  # fmt: skip


def write_pseudo_labels(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write records as JSON lines, whole or not at all."""
    write_atomically(
        path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    )
