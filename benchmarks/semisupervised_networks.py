"""Every consistency variant and Noisy Student on one small budget beside labelled-only and all labels.

    HANDFUL_DATA=... python benchmarks/semisupervised_networks.py [--folder STATE]

For each seed a draw of labelled images, a pool whose labels are hidden, and test images that no training
sees; the same for all methods. Each trains for ``--minutes``, on one device, from the packaged backbone:
``fine-tuned`` on the labelled images alone, the semi-supervised methods on the pool as well,
``all labels`` with the labels of the pool (a bound, not a rival). What is compared is a linear probe on the
test images, fitted on the labelled images' vectors (of ``all labels`` on the pool's as well); ``linear
probe`` has the frozen vectors.
The state lies in ``--folder``: what was finished is not done again.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import record
from tiles import draw, interval, listed_images, remembered, training_data, vectors

from handful.adapt import (
    VARIANTS,
    Budget,
    Hardware,
    Marked,
    Network,
    Noise,
    School,
    TrainingData,
    load_network,
    plan,
    probe_head,
    train,
)
from handful.core import Float32, stream
from handful.heads import LinearProbe, TemperatureScaled
from handful.jobs.adaptation import (
    CONSISTENCY,
    NOISY_STUDENT,
    SUPERVISED,
    Adaptation,
    build,
    recipe_of,
)

PROBE, LABELLED_ONLY, NOISY, ALL = "linear probe", "fine-tuned", "noisy student", "all labels"
METHODS = (PROBE, LABELLED_ONLY, *VARIANTS, NOISY, ALL)


class Draw:
    """The images of one seed: labelled ones, then the pool, and others to test on."""

    def __init__(self, asked: argparse.Namespace, seed: int) -> None:
        paths, codes, _ = listed_images(asked.set)
        labelled = draw(codes, asked.labels, seed, "labelled")
        rest = np.setdiff1d(np.arange(len(codes)), labelled)
        rest = stream(seed, "rest").permutation(rest)
        pool, test = rest[: asked.pool], rest[asked.pool : asked.pool + asked.test]
        rows = np.concatenate([labelled, pool])
        self.paths, self.y = [paths[row] for row in rows], codes[rows]
        self.test, self.y_test = [paths[row] for row in test], codes[test]
        self.n, self.seed, self.asked = len(labelled), seed, asked
        self.hidden = np.where(np.arange(len(rows)) < self.n, self.y, -1)

    def network(self) -> Network:
        """Return the packaged network, for the side in pixels at which vectors are made."""
        return load_network(preprocess={"size": self.asked.size})

    def accuracy(self, network: Network, n: int) -> float:
        """Return the accuracy of a linear probe on a network's vectors of the first ``n`` images."""
        X, X_test = vectors(network, self.paths[:n]), vectors(network, self.test)
        return float((LinearProbe().fit(X, self.y[:n]).predict(X_test) == self.y_test).mean())


def planned(method: Any, data: TrainingData, *, kind: str, settings: Adaptation, seed: int) -> Any:
    """Return the recipe of a kind of method with the steps that the budget pays for."""
    return plan(method, data, recipe_of(kind, settings, seed), settings.budget, settings.hardware)


def cell(name: str, drawn: Draw, frozen: Float32, folder: Path) -> dict[str, Any]:
    """Train one method and return its accuracy on the test images, and what its run was."""
    asked, seed, n = drawn.asked, drawn.seed, drawn.n
    shutil.rmtree(folder, ignore_errors=True)  # what a stop left, planned on other timings
    budget = Budget(60 * asked.minutes, "seconds")
    own: dict[str, Any] = {"variant": name} if name in VARIANTS else {}
    settings = Adaptation(budget=budget, options=own, hardware=Hardware(accelerator=asked.device))
    network, side, found = drawn.network(), asked.train_size, {}
    if name == PROBE:
        return {"accuracy": drawn.accuracy(network, n)}
    targets = {LABELLED_ONLY: drawn.y[:n], ALL: drawn.y}.get(name, drawn.hidden)
    paths = drawn.paths[: len(targets)]
    data = training_data(network, paths, targets, side, folder.parent / "pixels")
    kind = {NOISY: NOISY_STUDENT, LABELLED_ONLY: SUPERVISED, ALL: SUPERVISED}.get(name, CONSISTENCY)
    planner = partial(planned, kind=kind, settings=settings, seed=seed)
    if name == NOISY:
        found, network, recipe = noisy(drawn, data, frozen, planner, folder, settings)
    else:
        method = build(
            kind,
            network,
            settings,
            targets=targets,
            vectors=frozen[: len(targets)],
            size=side,
            random_state=seed,
        )
        if kind == CONSISTENCY:
            data = replace(data, images=Marked(data.images, targets))
        recipe = train(
            method, data, planner(method, data), folder, hardware=settings.hardware, quiet=True
        )
        method.finish()
        found = method.confidence_counts() if kind == CONSISTENCY else {}
    steps = {"steps": recipe.steps, "batch_size": recipe.batch_size, "rate": recipe.rate}
    n_probe = len(targets) if name == ALL else n
    return {"accuracy": drawn.accuracy(network, n_probe), **steps, **found}


