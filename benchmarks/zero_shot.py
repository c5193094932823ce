"""Classes by their names alone: accuracy, and whether it was foreseen.

    HANDFUL_DATA=... python benchmarks/zero_shot.py forecast --vectors DIR
    HANDFUL_DATA=... python benchmarks/zero_shot.py test --vectors DIR

``forecast`` fits the regression of `handful.measure.forecast_accuracy` on train images alone: clothing's train folder,
one half of TrashNet, of EuroSAT and of the digits; many choices of classes, every set counting the same. Each set is
also predicted by a regression on the others. ``test`` takes the other images: clothing's test folder, the other halves.
Class names are those of the folders.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import record

from handful.backbones import imagenet_texts, packaged_classifier, packaged_text
from handful.heads import KnownClasses, TransductiveClassifier, ZeroShotClassifier
from handful.jobs.class_texts import read_classes
from handful.measure import forecast_accuracy, share

DIGITS = "zero,one,two,three,four,five,six,seven,eight,nine"
N_TASKS, MOST, WORST = 30, 800, 0.15


@dataclass
class Split:
    """One image set: what may be looked at, and what is only tested on."""

    name: str
    classes: list[str]
    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def splits(folder: Path) -> Iterator[Split]:
    """Yield the image sets."""

    def load(name: str) -> tuple[np.ndarray, np.ndarray]:
        with np.load(folder / f"{name}.npz") as file:
            return file["X"], file["y"].astype(str)

    X, y = load("clothing_train")
    yield Split("clothing", sorted(set(y)), X, y, *load("clothing_test"))
    for name in ("trashnet", "eurosat", "digits"):
        X, y = load(name)
        classes = sorted(set(y))
        if name == "digits":
            y = np.array([DIGITS.split(",")[int(label)] for label in y])
            classes = DIGITS.split(",")
        order = np.random.default_rng(0).permutation(len(X))
        train, test = np.sort(order[: len(X) // 2]), np.sort(order[len(X) // 2 :])
        yield Split(name, classes, X[train], y[train], X[test], y[test])


class Texts:
    """The packaged text encoder and what the backbone knows."""

    def __init__(self) -> None:
        self.encoder = packaged_text()
        classifier = packaged_classifier()
        vectors = imagenet_texts(self.encoder).vectors
        self.known = KnownClasses(classifier.weight, classifier.bias, vectors)

    def head(self, classes: list[str]) -> ZeroShotClassifier:
        """Return the classifier of some classes."""
        texts = read_classes(classes)
        return ZeroShotClassifier(self.known, texts.vectors(self.encoder), texts.names).fit()


def task(texts: Texts, split: Split, classes: list[str], rng: np.random.Generator) -> list[float]:
    """Return skill, recognition, likeness and the number of classes of one choice of classes."""
    rows = rng.permutation(np.flatnonzero(np.isin(split.y, classes)))[:MOST]
    X, y = split.X[rows], split.y[rows]
    head = texts.head(classes)
    refined = TransductiveClassifier(head).fit(X)
    right = float((head.classes_[refined.pseudo_proba_.argmax(axis=1)] == y).mean())
    chance = 1 / len(classes)
    return [
        (right - chance) / (1 - chance),
        float(head.recognition(X).mean()),
        head.likeness,
        len(classes),
    ]


def regression(tasks: np.ndarray, sets: np.ndarray) -> np.ndarray:
    """Return constant and slopes, every set counting the same."""
    weight = np.sqrt([1 / np.sum(sets == name) for name in sets])[:, None]
    design = np.c_[np.ones(len(tasks)), tasks[:, 1:3]]
    return np.linalg.lstsq(design * weight, tasks[:, :1] * weight, rcond=None)[0][:, 0]


def forecast(folder: Path) -> None:
    """Fit the regression, and predict each set by the others."""
    texts, rng = Texts(), np.random.default_rng(0)
    rows, names = [], []
    for split in splits(folder):
        for number in range(N_TASKS):
            n = len(split.classes) if number == 0 else rng.integers(2, len(split.classes) + 1)
            chosen = sorted(rng.choice(split.classes, n, replace=False).tolist())
            rows.append(task(texts, split, chosen, rng))
            names.append(split.name)
        print(split.name, np.round(np.mean(rows[-N_TASKS:], axis=0), 3), flush=True)
    tasks, sets = np.array(rows), np.array(names)
    design = np.c_[np.ones(len(tasks)), tasks[:, 1:3]]
    unseen = {}
    for name in dict.fromkeys(names):
        own = sets == name
        error = np.clip(design[own] @ regression(tasks[~own], sets[~own]), 0, 1) - tasks[own, 0]
        unseen[name] = {
            "all classes": round(float(error[0]), 3),
            "95th percentile of the error": round(float(np.quantile(np.abs(error), 0.95)), 3),
        }
    everywhere = [figures["95th percentile of the error"] for figures in unseen.values()]
    found = {
        "regression of the skill on 1, recognition, likeness": np.round(regression(tasks, sets), 3).tolist(),
        "errors of the skill on a set the regression had not seen": unseen,
        "error": round(float(np.mean(everywhere)), 3),
        "tasks a set": N_TASKS,
    }  # fmt: skip
    print(found)
    claim = "accuracy without a label can be foreseen within its interval"
    record.write("zero_shot_forecast", found, claim=claim, script="zero_shot")


def test(folder: Path) -> None:
    """Refine on train images, test on the others."""
    texts, sets = Texts(), {}
    for split in splits(folder):
        head = texts.head(split.classes)
        refined = TransductiveClassifier(head).fit(split.X)
        transduced = TransductiveClassifier(head).fit(split.X_test)
        said = forecast_accuracy(
            float(head.recognition(split.X).mean()), head.likeness, len(split.classes)
        )
        n = len(split.y_test)

        def figures(
            answers: np.ndarray, y: np.ndarray = split.y_test, n: int = n
        ) -> dict[str, object]:
            return share(int((answers == y).sum()), n, "accuracy", "test images").as_dict()

        truth = figures(refined.predict(split.X_test))
        sets[split.name] = {
            "by names alone": figures(head.predict(split.X_test)),
            "ConSE": figures(head.classes_[head.conse_logits(split.X_test).argmax(axis=1)]),
            "map from text to weights": figures(head.classes_[head.map_logits(split.X_test).argmax(axis=1)]),
            "refined on train images, then one linear rule": truth,
            "refined on the test images themselves": figures(
                head.classes_[transduced.pseudo_proba_.argmax(axis=1)]
            ),
            "predicted": said.accuracy.as_dict(),
            "reliable": said.is_reliable,
            "within 15 points": bool(abs(said.accuracy.value - truth["value"]) <= WORST),  # type: ignore[operator]
            "chance": said.chance,
        }  # fmt: skip
        print(split.name, sets[split.name], flush=True)
    claim = "clothing ≥ 56 %, TrashNet ≥ 48 % by class names alone; EuroSAT flagged; foreseen within 15 points"
    record.write("zero_shot", {"sets": sets}, claim=claim)


def main() -> None:
    """Fit the forecast on train images, or test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("forecast", "test"))
    parser.add_argument("--vectors", type=Path, required=True)
    asked = parser.parse_args()
    {"forecast": forecast, "test": test}[asked.part](asked.vectors)


if __name__ == "__main__":
    main()
