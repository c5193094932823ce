"""Claim: the plan that `handful.advise` puts first is within 1.5 points of the best one on average, and 5 at worst.

    python benchmarks/advise.py --vectors DIR [--again | --fresh | --judge]

Situations are made of four real image sets: 0 to 50 labels a class, with and without unlabelled images; classes as
common as 1:10; and shifted, where the labelled images are of another kind than the unlabelled and new ones: their
classes are otherwise mixed, or they come from one half of each class (along its first principal axis). Two in five
images of a set are put aside; every plan is carried out and tested on them, so that the best is known in hindsight.
The advice sees the labels and a table of evidence without any row of the set. Intervals are held against the
accuracy on new images mixed like the labelled ones, in shifted situations like the unlabelled ones. Plans that train a
network are judged where another benchmark has trained it. ``--judge`` judges the situations made before;
``--again`` looks at them anew and keeps what came of each plan; ``--fresh`` adds draws of another seed, of the hardest
situations (1, 2 and 5 labels a class), which are judged by the same evidence.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import evidence
import numpy as np
import record
from zero_shot import DIGITS, Texts, regression, task
from zero_shot import splits as halves

from handful.advise import (
    MORE,
    Advice,
    Case,
    Data,
    Gain,
    Machine,
    Trial,
    advise,
    domain_distance,
    names_accuracy,
    read_evidence,
    try_out,
)
from handful.backbones import packaged_classifier
from handful.core import Array, Estimate, stream
from handful.heads import (
    LEAST_POOL,
    LinearProbe,
    PrototypeClassifier,
    SpreadingProbe,
    TextAndLabels,
    TransductiveClassifier,
    Verdict,
    WithPool,
)
from handful.measure import share

NAME = "advise"
SETS = {
    "clothing": "clothing_train",
    "eurosat": "eurosat",
    "trashnet": "trashnet",
    "digits": "digits",
}
LABELS = (0, 1, 2, 5, 10, 20, 50)
ASIDE, RATIO, MOST, TASKS = 0.4, 10.0, 2000, 12
SHIFTED = ("other mix", "one-sided")
LATER = "label_more"
POOLS = {"continued": 2000, "distil": 1400, "semisupervised": 1000}
"""Unlabelled images of the benchmarks that trained, of several sets the fewest."""


@dataclass(frozen=True)
class Situation:
    """One image set with some labels, as advice finds it."""

    image_set: str
    labels: int
    pool: bool
    kind: str = "plain"

    @property
    def key(self) -> str:
        """Name of its random stream."""
        return f"{self.image_set} {self.labels} {self.pool} {self.kind}"


@dataclass
class Drawn:
    """What a situation holds: labelled, unlabelled and new images, and how much each new one counts."""

    X: Array
    y: Array
    rest: Array
    y_rest: Array
    X_new: Array
    y_new: Array
    weights: Array

    def accuracy(self, head: Any) -> float:
        """Return the accuracy of a fitted head on new images."""
        return float(self.weights @ (head.predict(self.X_new) == self.y_new))


def situations(image_set: str) -> Iterator[Situation]:
    """Yield the situations of one set."""
    for labels in LABELS:
        yield from (Situation(image_set, labels, pool) for pool in (False, True) if labels or pool)
    for labels in (5, 20):
        yield from (Situation(image_set, labels, pool, "imbalanced") for pool in (False, True))
        yield from (Situation(image_set, labels, True, kind) for kind in SHIFTED)


def hardest(image_set: str) -> Iterator[Situation]:
    """Yield the situations that are drawn once more."""
    for labels in (1, 2, 5):
        yield from (Situation(image_set, labels, pool) for pool in (False, True))


def load(vectors: Path, name: str) -> tuple[Array, Array]:
    """Return vectors and class names."""
    with np.load(vectors / f"{SETS[name]}.npz") as file:
        X, y = file["X"].astype(np.float32), file["y"].astype(str)
    return X, np.array([DIGITS.split(",")[int(label)] for label in y]) if name == "digits" else y


def uneven(n: int, random: np.random.Generator) -> Array:
    """Return shares of classes from 1 to 10 in random order."""
    shares = RATIO ** -np.linspace(0, 1, n)
    return random.permutation(shares / shares.sum())


def one_side(X: Array, rows: Array, least: int) -> Array:
    """Return the half of the rows that is lowest along their first principal axis."""
    centred = np.sqrt(X[rows])
    centred = centred - centred.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    return rows[np.argsort(centred @ axis)][: max(least, len(rows) // 2)]


def mixed(y: Array, rows: Array, shares: dict[str, float], random: np.random.Generator) -> Array:
    """Return as many of the rows as there can be with these shares of the classes."""
    own = {name: rows[y[rows] == name] for name in shares}
    total = min(len(own[name]) / shares[name] for name in shares)
    sizes = {name: min(len(own[name]), max(1, int(total * shares[name]))) for name in shares}
    return np.concatenate([random.choice(own[n], sizes[n], replace=False) for n in shares])


def draw(X: Array, y: Array, what: Situation, random: np.random.Generator) -> Drawn:
    """Draw labelled, unlabelled and new images."""
    names, aside = sorted(set(y)), random.random(len(y)) < ASIDE
    even = np.full(len(names), 1 / len(names))
    shares = uneven(len(names), random) if what.kind == "imbalanced" else even
    rows = []
    for name, part in zip(names, shares, strict=True):
        own = np.flatnonzero(~aside & (y == name))
        n = min(int(np.ceil(what.labels * len(names) * part)), len(own))
        own = one_side(X, own, n) if what.kind == "one-sided" else own
        rows.append(random.choice(own, n, replace=False))
    labelled, new = np.concatenate(rows), np.flatnonzero(aside)
    rest = np.setdiff1d(np.flatnonzero(~aside), labelled)
    elsewhere = uneven(len(names), random) if what.kind == "other mix" else shares
    mix = dict(zip(names, elsewhere, strict=True))
    if what.kind in ("imbalanced", "other mix"):
        rest = mixed(y, rest, mix, random)
    if len(rest) > MOST:
        rest = random.choice(rest, MOST, replace=False)
    counts = {name: int((y[new] == name).sum()) for name in names}
    weights = np.array([mix[name] / counts[name] for name in y[new]])
    return Drawn(
        X[labelled], y[labelled], X[rest], y[rest], X[new], y[new], weights / weights.sum()
    )


def carried_out(
    d: Drawn, what: Situation, text: Any, random: np.random.Generator
) -> dict[str, float]:
    """Return the accuracy of every plan that can be carried out."""
    chosen = random.choice(len(d.rest), MORE, replace=False)
    X, y = np.concatenate([d.X, d.rest[chosen]]), np.concatenate([d.y, d.y_rest[chosen]])
    best: Any = LinearProbe()
    if what.pool and what.labels:
        best = WithPool(SpreadingProbe(), d.rest)
    found = {LATER: d.accuracy(best.fit(X, y))}
    if not what.labels:
        return {"zero_shot": d.accuracy(text), **found}
    heads: dict[str, Any] = {"probe": LinearProbe(), "prototypes": PrototypeClassifier()}
    heads |= {"semi_supervised": best} if what.pool else {}
    heads["names_and_labels"] = TextAndLabels(best, text)
    return {**{name: d.accuracy(head.fit(d.X, d.y)) for name, head in heads.items()}, **found}


class Forecasts:
    """The accuracy of names alone, foreseen by the other image sets."""

    def __init__(self, vectors: Path, texts: Texts) -> None:
        random, self.tasks, self.sets = np.random.default_rng(0), [], []
        for split in halves(vectors):
            for number in range(TASKS):
                n = (
                    len(split.classes)
                    if number == 0
                    else random.integers(2, len(split.classes) + 1)
                )
                names = sorted(random.choice(split.classes, n, replace=False).tolist())
                self.tasks.append(task(texts, split, names, random))
                self.sets.append(split.name)

    def of(self, image_set: str, head: Any, X: Array) -> Estimate:
        """Return the forecast for a set by the others; its error is theirs among each other."""
        tasks, sets = np.array(self.tasks), np.array(self.sets)
        others = [name for name in dict.fromkeys(self.sets) if name != image_set]
        slopes, error = self._fitted(tasks, sets, others), []
        for name in others:
            own = sets == name
            seen = self._fitted(tasks, sets, [other for other in others if other != name])
            wrong = np.clip(self._design(tasks[own]) @ seen, 0, 1) - tasks[own, 0]
            error.append(np.quantile(np.abs(wrong), 0.95))
        row = np.array([1, head.recognition(X).mean(), head.likeness])
        chance, half = 1 / len(head.classes_), float(np.mean(error))
        low, value, high = (
            chance + (1 - chance) * min(max(float(row @ slopes) + side * half, 0.0), 1.0)
            for side in (-1, 0, 1)
        )
        return Estimate(value, low, high, 0, "predicted accuracy", "by the other image sets")

    @staticmethod
    def _design(tasks: Array) -> Array:
        return np.c_[np.ones(len(tasks)), tasks[:, 1:3]]

    @staticmethod
    def _fitted(tasks: Array, sets: Array, names: list[str]) -> Array:
        own = np.isin(sets, names)
        return regression(tasks[own], sets[own])


def observed(
    d: Drawn, what: Situation, text: Any, forecast: Estimate, truth: dict[str, float]
) -> dict[str, Any]:
    """Return a situation as JSON: what the advice may see, and what came of each plan."""
    pool = d.rest if what.pool else None
    start = time.process_time()
    trial = try_out(d.X, d.y, pool=pool, text=text if what.labels else None)
    seconds = time.process_time() - start
    hits = int((text.predict(d.X) == d.y).sum()) if what.labels else 0
    alone, chance = d.accuracy(text), 1 / len(text.classes_)
    return {
        "set": what.image_set, "labels": what.labels, "pool": what.pool, "kind": what.kind,
        "truth": {name: round(value, 5) for name, value in truth.items()},
        "counts": {str(n): int((d.y == n).sum()) for n in np.unique(d.y)},
        "classes": [str(name) for name in text.classes_], "unlabelled": len(d.rest) if what.pool else 0,
        "names": round((alone - chance) / (1 - chance), 4), "names_hits": hits,
        "forecast": forecast.as_dict(), "probe": trial.probe.as_dict(), "more": trial.more.as_dict(),
        "gains": {name: asdict(gain) for name, gain in trial.gains.items()},
        "surer": trial.surer and asdict(trial.surer),
        "kept": trial.verdict.kept if trial.verdict else None,
        "likeness": round(trial.verdict.likeness, 4) if trial.verdict else None,
        "cpu_seconds": round(seconds, 2),
    }  # fmt: skip


def made(
    vectors: Path,
    seed: int,
    before: list[dict[str, Any]],
    which: Callable[[str], Iterator[Situation]] = situations,
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Make every situation, what is known of it from ``before``; also return each set's distance."""
    texts, found, distances = Texts(), [], {}
    classifier = packaged_classifier()
    known = {Situation(row["set"], row["labels"], row["pool"], row["kind"]): row for row in before}
    forecasts = None if known else Forecasts(vectors, texts)
    for image_set in SETS:
        X, y = load(vectors, image_set)
        distances[image_set] = round(domain_distance(X, classifier), 3)
        direct = texts.head(sorted(set(y)))
        for what in which(image_set):
            random, row = stream(seed, what.key), known.get(what)
            d = draw(X, y, what, random)
            enough = what.pool and len(d.rest) >= LEAST_POOL * len(direct.classes_)
            text = TransductiveClassifier(direct).fit(d.rest) if enough else direct
            if row:
                forecast, truth = Estimate.from_dict(row["forecast"]), row["truth"]
            else:
                assert forecasts is not None
                forecast = forecasts.of(image_set, direct, d.rest)
                truth = carried_out(d, what, text, random)
            found.append(observed(d, what, text, forecast, truth))
            print(what.key, truth, flush=True)
    return found, distances


