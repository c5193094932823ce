"""The main job on clothing photos: all labels, and 5 labels a class over 10 draws, tested on the test folder.

    HANDFUL_DATA=... python benchmarks/main_job.py

Everything goes through ``handful.fit`` and the bundle it writes, as a user would do it. With 5 labels a class the
other training images lie in the folder without a label; each draw is fitted once as it comes, which learns from them,
and once by the probe alone, which does not. The test folder is read once, after fitting.
"""

from __future__ import annotations

import csv
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from record import write

from handful import Bundle, fit
from handful.jobs import import_labels, undo_import
from handful.measure import wilson_interval

SHOTS, DRAWS = 5, 10


def accuracy(model: Path, test: list[Path]) -> tuple[int, int]:
    """Return how many test images the bundle gets right, and of how many."""
    said = dict(Bundle.load(model).predict(test))
    return sum(said[row].label == path.parent.name for row, path in enumerate(test)), len(test)  # type: ignore[union-attr]


def few_labels(place: Path, train: list[Path], test: list[Path]) -> list[dict[str, float]]:
    """Fit on 5 labels a class, drawn anew each time; the other training images have no label."""
    pool = place / "pool"
    pool.mkdir()
    truth = {}
    for number, path in enumerate(train):
        (pool / f"{number:05}.jpg").symlink_to(path)
        truth[f"{number:05}.jpg"] = path.parent.name
    found = []
    for draw in range(DRAWS):
        random = np.random.default_rng(draw)
        names = np.array(sorted(truth))
        labels = np.array([truth[name] for name in names])
        chosen = [
            n for c in np.unique(labels) for n in random.permutation(names[labels == c])[:SHOTS]
        ]
        with (place / "labels.csv").open("w", newline="") as file:
            csv.writer(file).writerows(
                [("path", "label"), *((name, truth[name]) for name in chosen)]
            )
        import_labels(pool, place / "labels.csv")
        result = fit(pool, place / "few.handful", quiet=True)
        right, n = accuracy(result.bundle, test)
        alone = fit(pool, place / "few.handful", method="linear_probe", quiet=True)
        right_alone, _ = accuracy(alone.bundle, test)
        undo_import(pool)
        stated = result.accuracy
        row = {
            "draw": draw,
            "test": right / n,
            "labels_alone": right_alone / n,
            "stated": stated.value,
            "low": stated.low,
            "high": stated.high,
        }
        found.append({k: round(v, 4) for k, v in row.items()})
        print(found[-1], result.report["chosen"]["name"], flush=True)
    return found


def main() -> None:
    """Run the benchmark and write its figures."""
    root = Path(os.environ["HANDFUL_DATA"]) / "clothing"
    train, test = (sorted((root / split).rglob("*.jpg")) for split in ("train", "test"))
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        start = time.perf_counter()
        result = fit(root / "train", place / "all.handful", project_dir=place / "state", quiet=True)
        seconds = time.perf_counter() - start
        right, n = accuracy(result.bundle, test)
        low, high = wilson_interval(right, n)
        stated = result.accuracy
        draws = few_labels(place, train, test)
    figures = {
        "all_labels": {
            "labels": result.report["data"]["labelled"],
            "chosen": result.report["chosen"],
            "stated": stated.as_dict(),
            "test": {
                "right": right,
                "n": n,
                "accuracy": round(right / n, 4),
                "wilson": [round(low, 4), round(high, 4)],
            },
            "intervals_overlap": bool(stated.low <= high and low <= stated.high),
            "seconds": round(seconds, 1),
            "stages": result.report["seconds"],
        },
        "five_labels_a_class": {
            "draws": draws,
            "mean_test_accuracy": round(statistics.mean(row["test"] for row in draws), 4),
            "standard_error": round(
                statistics.stdev(row["test"] for row in draws) / len(draws) ** 0.5, 4
            ),
            "mean_test_accuracy_of_labels_alone": round(
                statistics.mean(row["labels_alone"] for row in draws), 4
            ),
            "test_inside_stated": sum(row["low"] <= row["test"] <= row["high"] for row in draws),
        },
    }
    claim = "all labels: test accuracy ≥ 88.5 %, intervals overlap; 5 a class: mean ≥ 74 %"
    print(write("main_job", figures, claim=claim))
    print(figures["all_labels"], figures["five_labels_a_class"]["mean_test_accuracy"])


if __name__ == "__main__":
    main()
