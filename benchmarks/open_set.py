"""Claim: KnownScorer tells new classes best, other data as well as any, and keeps its alarm rate.

    python benchmarks/open_set.py --vectors DIR

``DIR`` holds vectors as ``benchmarks/linear_probe.py`` takes them. Near: half of the classes of a
set, drawn anew each time, are known and the other half unknown. Far: all classes are known, and
the images of another set are unknown. AUROC in percent, mean over draws and sets.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from linear_probe import SETS, Pool, load, machine, prepared
from sklearn.metrics import roc_auc_score

from handful.core import Array, stream
from handful.heads import KnownScorer, LinearProbe

LABELS_A_CLASS = (5, 10, 20, None)  # None: all, less a fifth for testing
RESULT = Path(__file__).parent / "results" / "open_set.json"
_MOST = 500  # images tested a draw, known and unknown each


def nearest(X: Array, y: Array, asked: Array) -> Array:
    """Return the mean cosine to the three nearest labelled vectors."""
    return np.sort(asked @ X.T, axis=1)[:, -3:].mean(axis=1)


def largest_logit(X: Array, y: Array, asked: Array) -> Array:
    """Return the largest logit of the linear probe."""
    return LinearProbe(power=1.0).fit(X, y).predict_logits(asked).max(axis=1)


def mahalanobis(X: Array, y: Array, asked: Array) -> Array:
    """Return minus the distance to the nearest class, covariance within classes shrunk by 0.7."""
    classes, codes = np.unique(y, return_inverse=True)
    means = np.array([X[codes == c].mean(axis=0) for c in range(len(classes))])
    return -_distances(X - means[codes], len(X) - len(classes), [asked - m for m in means]).min(0)


def relative_mahalanobis(X: Array, y: Array, asked: Array) -> Array:
    """Return `mahalanobis` less the same distance to all vectors as one class."""
    centre = X.mean(axis=0)
    return mahalanobis(X, y, asked) + _distances(X - centre, len(X), [asked - centre])[0]


def _distances(residuals: Array, freedom: int, asked: list[Array]) -> Array:
    """Return squared distances under the shrunk covariance of the residuals."""
    floor = 0.7 * np.square(residuals).sum() / freedom / residuals.shape[1]
    _, singular, axes = np.linalg.svd(residuals, full_matrices=False)
    spread = 0.3 * np.square(singular) / freedom + floor
    out = []
    for rows in asked:
        inside = np.square(rows @ axes.T)
        outside = np.square(rows).sum(axis=1) - inside.sum(axis=1)
        out.append(outside / floor + (inside / spread).sum(axis=1))
    return np.array(out)


def known_scorer(X: Array, y: Array, asked: Array) -> Array:
    """Return the score that is in use."""
    return KnownScorer(power=1.0).fit(X, y).score(asked)


SCORES = {
    "KnownScorer": known_scorer,
    "nearest neighbours": nearest,
    "Mahalanobis": mahalanobis,
    "relative Mahalanobis": relative_mahalanobis,
    "largest logit": largest_logit,
}


def drawn(pool: Pool, classes: Array, labels: int | None, random: np.random.Generator) -> Array:
    """Return the rows to label."""
    rows = []
    for c in classes:
        own = random.permutation(np.flatnonzero(pool.y == c))
        rows.append(own[: labels or int(0.8 * len(own))])
    return np.concatenate(rows)


def tested(rows: Array, random: np.random.Generator) -> Array:
    """Return at most `_MOST` of the rows."""
    return random.permutation(rows)[:_MOST]


def one_draw(
    pool: Pool, stranger: Array | None, labels: int | None, random: np.random.Generator
) -> dict[str, float]:
    """Return the AUROC of every score and KnownScorer's alarms on known images."""
    classes = np.unique(pool.y)
    if stranger is None:
        classes = random.permutation(classes)[: len(classes) // 2]
    chosen = drawn(pool, classes, labels, random)
    rest = np.setdiff1d(np.arange(len(pool.y)), chosen)
    is_known = np.isin(pool.y[rest], classes)
    known = pool.X[tested(rest[is_known], random)]
    if stranger is None:
        stranger = pool.X[tested(rest[~is_known], random)]
    asked = np.vstack([known, stranger[:_MOST]])
    truth = np.arange(len(asked)) < len(known)
    scores = {name: score(pool.X[chosen], pool.y[chosen], asked) for name, score in SCORES.items()}
    result = {name: 100 * float(roc_auc_score(truth, values)) for name, values in scores.items()}
    result["false alarms at 0.05"] = 100 * float((scores["KnownScorer"][truth] < 0.05).mean())
    result["alarms on unknown"] = 100 * float((scores["KnownScorer"][~truth] < 0.05).mean())
    return result


def main() -> None:
    """Run all settings and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, required=True, help="folder of NAME.npz")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--random-state", type=int, default=20)
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    start = time.perf_counter()
    pools = {name: load(asked.vectors, name) for name in SETS}
    pools = {name: pool._replace(X=prepared(pool.X)) for name, pool in pools.items()}
    table: dict[str, Any] = {"near": {}, "far": {}}
    for kind, by_labels in table.items():
        for labels in LABELS_A_CLASS:
            rows = []
            for number, (name, pool) in enumerate(pools.items()):
                random = stream(asked.random_state, f"{kind} {name} {labels}")
                other = pools[SETS[(number + 1) % len(SETS)]].X
                for _ in range(asked.draws if labels else 1):
                    stranger = random.permutation(other)[:_MOST] if kind == "far" else None
                    rows.append(one_draw(pool, stranger, labels, random))
            means = {key: round(float(np.mean([row[key] for row in rows])), 2) for key in rows[0]}
            by_labels[str(labels or "all")] = means
            print(kind, labels or "all", means, flush=True)
    result = {
        "claim": __doc__.splitlines()[0],
        "random_state": asked.random_state,
        "draws": asked.draws,
        "percent": table,
        **machine(),
        "seconds": time.perf_counter() - start,
    }
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
