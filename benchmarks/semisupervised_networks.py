"""Every consistency variant and Noisy Student on one small budget beside labelled-only and all labels.

    HANDFUL_DATA=... python benchmarks/semisupervised_networks.py [--folder STATE]

For each seed a draw of labelled images, a pool whose labels are hidden, and test images that no training
sees; the same for all methods. Each sees ``--images`` images in training, from the packaged backbone:
``fine-tuned`` the labelled images alone, the semi-supervised methods the pool as well, ``all labels`` with
the labels of the pool (a bound, not a rival). What is compared is a linear probe on the test images,
fitted on the labelled images' vectors (of ``all labels`` on the pool's as well). ``linear probe`` has the
frozen vectors; ``spreading probe``, Noisy Student's teacher, the frozen vectors and the pool: what `fit`
does without any training.
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
from tiles import draw, listed_images, remembered, training_data, vectors

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
from handful.core import Estimate, Float32, Float64, stream
from handful.heads import LinearProbe, SpreadingProbe, TemperatureScaled, WithPool
from handful.jobs.adaptation import (
    CONSISTENCY,
    NOISY_STUDENT,
    SUPERVISED,
    Adaptation,
    build,
    recipe_of,
)
from handful.measure import paired_interval, share

PROBE, SPREADING = "linear probe", "spreading probe"
LABELLED_ONLY, NOISY, ALL = "fine-tuned", "noisy student", "all labels"
METHODS = (PROBE, SPREADING, LABELLED_ONLY, *VARIANTS, NOISY, ALL)


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

    def hits(self, network: Network, n: int) -> list[int]:
        """Return for each test image whether a linear probe on the first ``n`` images' vectors is right."""
        return self.right(LinearProbe().fit(vectors(network, self.paths[:n]), self.y[:n]), network)

    def right(self, head: Any, network: Network) -> list[int]:
        """Return for each test image whether a fitted head is right."""
        return [int(hit) for hit in head.predict(vectors(network, self.test)) == self.y_test]

    def teacher(self, frozen: Float32) -> Any:
        """Return the head on frozen vectors that learns from the pool too."""
        head = TemperatureScaled(WithPool(SpreadingProbe(), frozen[self.n :]))
        return head.fit(frozen[: self.n], self.y[: self.n])


def planned(method: Any, data: TrainingData, *, kind: str, settings: Adaptation, seed: int) -> Any:
    """Return the recipe of a kind of method with the steps that the budget pays for."""
    return plan(method, data, recipe_of(kind, settings, seed), settings.budget, settings.hardware)


def cell(name: str, drawn: Draw, frozen: Float32, folder: Path) -> dict[str, Any]:
    """Train one method and return its accuracy on the test images, and what its run was."""
    asked, seed, n = drawn.asked, drawn.seed, drawn.n
    shutil.rmtree(folder, ignore_errors=True)  # what a stop left, planned on other timings
    budget = Budget(asked.images, "images")
    own: dict[str, Any] = {"variant": name} if name in VARIANTS else {}
    settings = Adaptation(budget=budget, options=own, hardware=Hardware(accelerator=asked.device))
    network, side, found = drawn.network(), asked.train_size, {}
    if name == PROBE:
        return {"hits": drawn.hits(network, n)}
    if name == SPREADING:
        return {"hits": drawn.right(drawn.teacher(frozen), network)}
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
    return {"hits": drawn.hits(network, n_probe), **steps, **found}


def noisy(
    drawn: Draw,
    data: TrainingData,
    frozen: Float32,
    planner: Any,
    folder: Path,
    settings: Adaptation,
) -> tuple[dict[str, Any], Network, Any]:
    """Return what came of Noisy Student, with the accuracy of its teacher's guesses, its network and recipe."""
    p, start = (
        drawn.teacher(frozen).predict_proba(frozen),
        probe_head(frozen[: drawn.n], drawn.y[: drawn.n]),
    )
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


def row(cells: list[dict[str, Any]], base: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a method: Wilson's interval, and gains paired by test image."""
    hits = pooled(cells)
    found: dict[str, Any] = {
        "accuracy": percent(share(int(hits.sum()), len(hits), "accuracy", "Wilson")),
        "by_seed": [round(100 * float(np.mean(one["hits"])), 2) for one in cells],
    }
    for name, others in base.items():
        value, low, high = paired_interval(hits - pooled(others))
        gain = {"mean": value, "low": low, "high": high}
        found[f"minus {name}"] = {key: round(100 * bound, 2) for key, bound in gain.items()}
    rest = sorted({key for one in cells for key in one} - {"hits"})
    return {**found, **{key: [one[key] for one in cells] for key in rest}}


def pooled(cells: list[dict[str, Any]]) -> Float64:
    """Return the hits of all seeds, one after the other."""
    return np.concatenate([one["hits"] for one in cells]).astype(np.float64)


def percent(estimate: Estimate) -> dict[str, float]:
    """Return an estimate in percent."""
    bounds = {"mean": estimate.value, "low": estimate.low, "high": estimate.high}
    return {key: round(100 * value, 2) for key, value in bounds.items()}


def main() -> None:
    """Run what is not finished yet, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="state of the benchmark (default: a new one)")
    parser.add_argument("--images", type=int, default=1920, help="seen in a training")
    parser.add_argument("--seeds", type=int, default=1)
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
        for name in dict.fromkeys([PROBE, SPREADING, *asked.methods]):
            place = own / name.replace(" ", "-")
            done = remembered(own, place.name, lambda: cell(name, drawn, frozen, place))
            spent = {"cpu_seconds": done["cpu_seconds"], "seconds": done["seconds"]}
            cells.setdefault(name, []).append({**done["found"], **spent})
    base = {name: cells[name] for name in (PROBE, SPREADING) if name in cells}
    table = {name: row(own, base) for name, own in cells.items()}
    for name, figures in table.items():
        print(f"{name:14s} {figures['accuracy']} {figures['minus linear probe']}")
    kept = {k: v for k, v in vars(asked).items() if k not in ("folder", "methods", "seed")}
    figures = {
        **kept, "noise": asdict(Noise()), "table": table,
        "unit": "accuracy in percent on the test images; 95 % intervals over them, for these draws of labels and pool; "
        "gains paired by test image",
    }  # fmt: skip
    record.write("semisupervised_networks", figures, seed=asked.seed, claim=__doc__.splitlines()[0])


if __name__ == "__main__":
    main()
