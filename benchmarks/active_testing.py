"""Claim: 50 weighted picks measure a model as well as 100 uniform ones, unbiased, with bounds that hold at all times.

    python benchmarks/active_testing.py --vectors DIR [--runs 500] [--sets clothing,eurosat,trashnet,digits]

Real models: the calibrated linear probe on a few labels, on the rest of each set as the pool, whose labels tell the
truth. For each of five models, picks by `expected_error`, by uniform draws, and the plain mean of margin picks.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import record

from handful import select
from handful.core import Array, stream
from handful.heads import LinearProbe, TemperatureScaled
from handful.measure import confidence_sequence, lure

SETS = {
    "clothing": "clothing_train",
    "eurosat": "eurosat",
    "trashnet": "trashnet",
    "digits": "digits",
}
LABELS, MODELS, PICKS, SHARE = 100, 5, (25, 50, 100), 0.2
CLAIM = "|bias| of LURE ≤ 0.5 points; RMSE at 50 picks ≤ uniform's at 100; the sequence covers in ≥ 95 % of runs"


def model(X: Array, y: Array, seed: int) -> tuple[Array, Array]:
    """Return probabilities and losses of a model of a few labels on the rest of a set."""
    order = stream(seed, "active testing").permutation(len(y))
    train, rest = order[:LABELS], order[LABELS:]
    head = TemperatureScaled(LinearProbe()).fit(X[train], y[train])
    proba = head.predict_proba(X[rest])
    return proba, (head.classes_[proba.argmax(axis=1)] != y[rest]).astype(np.float64)


def one_run(proba: Array, losses: Array, seed: int) -> dict[str, Any]:
    """Return the errors of each estimate at each number of picks, and whether the bounds held."""
    n, truth = len(losses), losses.mean()
    weighted = select.expected_error(
        proba=proba, n=max(PICKS), random_state=seed, uniform_share=SHARE
    )
    uniform = select.random(proba=proba, n=max(PICKS), random_state=seed)
    unsure = select.margin(proba=proba, n=max(PICKS), random_state=seed)
    seen = losses[weighted.indices]
    low, high = confidence_sequence(seen, weighted.q, n, uniform_share=SHARE)
    plain_low, plain_high = confidence_sequence(losses[uniform.indices], uniform.q, n)
    return {
        "lure": [lure(seen[:m], weighted.q[:m], n) - truth for m in PICKS],
        "uniform": [losses[uniform.indices[:m]].mean() - truth for m in PICKS],
        "naive": [losses[unsure.indices[:m]].mean() - truth for m in PICKS],
        "covered": bool(((low <= truth) & (truth <= high)).all()),
        "covered_uniform": bool(((plain_low <= truth) & (truth <= plain_high)).all()),
        "width": float(high[-1] - low[-1]),
        "width_uniform": float(plain_high[-1] - plain_low[-1]),
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return biases and root mean squared errors in points, coverage, and widths."""
    out: dict[str, Any] = {"runs": len(runs)}
    for name in ("lure", "uniform", "naive"):
        errors = 100 * np.array([run[name] for run in runs])
        out[name] = {
            str(m): {
                "bias": round(float(errors[:, i].mean()), 2),
                "bias_error": round(float(errors[:, i].std() / len(runs) ** 0.5), 2),
                "rmse": round(float(np.sqrt(np.square(errors[:, i]).mean())), 2),
            }
            for i, m in enumerate(PICKS)
        }
    for name in ("covered", "covered_uniform", "width", "width_uniform"):
        out[name] = round(float(np.mean([run[name] for run in runs])), 4)
    return out


def main() -> None:
    """Run all sets and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--name", default="active_testing")
    options = parser.parse_args()
    figures, every = {}, []
    for name in options.sets.split(","):
        with np.load(options.vectors / f"{SETS[name]}.npz") as file:
            models = [model(file["X"], file["y"], seed) for seed in range(MODELS)]
        runs = [one_run(*models[run % MODELS], run) for run in range(options.runs)]
        error = round(100 * float(np.mean([losses.mean() for _, losses in models])), 2)
        figures[name] = {"error_of_the_models": error, **summary(runs)}
        every += runs
        print(name, figures[name], flush=True)
    whole = summary(every)
    holds = {
        "bias": all(abs(whole["lure"][str(m)]["bias"]) <= 0.5 for m in PICKS),
        "rmse": whole["lure"]["50"]["rmse"] <= whole["uniform"]["100"]["rmse"],
        "coverage": all(row["covered"] >= 0.95 for row in figures.values()),
    }
    print(whole, holds)
    record.write(
        options.name,
        {"holds": holds, "all_sets": whole, "sets": figures},
        claim=CLAIM,
        script="active_testing",
    )


if __name__ == "__main__":
    main()
