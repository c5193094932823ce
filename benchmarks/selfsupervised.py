"""Claim: learning without labels from 10,000 EuroSAT tiles beats the same network at random by 15 points.

    HANDFUL_DATA=... python benchmarks/selfsupervised.py scratch|continue|as-used [--folder STATE] [--set SET]

``scratch``: a small ResNet (timm's resnet10t, 32 px) from random weights, each method for ``--minutes``
or ``--epochs``; methods that are not asked for keep their rows. A linear probe on draws of 10 labels a
class, taken from the 10,000 tiles, tested on 3,000 others; beside it the same network at random and raw pixels.
``continue``: the packaged backbone goes on learning at 64 px without labels; a probe at 5 labels a class
on 3,000 tiles that no step saw, against the frozen backbone at the same side.
``as-used``: the same on any image set as `handful adapt contrastive` does it, trained at 96 px and measured at the
backbone's own 224; other sets keep their rows. The state lies in ``--folder``: a benchmark that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import record
from tiles import (
    draw,
    interval,
    listed_images,
    probe_accuracies,
    remembered,
    training_data,
    vectors,
)

from handful.adapt import Budget, Hardware, Network, load_network, plan, read_log, train, watch
from handful.core import Float32, Int, stream
from handful.images import Preprocess, decode
from handful.jobs.adaptation import Adaptation, build, recipe_of, train_side

N_TRAIN, N_TEST, DRAWS, LABELLED, POOL = 10_000, 3_000, 20, 50, 2_000
CPU = Hardware(accelerator="cpu")
SMALL, SIDE = "timm:resnet10t", 32
CONTINUED_SIDE = 64
SCRATCH: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "SimCLR": ("contrastive", {"turn": True}, {"batch_size": 256}),
    "DCL": ("contrastive", {"turn": True, "decoupled": True}, {"batch_size": 256}),
    "BYOL": ("predictive", {"turn": True}, {"batch_size": 128}),
    "IDMM": ("instance", {"turn": True}, {"batch_size": 128}),
    "RotNet": ("rotation", {}, {"batch_size": 64}),
    "SimMIM": ("masked", {}, {"batch_size": 128}),
}


def tiles(seed: int, image_set: str = "eurosat") -> tuple[list[Path], Int, list[Path], Int]:
    """Return the images to learn from and others to test on, with their classes."""
    paths, codes, _ = listed_images(image_set)
    order = stream(seed, "tiles").permutation(len(paths))
    n = min(N_TRAIN, 2 * len(order) // 3)
    own, test = order[:n], order[n : n + N_TEST]
    return [paths[i] for i in own], codes[own], [paths[i] for i in test], codes[test]


def learnt(
    network: Network, method: str, options: dict[str, Any], changes: dict[str, Any],
    paths: list[Path], side: int, budget: Budget, folder: Path, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Train a network in place without labels; return what the run was."""
    targets = np.full(len(paths), -1, np.int64)
    data = training_data(network, paths, targets, side, folder.parent / f"pixels-{side}")
    settings = Adaptation(options=options, scratch=network.pretrained_on == "nothing")
    module = build(
        method, network, settings, targets=targets, vectors=np.zeros((0, 0), np.float32), size=side,
        random_state=seed,
    )  # fmt: skip
    recipe = replace(recipe_of(method, settings, seed), **changes)
    recipe = plan(module, data, recipe, budget, CPU)
    start, cpu = time.perf_counter(), time.process_time()
    train(module, data, recipe, folder, look=watch(data, side), hardware=CPU, quiet=True)
    return {
        "steps": recipe.steps, "epochs": round(recipe.steps * recipe.batch_size / len(paths), 2),
        "rate": recipe.rate, "batch_size": recipe.batch_size, "options": options,
        "minutes": round((time.perf_counter() - start) / 60, 2),
        "cpu_minutes": round((time.process_time() - cpu) / 60, 2), "last": read_log(folder)[-1],
    }  # fmt: skip