def case_of(row: dict[str, Any]) -> Case:
    """Return a situation as the advice sees it."""
    counts, labelled = row["counts"], sum(row["counts"].values())
    forecast = Estimate.from_dict(row["forecast"])
    names = names_accuracy(forecast, row["names_hits"], labelled) if labelled else forecast
    verdict = row["kept"] and Verdict(row["kept"], "by its own labels", likeness=row["likeness"])
    trial = Trial(
        Estimate.from_dict(row["probe"]),
        {name: Gain(**gain) for name, gain in row["gains"].items()},
        Estimate.from_dict(row["more"]), row["surer"] and Gain(**row["surer"]), verdict,
    )  # fmt: skip
    data = Data(
        labelled + row["unlabelled"], row["unlabelled"], counts, tuple(row["classes"]), likeness=row["likeness"],
    )  # fmt: skip
    return Case(data, Machine(2, 8.0, False, False), trial, names)


def trained() -> Iterator[tuple[dict[str, Any], Case]]:
    """Yield the situations in which another benchmark trained a network."""
    found: dict[tuple[str, str, float], dict[str, Any]] = {}
    for row in evidence.rows():
        if row["source"] in ("advise", "semisupervised_vectors"):
            continue
        key = row["source"], row["image_set"], row["labels"]
        truth = found.setdefault(key, {"probe": row["probe"]})
        truth[row["plan"]] = row["accuracy"]
    for (source, image_set, labels), truth in found.items():
        n = evidence.N_CLASSES[image_set]
        counts = {str(i): int(labels) for i in range(n)}
        pool = POOLS.get(source.partition("_")[0], 0)
        probe = share(round(truth["probe"] * 1000), 1000, "accuracy", "test images")
        data = Data(pool + n * int(labels), pool, counts)
        why = "" if "semi_supervised" in truth else "it was not run there"
        case = Case(data, Machine(2, 8.0, True, False), Trial(probe), None, "", why)
        yield {"set": image_set, "labels": labels, "source": source, "truth": truth}, case


