"""Claim: EuroSAT by USB's protocol reaches 80 % with 20 labels and 86 % with 40, in minutes on a processor.

    python benchmarks/eurosat_usb.py --vectors DIR

``DIR`` holds ``eurosat_all.npz`` (`vectors.py DIR eurosat_all`): all 27,000 tiles by the packaged backbone.
As in USB [1]: three fifths of each class to learn from, a fifth left out, a fifth to test on; 2 or 4
labels a class, the other 16,000 tiles unlabelled; mean and standard deviation over three seeds. What is
fitted is what `handful fit` takes by itself: the spreading probe, of a pool of at most 10,000 tiles drawn
from those, and the linear probe beside it. Nothing was chosen on these draws.

[1] Wang et al., "USB: A Unified Semi-supervised Learning Benchmark for Classification", NeurIPS 2022:
with a ViT-S/2 pretrained on ImageNet-1k, labelled only 73.5 and 83.9 %, its best methods 95.0 and 96.3 %.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import record

from handful.core import Array, Int, stream
from handful.heads import LinearProbe, SpreadingProbe
from handful.jobs.unlabelled import MOST

SEEDS, LABELS = (1, 2, 3), (2, 4)


def split(y: Int, seed: int) -> tuple[Int, Int]:
    """Return the rows to learn from and to test on."""
    random, train, test = stream(seed, "usb"), [], []
    for c in np.unique(y):
        rows = random.permutation(np.flatnonzero(y == c))
        train.append(rows[: round(0.6 * len(rows))])
        test.append(rows[-round(0.2 * len(rows)) :])
    return np.concatenate(train), np.concatenate(test)


def one(X: Array, y: Int, labels: int, seed: int) -> dict[str, Any]:
    """Return the accuracy of both heads on the test tiles, and seconds."""
    train, test = split(y, seed)
    random = stream(seed, f"labels {labels}")
    chosen = np.concatenate(
        [random.choice(train[y[train] == c], labels, replace=False) for c in np.unique(y)]
    )
    pool = X[np.setdiff1d(train, chosen)]
    start = time.process_time()
    head = SpreadingProbe(max_unlabelled=MOST, random_state=seed).fit(X[chosen], y[chosen], pool)
    seconds = time.process_time() - start
    plain = LinearProbe().fit(X[chosen], y[chosen])
    return {
        "seed": seed, "spreading_probe": float(head.score(X[test], y[test])), "kept": head.verdict_.kept,
        "linear_probe": float(plain.score(X[test], y[test])), "cpu_seconds": round(seconds, 1),
        "test": len(test), "unlabelled": len(pool),
    }  # fmt: skip


def main() -> None:
    """Measure both numbers of labels over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, required=True)
    with np.load(parser.parse_args().vectors / "eurosat_all.npz") as file:
        X, y = file["X"], np.unique(file["y"], return_inverse=True)[1]
    figures: dict[str, Any] = {
        "unit": "accuracy, a fraction; mean and standard deviation over seeds"
    }
    for labels in LABELS:
        runs = [one(X, y, labels, seed) for seed in SEEDS]
        row: dict[str, Any] = {"runs": runs}
        for name in ("spreading_probe", "linear_probe"):
            values = [run[name] for run in runs]
            row[name] = {
                "mean": round(float(np.mean(values)), 4),
                "sd": round(float(np.std(values, ddof=1)), 4),
            }
        figures[f"{10 * labels} labels"] = row
        print(10 * labels, row["spreading_probe"], row["linear_probe"], flush=True)
    record.write("eurosat_usb", figures, seed=SEEDS[0], claim=__doc__.splitlines()[0])


if __name__ == "__main__":
    main()
