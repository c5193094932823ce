"""Claim: SetFit's recipe on frozen vectors (contrastive pairs, then a classifier) is no better than the linear probe.

    PYTHONPATH=src python benchmarks/rivals/contrastive_head.py --vectors DIR [--draws 10]

SetFit (Tunstall et al. 2022, https://arxiv.org/abs/2209.11055) itself takes texts. Its recipe on images whose backbone
stays frozen: 20 rounds of one like and one unlike pair an image, a linear map that begins as the identity, mean squared
error between the cosine and 1 or 0, one epoch of AdamW; then scikit-learn's logistic regression on the mapped vectors.
Its rate was chosen on other draws (seed 61, of 0.00001 to 0.001). Vectors as `vectors.py` writes them; the same draws
for both; tested on all other vectors of the set.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from sklearn.linear_model import LogisticRegression

from handful.core import Array, stream
from handful.heads import LinearProbe

sys.path.insert(0, str(Path(__file__).parents[1]))
import record

SETS = {
    "clothing": "clothing_train",
    "eurosat": "eurosat",
    "trashnet": "trashnet",
    "digits": "digits",
}
ROUNDS, BATCH, SEED, RATE = 20, 16, 62, 1e-4


def pairs(y: Array, random: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return rows, partners and whether they are of one class: two pairs an image and round."""
    rows, partners, same = [], [], []
    for _ in range(ROUNDS):
        for row, label in enumerate(y):
            for is_same in (True, False):
                others = np.flatnonzero((y == label) == is_same)
                rows.append(row)
                partners.append(random.choice(others))
                same.append(float(is_same))
    order = random.permutation(len(rows))
    return np.array(rows)[order], np.array(partners)[order], np.array(same, np.float32)[order]


def setfit(X: Array, y: Array, random: np.random.Generator, rate: float) -> Any:
    """Train the map, then the classifier; return a function from vectors to classes."""
    torch.manual_seed(int(random.integers(2**31)))
    linear = torch.nn.Linear(X.shape[1], X.shape[1], bias=False)
    torch.nn.init.eye_(linear.weight)
    optimizer = torch.optim.AdamW(linear.parameters(), lr=rate, weight_decay=0.01)
    vectors = torch.from_numpy(X)
    rows, partners, same = pairs(y, random)
    for start in range(0, len(rows), BATCH):
        part = slice(start, start + BATCH)
        a, b = linear(vectors[rows[part]]), linear(vectors[partners[part]])
        loss = torch.nn.functional.mse_loss(
            torch.cosine_similarity(a, b), torch.from_numpy(same[part])
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weight = linear.weight.detach().numpy().T

    def mapped(Z: Array) -> Array:
        out = Z @ weight
        return out / np.linalg.norm(out, axis=1, keepdims=True)

    head = LogisticRegression(max_iter=1000).fit(mapped(X), y)
    return lambda Z: head.predict(mapped(Z))


def one(X: Array, y: Array, labels: int, key: str, seed: int, rate: float) -> dict[str, Any]:
    """Return accuracy and CPU seconds of both on one draw."""
    random = stream(seed, key)
    rows = np.concatenate(
        [random.permutation(np.flatnonzero(y == c))[:labels] for c in np.unique(y)]
    )
    rest = np.setdiff1d(np.arange(len(y)), rows)
    out: dict[str, Any] = {}
    prepared = np.sqrt(np.maximum(X, 0)).astype(np.float32)
    prepared /= np.linalg.norm(prepared, axis=1, keepdims=True)
    for name in ("LinearProbe", "SetFit's recipe"):
        start = time.process_time()
        if name == "LinearProbe":
            predict = LinearProbe().fit(X[rows], y[rows]).predict
            found = predict(X[rest])
        else:
            found = setfit(prepared[rows], y[rows], random, rate)(prepared[rest])
        out[name] = {
            "accuracy": round(float((found == y[rest]).mean()), 4),
            "cpu_seconds": round(time.process_time() - start, 2),
        }
    return out


def summary(runs: dict[str, Any]) -> dict[str, Any]:
    """Return means, and the paired difference with a 95 % t-interval over draws and sets."""
    out = {}
    for labels in sorted({int(key.split()[1]) for key in runs}):
        found = [run for key, run in runs.items() if int(key.split()[1]) == labels]
        values = {
            name: 100 * np.array([run[name]["accuracy"] for run in found]) for name in found[0]
        }
        theirs, ours = values["SetFit's recipe"], values["LinearProbe"]
        gap = ours - theirs
        half = stats.t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / len(gap) ** 0.5
        seconds = {
            name: float(np.median([run[name]["cpu_seconds"] for run in found])) for name in values
        }
        out[str(labels)] = {
            "LinearProbe": round(float(ours.mean()), 2),
            "SetFit's recipe": round(float(theirs.mean()), 2),
            "difference": {
                "mean": round(float(gap.mean()), 2),
                "low": round(float(gap.mean() - half), 2),
                "high": round(float(gap.mean() + half), 2),
                "n": len(gap),
            },
            "cpu_seconds": seconds,
        }
    return out


def main() -> None:
    """Do the draws and write the table; with --tune, print what each rate gives on other draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--tune", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = {}
    for name, stem in SETS.items():
        with np.load(options.vectors / f"{stem}.npz") as file:
            sets[name] = file["X"].astype(np.float32), file["y"]
    if options.tune:
        for rate in (1e-5, 1e-4, 3e-4, 1e-3):
            found = [
                one(*data, labels, f"{name} {labels} tune", SEED - 1, rate)["SetFit's recipe"]
                for name, data in sets.items() for labels in (2, 5, 10)
            ]  # fmt: skip
            print(rate, round(float(np.mean([run["accuracy"] for run in found])), 4), flush=True)
        return
    path = record.RESULTS / "rivals_contrastive_head.json"
    runs: dict[str, Any] = json.loads(path.read_text())["runs"] if path.exists() else {}
    for number in range(options.draws):
        for name, data in sets.items():
            for labels in (2, 5, 10):
                key = f"{name} {labels} {number}"
                if key not in runs:
                    runs[key] = one(*data, labels, key, SEED, RATE)
        figures = {"table": summary(runs), "rate": RATE, "runs": runs}
        record.write("rivals_contrastive_head", figures, seed=SEED, claim=__doc__.splitlines()[0],
                     script="rivals/contrastive_head")  # fmt: skip
        print(number, json.dumps(figures["table"]), flush=True)


if __name__ == "__main__":
    main()