def pixels(paths: list[Path], side: int) -> Float32:
    """Return raw pixels as vectors."""
    preprocess = Preprocess(size=side, crop_pct=1.0)
    rows = np.stack([decode(path, preprocess).ravel() for path in paths])
    return rows.astype(np.float32) / 255


def scratch(state: Path, budget: Budget, seed: int, methods: list[str]) -> None:
    """Measure every method from random weights."""
    own, y, test, y_test = tiles(seed)

    def score(X: Float32, X_test: Float32) -> list[float]:
        return probe_accuracies(X, y, X_test, y_test, labels=10, draws=DRAWS, seed=seed)

    def random_network() -> Network:
        return load_network(SMALL, scratch=True, preprocess={"size": SIDE}, random_state=seed)

    rows: dict[str, Any] = {
        "raw pixels": remembered(
            state, "pixels", lambda: score(pixels(own, SIDE), pixels(test, SIDE))
        ),
        "random weights": remembered(
            state,
            "random",
            lambda: score(vectors(random_network(), own), vectors(random_network(), test)),
        ),
    }
    for name in methods:
        method, options, changes = SCRATCH[name]

        def work() -> dict[str, Any]:
            network = random_network()
            run = learnt(
                network, method, options, changes, own, SIDE, budget, state / f"run-{name}", seed
            )
            return {**run, "accuracies": score(vectors(network, own), vectors(network, test))}

        rows[name] = remembered(state, name, work)
    random = np.array(rows["random weights"]["found"])
    path = record.RESULTS / "selfsupervised.json"
    before = json.loads(path.read_text())["table"] if path.is_file() else {}
    table: dict[str, Any] = {name: row for name, row in before.items() if name in SCRATCH}
    for name, row in rows.items():
        found = row["found"]
        values = found["accuracies"] if isinstance(found, dict) else found
        run = (
            {k: v for k, v in found.items() if k != "accuracies"} if isinstance(found, dict) else {}
        )
        gain = interval((np.array(values) - random).tolist())
        table[name] = {"accuracy": interval(values), "minus random weights": gain, **run}
        print(f"{name:16s} {table[name]['accuracy']} {gain}")
    table = {name: table[name] for name in [*rows, *SCRATCH] if name in table}
    figures = {
        "network": SMALL, "side": SIDE, "images": N_TRAIN, "test_images": N_TEST, "labels_a_class": 10,
        "unit": "accuracy in percent; 95 % t-intervals over 20 draws, the same for all rows", "table": table,
    }  # fmt: skip
    record.write("selfsupervised", figures, seed=seed, claim=__doc__.splitlines()[0])


def going_on(state: Path, budget: Budget, seed: int, rate: float, method: str) -> None:
    """Continue the packaged backbone on unlabelled tiles and compare with it as it was."""
    own, y, test, y_test = tiles(seed)
    side = CONTINUED_SIDE

    def score(network: Network) -> list[float]:
        X, X_test = vectors(network, own), vectors(network, test)
        return probe_accuracies(X, y, X_test, y_test, labels=5, draws=DRAWS, seed=seed)

    def start() -> Network:
        return load_network(preprocess={"size": side})

    frozen = remembered(state, "frozen", lambda: score(start()))["found"]

    def work() -> dict[str, Any]:
        network = start()
        _, options, changes = next(v for v in SCRATCH.values() if v[0] == method)
        run = learnt(
            network,
            method,
            options,
            {**changes, "rate": rate},
            own,
            side,
            budget,
            state / "run",
            seed,
        )
        return {**run, "accuracies": score(network)}

    found = remembered(state, "continued", work)["found"]
    after = found.pop("accuracies")
    figures = {
        "backbone": "efficientnet_lite0", "side": side, "images": N_TRAIN, "test_images": N_TEST,
        "labels_a_class": 5, "method": method, **found,
        "unit": "accuracy in percent; 95 % t-intervals over 20 draws of labels, paired for the gain",
        "frozen": interval(frozen), "continued": interval(after),
        "gain": interval((np.array(after) - np.array(frozen)).tolist()),
    }  # fmt: skip
    claim = "The packaged backbone gains 4 points at 5 labels a class by learning on without labels from EuroSAT tiles."
    record.write("continued", figures, seed=seed, claim=claim, script="selfsupervised")
    print(figures)