def judged(row: dict[str, Any], advice: Advice) -> dict[str, Any]:
    """Return the regret of the first plan, and whether each interval held."""
    truth = {name: value for name, value in row["truth"].items() if name != LATER}
    able = [plan for plan in advice.plans if plan.name in truth and not plan.ruled_out]
    best = max(truth, key=lambda name: truth[name])
    regret = truth[best] - truth[able[0].name] if able else float("nan")
    told = {
        p.name: p.accuracy
        for p in advice.plans
        if p.accuracy.is_measured and p.name in row["truth"]
    }
    return {
        "advised": able[0].name if able else None, "best": best, "regret": round(100 * regret, 2),
        "told": {name: [round(100 * v, 1) for v in (e.low, e.value, e.high)] for name, e in told.items()},
        "inside": {name: bool(e.low <= row["truth"][name] <= e.high) for name, e in told.items()},
    }  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and worst regret, and the coverage of all intervals."""
    regrets = [row["regret"] for row in rows]
    inside = [held for row in rows for held in row["inside"].values()]
    return {
        "situations": len(rows),
        "regret": {"mean": round(float(np.mean(regrets)), 2), "worst": max(regrets)},
        "coverage": share(sum(inside), len(inside), "intervals that held", "all plans").as_dict(),
    }


def judge(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Advise in every situation without the evidence of its set, and compare with hindsight."""
    known = read_evidence(evidence.rows())
    rows = [
        {**{k: row[k] for k in ("set", "labels", "pool", "kind")},
         **judged(row, advise(case_of(row), known.without(row["set"])))}
        for row in found
    ]  # fmt: skip
    networks = [
        {**{k: row[k] for k in ("set", "labels", "source")}, **judged(row, advise(case, known.without(row["set"])))}
        for row, case in trained()
    ]  # fmt: skip

    def parts(key: str) -> dict[str, Any]:
        kinds = dict.fromkeys(row[key] for row in rows)
        return {str(kind): summary([row for row in rows if row[key] == kind]) for kind in kinds}

    shifted = [row for row in rows if row["kind"] in SHIFTED]
    return {
        "vectors": summary(rows), "not shifted": summary([row for row in rows if row not in shifted]),
        "by_set": parts("set"), "by_labels": parts("labels"), "by_kind": parts("kind"),
        "training": summary(networks), "judged": rows, "judged_training": networks,
    }  # fmt: skip


