"""What the names of the classes add to a few labels.

    python benchmarks/text_and_labels.py --vectors DIR

1, 2 and 5 labels a class, drawn 20 times from the train images of ``zero_shot.py``; tested on its test images.
Without a pool the texts are used as they are and the labels by the linear probe; with ``--pool`` the texts are
refined on the train images and the labels are those of the spreading probe.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import record
from zero_shot import Split, Texts, splits

from handful.heads import (
    LinearProbe,
    SpreadingProbe,
    TextAndLabels,
    TransductiveClassifier,
    WithPool,
)
from handful.measure import forecast_accuracy

SHOTS, DRAWS = (1, 2, 5), 20


def draw(split: Split, n: int, seed: int) -> np.ndarray:
    """Return ``n`` train rows of each class."""
    rng = np.random.default_rng([seed, n])
    rows = [rng.choice(np.flatnonzero(split.y == name), n, replace=False) for name in split.classes]
    return np.concatenate(rows)


def compared(split: Split, head: Callable[[], Any], text: Any, skill: float) -> dict[str, Any]:
    """Return mean accuracy and its standard error by labels alone, names alone and both."""
    by_names = float((text.predict(split.X_test) == split.y_test).mean())
    found: dict[str, Any] = {"names alone": round(by_names, 4)}
    for n in SHOTS:
        pairs = []
        for seed in range(DRAWS):
            rows = draw(split, n, seed)
            blend = TextAndLabels(head(), text, skill=skill).fit(split.X[rows], split.y[rows])
            answers = (blend.head_.predict(split.X_test), blend.predict(split.X_test))
            pairs.append([float((each == split.y_test).mean()) for each in answers])
        mean, error = np.mean(pairs, axis=0), np.std(pairs, axis=0, ddof=1) / np.sqrt(DRAWS)
        found[f"{n} a class"] = {
            "labels alone": round(float(mean[0]), 4),
            "names and labels": round(float(mean[1]), 4),
            "standard errors": np.round(error, 4).tolist(),
            "above the better of both": round(float(mean[1] - max(mean[0], by_names)), 4),
        }
        print(split.name, n, found[f"{n} a class"], flush=True)
    return found


def main() -> None:
    """Compare on each set, without and with the pool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--pool", action="store_true", help="with the unlabelled train images too")
    asked = parser.parse_args()
    texts, found = Texts(), {}
    for split in splits(asked.vectors):
        if split.name == "digits":
            continue
        text: Any = texts.head(split.classes)
        recognition = float(text.recognition(split.X).mean())
        skill = forecast_accuracy(recognition, text.likeness, len(split.classes)).skill
        if asked.pool:
            text = TransductiveClassifier(text).fit(split.X)

        def head(split: Split = split) -> Any:
            return WithPool(SpreadingProbe(), split.X) if asked.pool else LinearProbe()

        found[split.name] = compared(split, head, text, skill)
    record.write(
        "text_and_labels_pool" if asked.pool else "text_and_labels",
        {"sets": found, "draws": DRAWS, "pool": asked.pool},
        claim="names and 1/2/5 labels a class: clothing ≥ 62/69/76 %, never > 1 point below the better of both",
        script="text_and_labels",
    )


if __name__ == "__main__":
    main()
