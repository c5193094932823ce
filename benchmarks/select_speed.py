"""Claim: a query over 100,000 images takes a tenth of a second to a few, in little memory.

    OMP_NUM_THREADS=2 python benchmarks/select_speed.py [--rival /path/to/python] [--n 100000] [--strategies a,b]

100,000 × 384 unit vectors in 50 clusters, 10 classes, 100 labelled, batch of 100; the query alone, models are fitted
before. Every cell is a process of its own: the best of three times (one where it takes over 10 seconds), and
the peak of memory above that at the start. ``--rival`` is the Python of an environment that holds scikit-activeml; its
query runs right after ours, under the same limits of time and memory, and its failure is written as its message.
Cells done stand in the result file and are not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BATCH, LABELLED, DIM, CLASSES, MEMBERS = 100, 100, 384, 10, 10
SECONDS, BYTES = 150, 20 * 2**30
CLAIM = (
    "margin ≥ 20, k-center ≥ 8, TypiClust ≥ 3, DropQuery ≥ 4, BADGE ≥ 50 times scikit-activeml; "
    "ProbCover and BatchBALD within 4 GB"
)
TARGETS = {"margin": 20, "k_center": 8, "typiclust": 3, "dropquery": 4, "badge": 50}
RIVALS = {
    "margin": "UncertaintySampling",
    "k_center": "CoreSet",
    "typiclust": "TypiClust",
    "dropquery": "DropQuery",
    "badge": "Badge",
    "probcover": "ProbCover",
    "bald": "GreedyBALD",
    "batch_bald": "BatchBALD",
}


def write_pool(path: Path, n: int) -> None:
    """Write vectors, probabilities of a model and of members, and the labelled rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, DIM))[rng.integers(50, size=n)] + 0.8 * rng.normal(size=(n, DIM))
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    weights = 5 * rng.normal(size=(MEMBERS + 1, DIM, CLASSES)).astype(np.float32)
    weights[1:] = weights[0] + 0.3 * weights[1:]
    proba = np.stack([softmax(X @ weight) for weight in weights])
    np.savez(
        path, X=X, proba=proba[0], members=proba[1:], weights=weights,
        labelled=rng.choice(n, LABELLED, replace=False), y=proba[0].argmax(axis=1),
    )  # fmt: skip


def softmax(logits: Any) -> Any:
    """Return probabilities."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def our_query(name: str, pool: dict[str, Any]) -> Callable[[], Any]:
    """Return a query of one strategy."""
    from handful.select import STRATEGIES

    strategy = STRATEGIES[name]
    known: dict[str, Any] = {"X": pool["X"], "labelled": pool["labelled"], "n": BATCH}
    known["proba"] = pool["members"] if strategy.needs == "members" else pool["proba"]
    if strategy.needs == "predictor":
        known["predict_proba"] = lambda X: softmax(X @ pool["weights"][0])
    if strategy.needs == "counts":
        known["y"] = pool["y"][pool["labelled"]]
    return lambda: strategy.rule(**known)


def their_query(name: str, pool: dict[str, Any]) -> Callable[[], Any]:
    """Return scikit-activeml's query, its classifiers fitted on the labelled rows."""
    from skactiveml import pool as rivals
    from skactiveml.classifier import SklearnClassifier
    from sklearn.ensemble import BaggingClassifier
    from sklearn.linear_model import LogisticRegression

    X, y = pool["X"], np.full(len(pool["X"]), np.nan)
    y[pool["labelled"]] = pool["y"][pool["labelled"]]
    rule, arguments = getattr(rivals, RIVALS[name]), {"X": X, "y": y, "batch_size": BATCH}
    if name in ("margin", "badge", "dropquery"):
        arguments["clf"] = SklearnClassifier(LogisticRegression(), classes=range(CLASSES)).fit(X, y)
        arguments["fit_clf"] = False
    if name in ("bald", "batch_bald"):
        bagged = BaggingClassifier(LogisticRegression(), MEMBERS, random_state=0)
        arguments["ensemble"] = SklearnClassifier(bagged, classes=range(CLASSES)).fit(X, y)
        arguments["fit_ensemble"] = False
    made = rule(random_state=0, **({"method": "margin_sampling"} if name == "margin" else {}))
    return lambda: made.query(**arguments)


def cell(name: str, whose: str, path: Path) -> None:
    """Print seconds and megabytes of one query as JSON."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    with np.load(path) as file:
        pool = {key: file[key] for key in file.files}
    query = (our_query if whose == "ours" else their_query)(name, pool)
    reset()
    before, seconds = peak(), []
    while len(seconds) < 3 and sum(seconds) < 10:
        start = time.perf_counter()
        query()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": round(min(seconds), 4), "megabytes": round(peak() - before)}))


def peak() -> float:
    """Return the largest memory since the last `reset`, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def reset() -> None:
    """Begin to count the peak of memory anew (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def measured(python: str, name: str, whose: str, path: Path) -> dict[str, Any]:
    """Run a cell in a process of its own."""
    command = [python, __file__, "--cell", name, whose, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"over {SECONDS} seconds"}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1][:200] if done.stderr else "killed"}
    return json.loads(done.stdout.splitlines()[-1])


def row(name: str, rival: str | None, path: Path) -> dict[str, Any]:
    """Return our cell, and the rival's right after it."""
    cells: dict[str, Any] = {"load_before": round(os.getloadavg()[0], 1)}
    cells["ours"] = ours = measured(sys.executable, name, "ours", path)
    if not rival or name not in RIVALS:
        return cells
    cells["scikit-activeml"] = theirs = measured(rival, name, "theirs", path)
    if "seconds" in ours and ("seconds" in theirs or theirs["failed"].startswith("over")):
        ratio = theirs.get("seconds", SECONDS) / ours["seconds"]
        cells["times_faster" if "seconds" in theirs else "at_least_times_faster"] = round(ratio, 1)
        if name in TARGETS:
            cells["holds"] = ratio >= TARGETS[name] or ("seconds" not in theirs and name == "badge")
    return cells


def main() -> None:
    """Measure what is missing, ours and the rival's in turn."""
    if sys.argv[1:2] == ["--cell"]:
        return cell(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    import record

    from handful.select import STRATEGIES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rival")
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--name", default="select_speed")
    options = parser.parse_args()
    result = record.RESULTS / f"{options.name}.json"
    figures: dict[str, Any] = json.loads(result.read_text())["cells"] if result.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.npz"
        write_pool(path, options.n)
        for name in options.strategies.split(","):
            if name in figures:
                continue
            figures[name] = row(name, options.rival, path)
            print(name, json.dumps(figures[name]), flush=True)
            record.write(
                options.name, {"pool": [options.n, DIM], "cells": figures}, claim=CLAIM, script="select_speed"
            )  # fmt: skip
    return None


if __name__ == "__main__":
    main()
