"""Claim: LinearProbe is as accurate as tuned logistic regression, and ten times faster.

    python benchmarks/linear_probe.py --vectors DIR

``DIR`` holds vectors of one backbone as ``NAME.npz`` with ``X`` [n, d] and ``y`` [n]:
clothing_train, clothing_test, eurosat, trashnet, digits. On clothing the labels are drawn
from the train part and tested on the test part; on the others the rest is the test. All
methods see the same draws and the same vectors (square root, unit length). Nothing in
LinearProbe was chosen on the draws of this script's seed or on clothing_test; it was chosen on
other draws from the same pools, so that clothing is the one set whose test images are new.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy
import sklearn
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

from handful.core import Array, stream
from handful.heads import LinearProbe

SETS = ("clothing", "eurosat", "trashnet", "digits")
LABELS_A_CLASS = (1, 2, 5, 10, 20)
RESULT = Path(__file__).parent / "results" / "linear_probe.json"


class Pool(NamedTuple):
    """Vectors to draw labels from, and to test on (None: what the draw leaves)."""

    X: Array
    y: Array
    X_test: Array | None = None
    y_test: Array | None = None


def load(vectors: Path, name: str) -> Pool:
    """Return one data set; the only function that knows where vectors come from."""

    def read(stem: str) -> tuple[Array, Array]:
        with np.load(vectors / f"{stem}.npz") as file:
            return file["X"], file["y"]

    if name == "clothing":
        return Pool(*read("clothing_train"), *read("clothing_test"))
    return Pool(*read(name))


def prepared(X: Array) -> Array:
    """Return square roots of unit length."""
    X = np.sqrt(X)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def methods(labels: int) -> dict[str, Callable[[], Any]]:
    """Return the classifiers, unfitted, for a number of labels a class."""
    tuned = LogisticRegressionCV(Cs=10, cv=max(min(5, labels), 2), scoring="accuracy")
    plain = LogisticRegression(C=10)
    return {
        "LinearProbe": lambda: LinearProbe(power=1.0),  # the vectors are square roots already
        "LogisticRegressionCV": lambda: sklearn.clone(tuned if labels > 1 else plain),
        "LogisticRegression(C=10)": lambda: sklearn.clone(plain),
    }


def accuracies(pool: Pool, labels: int, random: np.random.Generator) -> dict[str, float]:
    """Return the accuracy of every method on one draw."""
    chosen = np.concatenate(
        [random.choice(np.flatnonzero(pool.y == c), labels, replace=False) for c in set_of(pool)]
    )
    rest = np.setdiff1d(np.arange(len(pool.y)), chosen)
    X_test = pool.X[rest] if pool.X_test is None else pool.X_test
    y_test = pool.y[rest] if pool.y_test is None else pool.y_test
    return {
        name: float((make().fit(pool.X[chosen], pool.y[chosen]).predict(X_test) == y_test).mean())
        for name, make in methods(labels).items()
    }


def set_of(pool: Pool) -> Array:
    """Return the classes, sorted."""
    return np.unique(pool.y)


def interval(values: Array) -> dict[str, float]:
    """Return the mean over draws in percent and its 95 % t-interval."""
    mean = float(values.mean())
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return {"mean": 100 * mean, "low": 100 * (mean - half), "high": 100 * (mean + half)}


def table(runs: dict[str, Array]) -> dict[str, Any]:
    """Return accuracies and the paired differences from LinearProbe."""
    ours = runs["LinearProbe"]
    others = {name: values for name, values in runs.items() if name != "LinearProbe"}
    return {
        "accuracy": {name: interval(values) for name, values in runs.items()},
        "LinearProbe minus": {name: interval(ours - values) for name, values in others.items()},
    }


def compare(pools: dict[str, Pool], draws: int, random_state: int) -> dict[str, Any]:
    """Return the tables by labels a class, of every set and of their mean."""
    out: dict[str, Any] = {}
    for labels in LABELS_A_CLASS:
        runs = {}
        for name, pool in pools.items():
            random = stream(random_state, f"{name} {labels}")
            rows = [accuracies(pool, labels, random) for _ in range(draws)]
            runs[name] = {m: np.array([row[m] for row in rows]) for m in rows[0]}
        mean = {m: np.mean([run[m] for run in runs.values()], axis=0) for m in runs[SETS[0]]}
        out[str(labels)] = {name: table(run) for name, run in {**runs, "mean": mean}.items()}
        show(labels, out[str(labels)]["mean"])
    return out


def show(labels: int, mean: dict[str, Any]) -> None:
    """Print one line of the result."""
    figures = ", ".join(f"{m} {v['mean']:.2f}" for m, v in mean["accuracy"].items())
    differences = ", ".join(
        f"{v['mean']:+.2f} ({v['low']:+.2f} to {v['high']:+.2f})"
        for v in mean["LinearProbe minus"].values()
    )
    print(f"{labels:>3} labels a class: {figures}; differences {differences}", flush=True)


def speed(pool: Pool, repetitions: int, random_state: int) -> dict[str, Any]:
    """Return seconds of one fit on 1,000 rows of 10 classes, in alternation, and the ratio."""
    random = stream(random_state, "speed")
    classes = set_of(pool)[:10]
    chosen = np.concatenate(
        [random.choice(np.flatnonzero(pool.y == c), 100, replace=False) for c in classes]
    )
    X, y = pool.X[chosen], pool.y[chosen]
    seconds: dict[str, list[float]] = {"LinearProbe": [], "LogisticRegressionCV": []}
    LinearProbe(power=1.0).fit(X[:50], y[:50])
    for _ in range(repetitions):
        for name, spent in seconds.items():
            start = time.perf_counter()
            methods(5)[name]().fit(X, y)
            spent.append(time.perf_counter() - start)
    ratios = np.array(seconds["LogisticRegressionCV"]) / np.array(seconds["LinearProbe"])
    return {"shape": list(X.shape), "seconds": seconds, "ratio": float(np.median(ratios))}


def machine() -> dict[str, Any]:
    """Return versions and hardware."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "machine": platform.machine(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
    }


def main() -> None:
    """Run both comparisons and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, required=True, help="folder of NAME.npz")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--random-state", type=int, default=20)
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", FutureWarning)  # of LogisticRegressionCV's defaults
    start = time.perf_counter()
    pools = {}
    for name in SETS:
        pool = load(asked.vectors, name)
        X_test = None if pool.X_test is None else prepared(pool.X_test)
        pools[name] = pool._replace(X=prepared(pool.X), X_test=X_test)
    result = {
        "claim": __doc__.splitlines()[0],
        "random_state": asked.random_state,
        "draws": asked.draws,
        "unit": "accuracy in percent; 95 % t-intervals over draws, paired for differences",
        "speed": speed(pools["eurosat"], asked.repetitions, asked.random_state),
        "labels a class": compare(pools, asked.draws, asked.random_state),
        **machine(),
        "seconds": time.perf_counter() - start,
    }
    print(f"{result['speed']['ratio']:.1f} times faster than LogisticRegressionCV")
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
