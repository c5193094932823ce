"""Claim: the default needs ≤ 52 % of the labels that random picks need for the accuracy of 200, and is never below.

    python benchmarks/active_curves.py --vectors DIR [--seeds 20] [--strategies a,b] [--sets clothing,…] [--name NAME]

``DIR`` holds vectors of one backbone as ``NAME.npz`` with ``X`` and ``y``: clothing_train, eurosat, trashnet, digits
(``vectors.py DIR`` makes them; it is run when the folder is missing). Of every set a third is put aside and measured
on; of the rest at most 3,000 are the pool. Batches of 20 to 300 labels, the head of `handful next`, no audits. All
strategies see the same parts. Curves done stand in the result file and are not done again. ``--tune`` uses other
parts, for choosing among variants: nothing was chosen on those without it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import record

from handful.core import Array, stream
from handful.select import STRATEGIES, Loop, Oracle, simulate

SETS = {
    "clothing": "clothing_train",
    "eurosat": "eurosat",
    "trashnet": "trashnet",
    "digits": "digits",
}
BUDGET, BATCH, POOL, REFERENCE = 300, 20, 3000, 200
TARGET = 0.52
CLAIM = "labels for random's accuracy at 200 labels, as a share of 200: at most 52 % on average"
SLOW = ("epig", "batch_bald", "bald")  # ensembles: a quarter of the seeds


def parts(X: Array, y: Array, seed: int, tune: bool) -> tuple[Array, Array, Array, Array]:
    """Return pool and test vectors and labels of one seed."""
    order = stream(seed, "tune" if tune else "curves").permutation(len(y))
    aside = len(y) // 3
    test, pool = order[:aside], order[aside:][:POOL]
    return X[pool], y[pool], X[test], y[test]


def one_curve(X: Array, y: Array, strategy: str, seed: int, tune: bool) -> list[float]:
    """Return accuracies after each batch."""
    X, y, X_test, y_test = parts(X, y, seed, tune)
    loop = Loop(X, strategy=strategy, audits=0, random_state=seed)
    curve = simulate(loop, Oracle(y), X_test, y_test, budget=BUDGET, batch=BATCH)
    return [round(float(value), 4) for value in curve.accuracy]


def interval(values: Array) -> dict[str, float]:
    """Return a mean with its 95 % t-interval over seeds."""
    from scipy import stats

    mean, n = float(np.mean(values)), len(values)
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5) if n > 1 else 0.0
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def labels_needed(curve: Array, wanted: float) -> float:
    """Return the labels at which a mean curve first reaches an accuracy, between batches in line."""
    reached = np.flatnonzero(curve >= wanted)
    if not len(reached):
        return float("nan")
    row = int(reached[0])
    if row == 0:
        return float(BATCH)
    step = (wanted - curve[row - 1]) / (curve[row] - curve[row - 1])
    return BATCH * (row + float(step))


def table(curves: dict[str, dict[str, dict[str, list[float]]]]) -> dict[str, Any]:
    """Return every strategy's figures on every set, against random on the same seeds."""
    out: dict[str, Any] = {}
    for name, by_strategy in curves.items():
        out[name] = {}
        for strategy, by_seed in by_strategy.items():
            seeds = sorted(set(by_seed) & set(by_strategy.get("random", {})))
            if not seeds:
                continue
            ours = np.array([by_seed[seed] for seed in seeds])
            theirs = np.array([by_strategy["random"][seed] for seed in seeds])
            gain = ours - theirs
            wanted = theirs.mean(axis=0)[REFERENCE // BATCH - 1]
            needed = labels_needed(ours.mean(axis=0), float(wanted))
            out[name][strategy] = {
                "seeds": len(seeds),
                "accuracy": {
                    str((row + 1) * BATCH): interval(ours[:, row]) for row in (0, 1, 2, 4, 9, 14)
                },
                "mean_gain": interval(gain.mean(axis=1)),
                "least_gain_at_any_budget": round(float(gain.mean(axis=0).min()), 4),
                "gain_at_the_end": interval(gain[:, -1]),
                "labels_for_random_200": None if np.isnan(needed) else round(needed, 1),
                "share": None if np.isnan(needed) else round(needed / REFERENCE, 3),
            }
    return out


def gains(curves: dict[str, dict[str, dict[str, list[float]]]]) -> list[float]:
    """Return the default's mean gain over random after each batch, sets counting alike."""
    by_set = []
    for by_strategy in curves.values():
        seeds = sorted(set(by_strategy.get("default", {})) & set(by_strategy.get("random", {})))
        if seeds:
            ours, theirs = (
                np.array([by_strategy[name][seed] for seed in seeds])
                for name in ("default", "random")
            )
            by_set.append((ours - theirs).mean(axis=0))
    return [round(float(gain), 4) for gain in np.mean(by_set, axis=0)] if by_set else []


def verdict(figures: dict[str, Any], curve: list[float]) -> dict[str, Any]:
    """Return whether the default meets the claim."""
    found = [row["default"] for row in figures.values() if "default" in row]
    if not found:
        return {}
    shares = [row["share"] if row["share"] is not None else np.inf for row in found]
    return {
        "mean_share": round(float(np.mean(shares)), 3),
        "mean_gain_after_each_batch": curve,
        "above_random_at_every_budget_on_average": min(curve) > 0,
        "no_lower_at_the_end": all(row["gain_at_the_end"]["mean"] >= 0 for row in found),
        "holds": bool(np.mean(shares) <= TARGET),
    }


def main() -> None:
    """Run what is missing, save after every curve, print one line a set and strategy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--name", default="active_curves")
    parser.add_argument("--tune", action="store_true")
    options = parser.parse_args()
    if not options.vectors.is_dir():
        script = Path(__file__).with_name("vectors.py")
        subprocess.run([sys.executable, str(script), str(options.vectors)], check=True)
    path = record.RESULTS / f"{options.name}.json"
    curves = json.loads(path.read_text())["curves"] if path.exists() else {}
    for seed in range(options.seeds):
        for name in options.sets.split(","):
            with np.load(options.vectors / f"{SETS[name]}.npz") as file:
                X, y = file["X"], file["y"]
            for strategy in options.strategies.split(","):
                done = curves.setdefault(name, {}).setdefault(strategy, {})
                if str(seed) in done or (strategy in SLOW and seed % 4):
                    continue
                start = time.perf_counter()
                done[str(seed)] = one_curve(X, y, strategy, seed, options.tune)
                print(f"{name} {strategy} {seed}: {time.perf_counter() - start:.1f} s", flush=True)
                figures = table(curves)
                record.write(
                    options.name, {"verdict": verdict(figures, gains(curves)), "figures": figures, "curves": curves},
                    claim=CLAIM, script="active_curves",
                )  # fmt: skip
    for name, rows in table(curves).items():
        for strategy, row in rows.items():
            print(f"{name:9} {strategy:17} {json.dumps(row['mean_gain'])} share {row['share']}")
    print(json.dumps(verdict(table(curves), gains(curves))))


if __name__ == "__main__":
    main()
