"""Claim: unlabelled images add 7 / 4 / 2.5 points to a probe on 2 / 5 / 10 labels a class, and cost seconds.

    python benchmarks/semisupervised_vectors.py --vectors DIR [--million]

``DIR`` holds vectors of one backbone as ``NAME.npz`` with ``X`` [n, d] and ``y`` [n]:
clothing_train, eurosat, trashnet, digits. Of every set a fifth is put aside; of the others some
are labelled and the rest is the unlabelled pool. Accuracy is measured on that rest and on the
images put aside, which no method has seen in any form. All methods see the same draws. Nothing
was chosen on the draws of this script's seed. Pools that cannot help are tried as well: the images of
another set in place of one's own. Draws done stand in the result file and are not
done again. ``--million`` adds one fit on 1,000,000 unlabelled vectors of 384 dimensions.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import record
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import LabelSpreading as TheirSpreading
from sklearn.semi_supervised import SelfTrainingClassifier

from handful.core import Array, stream
from handful.heads import LabelSpreading, LinearProbe, SelfTraining, SpreadingProbe

NAME = "semisupervised_vectors"
SETS = {
    "clothing": "clothing_train",
    "eurosat": "eurosat",
    "trashnet": "trashnet",
    "digits": "digits",
}
LABELS_A_CLASS = (2, 5, 10)
TARGETS = {2: 7.0, 5: 4.0, 10: 2.5}
PLACES = ("pool", "aside")
THEIRS = "scikit-learn SelfTrainingClassifier", "scikit-learn LabelSpreading"
OURS = "LinearProbe", "SpreadingProbe", "LabelSpreading", "SelfTraining"


class Concatenated:
    """A scikit-learn semi-supervised classifier behind ``fit(X, y, X_unlabelled)``; -1 is unlabelled."""

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier

    def fit(self, X: Array, y: Array, X_unlabelled: Array) -> Concatenated:
        """Fit on both parts, square roots of unit length."""
        both = prepared(np.concatenate([X, X_unlabelled]))
        self.classifier.fit(both, np.concatenate([y, np.full(len(X_unlabelled), -1)]))
        return self

    def predict(self, X: Array) -> Array:
        """Return classes."""
        return self.classifier.predict(prepared(X))


class Supervised:
    """The probe, which leaves unlabelled vectors aside."""

    def fit(self, X: Array, y: Array, X_unlabelled: Array) -> Supervised:
        """Fit on the labelled part."""
        self.probe = LinearProbe().fit(X, y)
        return self

    def predict(self, X: Array) -> Array:
        """Return classes."""
        return self.probe.predict(X)


METHODS: dict[str, Callable[[], Any]] = {
    "LinearProbe": Supervised,
    "SpreadingProbe": SpreadingProbe,
    "LabelSpreading": LabelSpreading,
    "SelfTraining": SelfTraining,
    THEIRS[0]: lambda: Concatenated(SelfTrainingClassifier(LogisticRegression(C=10))),
    THEIRS[1]: lambda: Concatenated(TheirSpreading(kernel="knn", n_neighbors=15, alpha=0.95)),
}
FOREIGN_DRAWS, OTHER_DRAWS, THEIR_DRAWS = (
    5,
    5,
    3,
)  # of every set and number of labels: they are slow


def prepared(X: Array) -> Array:
    """Return square roots of unit length."""
    X = np.sqrt(X)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def load(vectors: Path, stem: str) -> tuple[Array, Array]:
    """Return vectors and class numbers."""
    with np.load(vectors / f"{stem}.npz") as file:
        return file["X"], np.unique(file["y"], return_inverse=True)[1]


def one_draw(
    X: Array, y: Array, labels: int, random: np.random.Generator, methods: Sequence[str]
) -> dict[str, Any]:
    """Return accuracy on the pool and on the images put aside, and seconds, of every method."""
    aside = random.random(len(y)) < 0.2
    chosen = np.concatenate(
        [
            random.choice(np.flatnonzero(~aside & (y == c)), labels, replace=False)
            for c in np.unique(y)
        ]
    )
    parts = {"pool": np.setdiff1d(np.flatnonzero(~aside), chosen), "aside": np.flatnonzero(aside)}
    out: dict[str, Any] = {}
    for name in methods:
        start = time.perf_counter()
        head = METHODS[name]().fit(X[chosen], y[chosen], X[parts["pool"]])
        seconds = round(time.perf_counter() - start, 3)
        right = {p: float((head.predict(X[rows]) == y[rows]).mean()) for p, rows in parts.items()}
        out[name] = {**{p: round(share, 5) for p, share in right.items()}, "seconds": seconds}
        if name == "SpreadingProbe":
            out["kept"] = head.verdict_.kept
    return out


def foreign_draw(
    X: Array, y: Array, labels: int, random: np.random.Generator, pool: Array
) -> dict[str, Any]:
    """Return what a pool of another set does to accuracy: by the automatic choice, and if used all the same."""
    chosen = np.concatenate(
        [random.choice(np.flatnonzero(y == c), labels, replace=False) for c in np.unique(y)]
    )
    rest = np.setdiff1d(np.arange(len(y)), chosen)
    pool = pool[random.permutation(len(pool))[:2000]]
    plain = LinearProbe().fit(X[chosen], y[chosen]).score(X[rest], y[rest])
    used = SpreadingProbe(automatic=False).fit(X[chosen], y[chosen], pool)
    kept = SpreadingProbe().fit(X[chosen], y[chosen], pool).verdict_.kept
    loss = round(float(used.score(X[rest], y[rest]) - plain), 5)
    return {"kept": kept, "if used": loss, "change": 0.0 if kept == "probe" else loss}


def draw_foreign(
    pools: dict[str, tuple[Array, Array]], done: dict[str, Any], random_state: int
) -> None:
    """Do the draws with a pool of another set that are missing."""
    for draw, (name, (X, y)), labels in itertools.product(
        range(FOREIGN_DRAWS), pools.items(), LABELS_A_CLASS
    ):
        other = [each for each in pools if each != name][draw % (len(pools) - 1)]
        key = f"{name} {other} {labels} {draw}"
        if key not in done:
            random = stream(random_state, key)
            done[key] = foreign_draw(X, y, labels, random, pools[other][0])


def foreign_table(runs: dict[str, Any]) -> dict[str, Any]:
    """Return, by labels a class, how often a foreign pool was refused, and the points that it cost."""
    out = {}
    for labels in LABELS_A_CLASS:
        found = [run for key, run in runs.items() if key.split()[2] == str(labels)]
        if found:
            out[str(labels)] = {
                "draws": len(found),
                "refused": sum(run["kept"] == "probe" for run in found),
                "points lost": round(
                    0.0 - 100 * float(np.mean([run["change"] for run in found])), 2
                ),
                "points lost if used": round(
                    -100 * float(np.mean([r["if used"] for r in found])), 2
                ),
            }
    return out


def interval(values: Array) -> dict[str, float]:
    """Return the mean over draws in points and its 95 % t-interval."""
    mean = float(values.mean())
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return {
        k: round(100 * v, 2)
        for k, v in (("mean", mean), ("low", mean - half), ("high", mean + half))
    }


def gains(runs: dict[str, Any]) -> dict[str, Any]:
    """Return differences from the probe, paired by draw, by labels a class, place, method and set."""
    out: dict[str, Any] = {}
    for labels in LABELS_A_CLASS:
        for place in PLACES:
            for method in METHODS:
                columns = {s: _column(runs, f"{s} {labels}", method, place) for s in SETS}
                n = min(len(found) for found, _ in columns.values())
                if n < 2:
                    continue
                differences = {s: (found - base)[:n] for s, (found, base) in columns.items()}
                row: dict[str, Any] = {s: interval(differences[s]) for s in SETS}
                row["mean"] = interval(np.mean(list(differences.values()), axis=0))
                row["accuracy"] = {s: round(100 * float(columns[s][0].mean()), 1) for s in SETS}
                row["draws"] = n
                out.setdefault(str(labels), {}).setdefault(place, {})[method] = row
    return out


def _column(runs: dict[str, Any], cell: str, method: str, place: str) -> tuple[Array, Array]:
    """Return the accuracy of a method and of the probe in the draws that have both."""
    done = [run for key, run in runs.items() if key.rpartition(" ")[0] == cell and method in run]
    return (
        np.array([run[method][place] for run in done]),
        np.array([run["LinearProbe"][place] for run in done]),
    )


def met(table: dict[str, Any]) -> dict[str, Any]:
    """Return, by labels a class, the gain on the pool, the target, and sets significantly worse."""
    out = {}
    for labels, target in TARGETS.items():
        row = table[str(labels)]["pool"]["SpreadingProbe"]
        worse = [s for s in SETS if row[s]["high"] < 0]
        out[str(labels)] = {"gain": row["mean"], "target": target, "significantly worse on": worse}
    return out


def tables(runs: dict[str, Any]) -> dict[str, Any]:
    """Return what the draws done so far say."""
    table = gains(runs)
    kept = [run["kept"] for run in runs.values() if "kept" in run]
    found = {"draws and sets": len(kept), "of which the probe was kept": kept.count("probe")}
    return {"verdict": found, "met": met(table) if table else {}, "gain": table}


def large(vectors: Path, n: int, random_state: int) -> tuple[Array, Array, Array]:
    """Return ten labels a class of EuroSAT and n unlabelled mixtures of two images."""
    X, y = load(vectors, "eurosat")
    random = stream(random_state, "large")
    chosen = np.concatenate(
        [random.choice(np.flatnonzero(y == c), 10, replace=False) for c in np.unique(y)]
    )
    pool = np.empty((n, X.shape[1]), np.float32)
    for start in range(0, n, 1000):  # in blocks, so that making them is not the peak of memory
        a, b = random.integers(len(X), size=(2, len(pool[start : start + 1000])))
        pool[start : start + 1000] = np.float32(0.7) * X[a] + np.float32(0.3) * X[b]
    return X[chosen], y[chosen], pool


def cost(vectors: Path, method: str, n: int, random_state: int) -> None:
    """Print seconds of one fit and the megabytes that it added to the peak, as JSON."""
    if method == "million":
        random, method = stream(random_state, method), "SpreadingProbe"
        centres = random.gamma(1.0, 1.0, (20, 384)).astype(np.float32)
        y = np.repeat(np.arange(20), 10)
        X = centres[y] + random.gamma(0.5, 2.0, (200, 384)).astype(np.float32)
        pool = np.empty((10**6, 384), np.float32)
        for start in range(0, len(pool), 1000):
            pool[start : start + 1000] = random.random((1000, 384), dtype=np.float32)
            pool[start : start + 1000] += centres[random.integers(20, size=1000)]
    else:
        X, y, pool = large(vectors, n, random_state)
    LinearProbe().fit(X, y)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    cpu = time.process_time()
    METHODS[method]().fit(X, y, pool)
    print(
        json.dumps(
            {
                "n_unlabelled": len(pool),
                "seconds": round(time.perf_counter() - start, 2),
                "cpu_seconds": round(time.process_time() - cpu, 2),
                "added_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


def measured_cost(asked: argparse.Namespace, method: str) -> dict[str, Any]:
    """Return the cost of one fit, in a process of its own."""
    command = [sys.executable, __file__, "--vectors", str(asked.vectors), "--cost", method]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Do the draws and the costs that are missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, required=True, help="folder of NAME.npz")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--random-state", type=int, default=40)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--cost", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # scikit-learn's, of fits that have not converged
    if asked.cost:
        cost(asked.vectors, asked.cost, 25_000, asked.random_state)
        return
    path = record.RESULTS / f"{NAME}.json"
    done = json.loads(path.read_text()) if path.exists() else {}
    runs, costs, foreign = (done.get(key, {}) for key in ("draws", "cost", "foreign_draws"))

    def save(**figures: Any) -> None:
        content = {"unit": "points of accuracy; 95 % t-intervals over draws, paired", **figures}
        content |= {"foreign": foreign_table(foreign), "cost": costs, "draws": runs}
        content |= {"foreign_draws": foreign}
        record.write(NAME, content, seed=asked.random_state, claim=__doc__.splitlines()[0])

    pools = {name: load(asked.vectors, stem) for name, stem in SETS.items()}
    plan = ((OURS[:2], asked.draws), (OURS[2:], OTHER_DRAWS), (THEIRS, THEIR_DRAWS))
    for methods, draws in plan:
        for draw in range(draws):
            for name, (X, y) in pools.items():
                for labels in LABELS_A_CLASS:
                    key = f"{name} {labels} {draw}"
                    run = runs.setdefault(key, {})
                    missing = [method for method in methods if method not in run]
                    random = stream(asked.random_state, key)
                    run |= one_draw(X, y, labels, random, missing) if missing else {}
            save(**tables(runs))
            print(f"draw {draw + 1} of {draws} done by {', '.join(methods)}", flush=True)
        if methods == OURS[:2]:
            draw_foreign(pools, foreign, asked.random_state)
    for method in [*METHODS, *(["million"] if asked.million else [])]:
        if method not in costs:
            costs[method] = measured_cost(asked, method)
            save(**tables(runs))
            print(method, costs[method], flush=True)
    save(**tables(runs))
    print(json.dumps(met(gains(runs)), indent=1))


if __name__ == "__main__":
    main()