def noisy(
    drawn: Draw,
    data: TrainingData,
    frozen: Float32,
    planner: Any,
    folder: Path,
    settings: Adaptation,
) -> tuple[dict[str, Any], Network, Any]:
    """Return what came of Noisy Student, with the accuracy of its teacher's guesses, its network and recipe."""
    probe = TemperatureScaled(LinearProbe()).fit(frozen[: drawn.n], drawn.y[: drawn.n])
    p, start = probe.predict_proba(frozen), probe_head(frozen[: drawn.n], drawn.y[: drawn.n])
    classes = [str(c) for c in range(p.shape[1])]
    taught = School(
        data, lambda _: p, lambda _: (drawn.network(), start), planner, folder, drawn.asked.train_size, classes,
        random_state=drawn.seed, hardware=settings.hardware, quiet=True,
    ).teach()  # fmt: skip
    right = (p.argmax(axis=1) == drawn.y)[drawn.n :]
    sure = p.max(axis=1)[drawn.n :] >= Noise().threshold
    guesses = {
        "guesses_right": float(right.mean()),
        "confident_guesses_right": float(right[sure].mean()),
    }
    return {**taught.counts, **guesses}, taught.network, taught.recipe


def row(
    cells: list[dict[str, Any]], probes: list[float], tuned: list[float] | None
) -> dict[str, Any]:
    """Return the figures of a method: intervals over seeds, gains paired by seed."""
    values = [one["accuracy"] for one in cells]
    found: dict[str, Any] = {
        "accuracy": interval(values), "by_seed": [round(100 * v, 2) for v in values],
        "minus linear probe": interval((np.array(values) - np.array(probes)).tolist()),
    }  # fmt: skip
    if tuned is not None:
        found["minus fine-tuned"] = interval((np.array(values) - np.array(tuned)).tolist())
    rest = sorted({key for one in cells for key in one} - {"accuracy"})
    return {**found, **{key: [one[key] for one in cells] for key in rest}}


def main() -> None:
    """Run what is not finished yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="state of the benchmark (default: a new one)")
    parser.add_argument(
        "--minutes", type=float, default=4.0, help="of training, each method and seed"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", default="eurosat")
    parser.add_argument("--labels", type=int, default=5, help="a class")
    parser.add_argument("--pool", type=int, default=2000, help="images whose labels are hidden")
    parser.add_argument("--test", type=int, default=1000, help="other images")
    parser.add_argument("--train-size", type=int, default=96, help="side of the views in pixels")
    parser.add_argument(
        "--size", type=int, default=128, help="side in pixels at which vectors are made"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0, help="the first")
    asked = parser.parse_args()
    state = asked.folder or Path(tempfile.mkdtemp())
    cells: dict[str, list[dict[str, Any]]] = {}
    for seed in range(asked.seed, asked.seed + asked.seeds):
        drawn = Draw(asked, seed)
        own = state / f"seed-{seed}"
        path = own / "frozen.npy"
        if not path.is_file():
            own.mkdir(parents=True, exist_ok=True)
            np.save(path, vectors(drawn.network(), drawn.paths))
        frozen = np.load(path)
        for name in dict.fromkeys([PROBE, *asked.methods]):
            place = own / name.replace(" ", "-")
            done = remembered(own, place.name, lambda: cell(name, drawn, frozen, place))
            spent = {"cpu_seconds": done["cpu_seconds"], "seconds": done["seconds"]}
            cells.setdefault(name, []).append({**done["found"], **spent})
    accuracies = {name: [one["accuracy"] for one in own] for name, own in cells.items()}
    tuned = accuracies.get(LABELLED_ONLY)
    table = {name: row(own, accuracies[PROBE], tuned) for name, own in cells.items()}
    for name, figures in table.items():
        print(f"{name:14s} {figures['accuracy']} {figures['minus linear probe']}")
    kept = {k: v for k, v in vars(asked).items() if k not in ("folder", "methods", "seed")}
    figures = {
        **kept, "noise": asdict(Noise()), "table": table,
        "unit": "accuracy in percent of a linear probe on the test images; mean and 95 % t-interval over seeds "
        "(draws of labels, pool and test images), gains paired by seed",
    }  # fmt: skip
    record.write("semisupervised_networks", figures, seed=asked.seed, claim=__doc__.splitlines()[0])


if __name__ == "__main__":
    main()