def as_used(state: Path, budget: Budget, seed: int, image_set: str, method: str) -> None:
    """Continue the packaged backbone by the defaults of `handful adapt`, and compare at its own side."""
    own, y, test, y_test = tiles(seed, image_set)
    some = draw(y, LABELLED, seed, "labelled")  # of which the probes' labels are drawn
    labelled, y_labelled = [own[row] for row in some], y[some]
    others = [own[row] for row in np.setdiff1d(np.arange(len(own)), some)[:POOL]]

    def score(network: Network, pool: list[Path] | None = None) -> list[float]:
        X, X_test = vectors(network, labelled), vectors(network, test)
        return probe_accuracies(
            X, y_labelled, X_test, y_test, labels=5, draws=DRAWS, seed=seed,
            pool=vectors(network, pool) if pool else None,
        )  # fmt: skip

    frozen = remembered(state, "frozen", lambda: score(load_network()))["found"]
    pooled = remembered(state, "spreading", lambda: score(load_network(), others))["found"]
    turn = {"turn": True} if image_set == "eurosat" else {}  # satellite images have no upright

    def work() -> dict[str, Any]:
        network = load_network()
        side = train_side(method, Adaptation(), network.preprocess.size)
        run = learnt(network, method, turn, {}, own, side, budget, state / "run", seed)
        return {**run, "side": side, "accuracies": score(network)}

    found = remembered(state, method, work)["found"]
    after = found.pop("accuracies")
    row = {
        "images": len(own), "test_images": len(test), **found, "frozen": interval(frozen), "continued": interval(after),
        "spreading": interval(pooled), "pool": len(others),
        "gain": interval((np.array(after) - np.array(frozen)).tolist()),
    }  # fmt: skip
    path = record.RESULTS / "continued_as_used.json"
    before = json.loads(path.read_text())["sets"] if path.is_file() else {}
    figures = {
        "backbone": "efficientnet_lite0", "side": load_network().preprocess.size, "labels_a_class": 5,
        "method": method, "sets": {**before, image_set.partition("/")[0]: row},
        "unit": "accuracy in percent; 95 % t-intervals over 20 draws of labels, paired for the gain",
    }  # fmt: skip
    claim = (
        "What learning on without labels brings to the packaged backbone as `handful fit` uses it."
    )
    record.write("continued_as_used", figures, seed=seed, claim=claim, script="selfsupervised")
    print(row)


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["scratch", "continue", "as-used"])
    parser.add_argument("--folder", type=Path, help="state of the benchmark (default: a new one)")
    parser.add_argument("--minutes", type=float, default=6.0, help="of each method")
    parser.add_argument("--epochs", type=float, help="of each method, in place of minutes")
    parser.add_argument("--methods", nargs="+", choices=list(SCRATCH), default=list(SCRATCH))
    parser.add_argument("--method", default="contrastive", help="of `continue`")
    parser.add_argument("--rate", type=float, default=3e-4, help="of `continue`")
    parser.add_argument("--set", default="eurosat", help="of `as-used`")
    parser.add_argument("--images", type=int, help="views' originals, in place of minutes")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    state = asked.folder or Path(tempfile.mkdtemp())
    budget = Budget(60 * asked.minutes, "seconds")
    if asked.epochs:
        budget = Budget(asked.epochs, "epochs")
    if asked.images:
        budget = Budget(asked.images, "images")
    if asked.part == "scratch":
        scratch(state, budget, asked.seed, asked.methods)
    elif asked.part == "as-used":
        as_used(state, budget, asked.seed, asked.set, asked.method)
    else:
        going_on(state, budget, asked.seed, asked.rate, asked.method)


if __name__ == "__main__":
    main()