def main() -> None:
    """Make the situations, write the evidence, judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, help="folder of NAME.npz")
    parser.add_argument("--judge", action="store_true", help="judge the situations made before")
    parser.add_argument(
        "--again", action="store_true", help="look anew, keep what came of each plan"
    )
    parser.add_argument("--fresh", action="store_true", help="draws of another seed too")
    parser.add_argument("--random-state", type=int, default=7)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # scikit-learn's, of fits that have not converged
    path = record.RESULTS / f"{NAME}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if asked.fresh:
        before["fresh_situations"], _ = made(asked.vectors, asked.random_state + 1, [], hardest)
    elif not asked.judge:
        old = before.get("situations", []) if asked.again else []
        found, distances = made(asked.vectors, asked.random_state, old)
        spent = {"distance": distances, "cpu_seconds": round(time.process_time())}
        before = {**before, **spent, "situations": found}
    names = ("distance", "cpu_seconds", "situations", "fresh_situations")
    kept = {name: before[name] for name in names if name in before}

    def save(**more: Any) -> None:
        record.write(NAME, {**more, **kept}, seed=asked.random_state, claim=__doc__.splitlines()[0])

    save()
    evidence.write()
    table = judge(kept["situations"])
    if "fresh_situations" in kept:
        table["fresh"] = judge(kept["fresh_situations"])["vectors"]
    save(unit="points of accuracy; coverage a fraction", **table)
    print(json.dumps({k: table[k] for k in ("vectors", "by_kind", "training")}, indent=1))


if __name__ == "__main__":
    main()
