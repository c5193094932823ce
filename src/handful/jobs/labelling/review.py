"""What deserves a second look: likely errors, what was flagged, where annotators differ."""

from __future__ import annotations

from typing import Any

import numpy as np

from handful.core import Array, Bool
from handful.jobs.labelling.ledger import Ledger
from handful.jobs.labelling.pool import Pool
from handful.jobs.labelling.training import Model
from handful.measure import Consensus, annotator_agreement, dawid_skene, wilson_of_share

_MOST, _FEWEST_SHARED = 200, 20


def second_looks(ledger: Ledger, pool: Pool, model: Model) -> list[dict[str, Any]]:
    """Return the images to look at again, differing annotators first, then likely errors, then flags.

    A label that was given twice is no longer suspected, only disputed or flagged.
    """
    with ledger.lock:
        found = [*_disputes(ledger), *_suspects(ledger, pool, model), *_flags(ledger)]
    seen: set[str] = set()
    once = []
    for look in found:
        if look["image"] not in seen:
            seen.add(look["image"])
            once.append(look)
    return once[:_MOST]


def together(ledger: Ledger) -> dict[str, Any] | None:
    """Return how far the annotators agree, and how often each is right; None for one alone."""
    votes, _, people, classes = _table(ledger)
    if len(people) < 2:
        return None
    numbers = (votes >= 0).sum(axis=0)
    votes = votes[_is_shared(votes)]
    share, alpha, n = annotator_agreement(votes)
    is_enough = n >= _FEWEST_SHARED
    accuracy = (
        dawid_skene(votes, len(classes)).accuracy if is_enough else np.full(len(people), np.nan)
    )
    return {
        "agreement": _known(share),
        "alpha": _known(alpha),
        "n": n,
        "annotators": [
            {"name": name, "n": int(number), "accuracy": _known(right),
             "interval": None if np.isnan(right) else
             [_known(side) for side in wilson_of_share(right, int(shared))]}
            for name, number, right, shared in zip(
                people, numbers, accuracy, (votes >= 0).sum(axis=0), strict=True
            )
        ],
    }  # fmt: skip


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _is_shared(votes: Array) -> Bool:
    """Return which images have two answers: the others say nothing of who errs."""
    return np.asarray((votes >= 0).sum(axis=1) > 1, np.bool_)


def _table(ledger: Ledger) -> tuple[Array, list[str], list[str], list[str]]:
    """Return votes [n_images, n_annotators], and what rows, columns and numbers stand for."""
    said = ledger.votes()
    images = [image for image, votes in said.items() if votes]
    people = sorted({who for image in images for who in said[image]})
    classes = sorted({label for image in images for label in said[image].values()})
    code = {name: number for number, name in enumerate(classes)}
    votes = np.full((len(images), len(people)), -1, np.int64)
    for row, image in enumerate(images):
        for column, who in enumerate(people):
            votes[row, column] = code.get(said[image].get(who, ""), -1)
    return votes, images, people, classes


def _disputes(ledger: Ledger) -> list[dict[str, Any]]:
    votes, images, people, classes = _table(ledger)
    if len(people) < 2:
        return []
    shared = _is_shared(votes)
    votes, images = votes[shared], [image for image, two in zip(images, shared, strict=True) if two]
    high, low = votes.max(axis=1), np.where(votes < 0, len(classes), votes).min(axis=1)
    rows = np.flatnonzero(high > low)
    consensus: Consensus = dawid_skene(votes, len(classes))
    return [
        _dispute(images[row], votes[row], people, classes, consensus.proba[row]) for row in rows
    ]


def _dispute(
    image: str, votes: Array, people: list[str], classes: list[str], proba: Array
) -> dict[str, Any]:
    best = sorted(set(votes[votes >= 0].tolist()), key=lambda code: -proba[code])
    choices = [
        {
            "label": classes[code],
            "why": ", ".join(
                people[column] or "unnamed" for column in np.flatnonzero(votes == code)
            ),
            "probability": round(float(proba[code]), 4),
        }
        for code in best
    ]
    return {"image": image, "kind": "dispute", "choices": choices}


def _suspects(ledger: Ledger, pool: Pool, model: Model) -> list[dict[str, Any]]:
    if model.errors is None or model.proba is None:
        return []
    found = []
    errors = model.errors
    for row, code, margin in zip(errors.rows, errors.proposed, errors.margin, strict=True):
        image = pool.images[row].hash
        given, proposed = ledger.label(image), model.classes[code]
        if given is None or given == proposed or ledger.times_said[image] > 1:
            continue
        choices = [
            {"label": given, "why": "as it is labelled", "probability": None},
            {"label": proposed, "why": "proposed", "probability": None},
        ]
        entry = {"image": image, "kind": "suspect", "choices": choices}
        found.append({**entry, "margin": round(float(margin), 4)})
    return found


def _flags(ledger: Ledger) -> list[dict[str, Any]]:
    return [
        {
            "image": image,
            "kind": "flag",
            "choices": [{"label": label, "why": "as it is labelled", "probability": None}]
            if (label := ledger.label(image))
            else [],
        }
        for image in sorted(ledger.flagged)
    ]
