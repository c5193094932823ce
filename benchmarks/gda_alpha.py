"""What choosing GDA's weight without a validation set costs, against the best weight in hindsight.

    HANDFUL_DATA=... python benchmarks/gda_alpha.py --vectors DIR

Image vectors of the default backbone (their square roots), as texts the classifier weights that the names are mapped
to; and the synthetic vectors of the tests. Labels are drawn from the train images of ``zero_shot.py`` and the
accuracy is that on 500 others of them, so the test images stay unseen. "Best" is the one weight of 33 with the
highest mean accuracy over the draws, which looked at the answers.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import record
from zero_shot import Texts, splits

from handful.heads import GDAText

ALPHAS = 10.0 ** np.arange(-5, 3.25, 0.25)
SHOTS, DRAWS, SCALE = (2, 4, 8, 16), 6, 50.0
Draw = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def real(X: np.ndarray, y: np.ndarray, n: int) -> Iterator[Draw]:
    """Yield draws of ``n`` labels a class and of 500 other images."""
    for seed in range(DRAWS):
        rng = np.random.default_rng([5000 + seed, n])
        rows = [rng.choice(np.flatnonzero(y == name), n, replace=False) for name in np.unique(y)]
        own = np.concatenate(rows)
        rest = rng.choice(np.setdiff1d(np.arange(len(y)), own), 500, replace=False)
        yield X[own], y[own], X[rest], y[rest]


def synthetic(n: int, centres: np.ndarray) -> Iterator[Draw]:
    """Yield draws of vectors about three of the centres."""
    for seed in range(20):
        parts: list[np.ndarray] = []
        for each, own in ((n, seed), (100, 1000 + seed)):
            y = np.repeat(np.arange(3), each)
            noise = np.random.default_rng(own).standard_normal((len(y), centres.shape[1]))
            parts += [centres[y] + 1.5 * noise, y]
        yield parts[0], parts[1], parts[2], parts[3]


def cost(
    draws: Iterator[Draw], text: np.ndarray, names: np.ndarray, scale: float
) -> dict[str, float]:
    """Return the mean accuracy at the chosen weight, and at the best."""
    own, others = [], []
    for X, y, X_test, y_test in draws:
        heads = [GDAText(text, names, logit_scale=scale, alpha=alpha) for alpha in (None, *ALPHAS)]
        scores = [head.fit(X, y).score(X_test, y_test) for head in heads]
        own.append(scores[0])
        others.append(scores[1:])
    means = np.mean(others, axis=0)
    chosen, best = float(np.mean(own)), float(means.max())
    return {"chosen": round(chosen, 4), "best": round(best, 4), "cost": round(best - chosen, 4),
            "best alpha": float(f"{ALPHAS[means.argmax()]:.3g}"), "draws": len(own)}  # fmt: skip


def main() -> None:
    """Compare on three image sets and on synthetic vectors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path, required=True)
    asked = parser.parse_args()
    texts, found = Texts(), {}
    for split in splits(asked.vectors):
        if split.name == "digits":
            continue
        head = texts.head(split.classes)
        found[split.name] = {
            str(n): cost(real(np.sqrt(split.X), split.y, n), head.weight_, head.classes_, SCALE)
            for n in SHOTS
        }
        print(split.name, found[split.name], flush=True)
    centres = np.random.default_rng(9).standard_normal((4, 10))
    text = centres + 0.8 * np.random.default_rng(8).standard_normal((4, 10))
    found["synthetic"] = {
        str(n): cost(synthetic(n, centres), text, np.arange(4), 20.0) for n in SHOTS
    }
    print("synthetic", found["synthetic"])
    claim = "accuracy with the left-out alpha within 0.5 points of the best alpha's"
    record.write("gda_alpha", {"sets": found}, claim=claim)


if __name__ == "__main__":
    main()
