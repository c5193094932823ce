"""How much of an image the packaged backbone should see: the inner 7/8 of the centre square, all of it, or everything.

    HANDFUL_DATA=... python benchmarks/preprocessing.py

`LinearProbe` on 5 and 20 labels a class, 20 draws, tested on clothing's *validation* folder and on a half of TrashNet;
the test folder has no part in it.
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from record import write

from handful.backbones import packaged
from handful.embeddings import run_batches
from handful.heads import LinearProbe
from handful.images import Preprocess

DRAWS = 20


class Squashed(Preprocess):
    """Scale the whole image to the square, without keeping its shape."""

    def region(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Return the whole image."""
        return 0, 0, width, height


WAYS = {
    "inner 7/8 of the centre square": Preprocess(crop_pct=0.875),
    "centre square": Preprocess(crop_pct=1.0),
    "whole image, squashed": Squashed(),
}


def files(folder: Path) -> tuple[list[Path], np.ndarray]:
    """Return the images below a folder and their classes."""
    paths = sorted(folder.rglob("*.jpg"))
    return paths, np.array([path.parent.name for path in paths])


def sets(root: Path) -> dict[str, Any]:
    """Return for each set the images to label and those to test on."""
    paths, y = files(root / "trashnet")
    order = np.random.default_rng(5).permutation(len(paths))
    halves = [([paths[i] for i in rows], y[rows]) for rows in np.array_split(order, 2)]
    clothing = root / "clothing"
    return {
        "clothing": [files(clothing / "train"), files(clothing / "validation")],
        "trashnet": halves,
    }


def _row(
    name: str, way: str, shots: int, values: list[float], first: list[float]
) -> dict[str, Any]:
    gain = [a - b for a, b in zip(values, first, strict=True)]
    mean, error = statistics.mean(gain), statistics.stdev(gain) / DRAWS**0.5
    return {
        "set": name,
        "labels_a_class": shots,
        "way": way,
        "accuracy": round(statistics.mean(values), 4),
        "gain": round(mean, 4),
        "gain_95": [round(mean - 2.09 * error, 4), round(mean + 2.09 * error, 4)],
    }


def main() -> None:
    """Run the benchmark and write its figures."""
    backbone, rows = packaged(), []
    for name, ((train, y), (test, y_test)) in sets(Path(os.environ["HANDFUL_DATA"])).items():
        hits: dict[Any, list[float]] = {}
        for way, preprocess in WAYS.items():
            X, Z = (
                np.concatenate(
                    [
                        b.outputs[0]
                        for b in run_batches(p, preprocess, lambda x: (backbone.embed(x),))
                    ]
                )
                for p in (train, test)
            )
            for shots in (5, 20):
                for draw in range(DRAWS):
                    random = np.random.default_rng([draw, shots])
                    kept = np.concatenate(
                        [random.permutation(np.flatnonzero(y == c))[:shots] for c in np.unique(y)]
                    )
                    right = LinearProbe().fit(X[kept], y[kept]).predict(Z) == y_test
                    hits.setdefault((way, shots), []).append(float(right.mean()))
        base = next(iter(WAYS))
        found = [
            _row(name, way, shots, values, hits[base, shots])
            for (way, shots), values in hits.items()
        ]
        print(*found, sep="\n", flush=True)
        rows += found
    figures = {
        "draws": DRAWS,
        "interval": "paired t over draws, against the first way",
        "rows": rows,
    }
    print(
        write(
            "preprocessing",
            figures,
            claim="the centre square in full is best of the three with few labels",
        )
    )


if __name__ == "__main__":
    main()
