"""Claim: methods that are trained task by task reach what independent runs of the papers reach on Omniglot.

    python benchmarks/omniglot.py OMNIGLOT --work DIR
    python benchmarks/omniglot.py OMNIGLOT --work DIR --methods prototypical maml --minutes 15
    python benchmarks/omniglot.py OMNIGLOT --work DIR --full

``OMNIGLOT`` is the unpacked data set, with ``splits/vinyals``. Each model trains on the characters of
``train``, its best state is chosen on those of ``val``, and it is tested on 1,000 tasks of ``test``: 28 pixels,
turned characters are classes of their own. A model's number of steps is that of 28 CPU minutes on one core, and
``--minutes`` changes it in proportion; ``--full`` takes the papers' numbers of steps. It needs the extra
``train``. A command that was stopped goes on when it is given again, and what is done is not done again.
Results are written after each model.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from record import RESULTS, write

from handful.adapt import Hardware
from handful.jobs import (
    BackboneChoice,
    EpisodicTraining,
    NewTasks,
    accuracy_on_new_classes,
    adapt_on_tasks,
)

TASKS, QUERY = 1000, 15
SPLITS = (("train", "known/train"), ("val", "known/validation"), ("test", "new"))


@dataclass(frozen=True)
class Model:
    """One training, and the tasks that it is tested on."""

    method: str
    tests: tuple[tuple[int, int], ...]  # way and shot
    steps: int  # of 28 CPU minutes on one core of an EPYC with AVX2
    full_steps: (
        int  # of the paper; MAML's in tasks of 20 classes: as many classes seen as in its 16 of 5
    )
    way: int
    shot: int = 1
    query: int = 5
    backbone: str = "conv4"
    more: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


CONV: dict[str, Any] = {"backbone": "conv4_strides"}
MAML: dict[str, Any] = {  # one step, as in the paper; statistics of all queries, as in its code
    **CONV, "options": {"inner_steps": 1, "inner_rate": 12.0, "batch_norm": "transductive"},
    "more": {"tasks": 1, "rate": 5e-3},
}  # fmt: skip
FIRST_ORDER: dict[str, Any] = {
    **CONV, "options": {"inner_steps": 2, "first_order": True, "batch_norm": "transductive"},
}  # fmt: skip
MODELS = {
    "prototypical, 1 shot": Model("prototypical", ((5, 1), (20, 1)), 3000, 20_000, way=60),
    "prototypical, 5 shots": Model("prototypical", ((5, 5), (20, 5)), 1800, 20_000, way=60, shot=5),
    "matching": Model("matching", ((5, 1), (20, 1)), 2700, 100_000, way=60),
    "relation": Model("relation", ((5, 1), (20, 1)), 2700, 500_000, way=20, backbone="conv4_maps"),
    "maml, 1 shot": Model("maml", ((5, 1),), 10_000, 160_000, way=20, **MAML),
    "maml, 5 shots": Model("maml", ((5, 5),), 6_000, 160_000, way=20, shot=5, **MAML),
    "maml, 1 shot, first order": Model("maml", ((5, 1),), 1800, 40_000, way=5, **FIRST_ORDER),
    "maml, 5 shots, first order": Model(
        "maml", ((5, 5),), 1600, 40_000, way=5, shot=5, **FIRST_ORDER
    ),
    "reptile": Model("reptile", ((5, 1),), 4000, 100_000, way=20, query=9, **CONV),
}
# what the paper says and what independent runs commonly reach, in percent
PUBLISHED = {
    "prototypical": {(5, 1): (98.8, 98.4), (5, 5): (99.7, 99.6), (20, 1): (96.0, 94.9), (20, 5): (98.9, 98.6)},
    "matching": {(5, 1): (98.1, 98.3), (5, 5): (98.9, 99.8), (20, 1): (93.8, 92.8), (20, 5): (98.5, 98.2)},
    "relation": {(5, 1): (99.6, None), (5, 5): (99.8, None), (20, 1): (97.6, None), (20, 5): (99.1, None)},
    "maml": {(5, 1): (98.7, 99.1), (5, 5): (99.9, None), (20, 1): (95.8, None), (20, 5): (98.9, None)},
    "reptile": {(5, 1): (95.39, None), (5, 5): (98.90, None), (20, 1): (88.14, None), (20, 5): (96.65, None)},
}  # fmt: skip
TARGETS = {
    ("prototypical", 5, 1): 97.5, ("prototypical", 5, 5): 99.2, ("prototypical", 20, 1): 92.5,
    ("prototypical", 20, 5): 97.8, ("matching", 5, 1): 96.0, ("relation", 5, 1): 95.5, ("maml", 5, 1): 95.5,
    ("maml", 5, 5): 98.0, ("reptile", 5, 1): 93.0,
}  # fmt: skip


def lay_out(source: Path, folder: Path) -> None:
    """Copy the characters into one folder a split, once."""
    if (folder / "done").is_file():
        return
    places = {
        f"{character.parent.name}/{character.name}": character
        for half in ("images_background", "images_evaluation")
        for character in (source / half).glob("*/*")
    }
    for split, name in SPLITS:
        lines = (source / "splits" / "vinyals" / f"{split}.txt").read_text().split()
        for character in sorted({line.rpartition("/")[0] for line in lines}):
            shutil.copytree(places[character], folder / name / character, dirs_exist_ok=True)
    (folder / "done").touch()


def train_and_test(model: Model, folder: Path, minutes: float, full: bool) -> dict[str, Any]:
    """Train, unless that was done, and return the figures."""
    settings = EpisodicTraining(
        steps=model.full_steps if full else max(1, round(model.steps * minutes / 28)), way=model.way,
        shot=model.shot, query=model.query, rotations=True, anyway=True, options=model.options,
        hardware=Hardware("auto" if full else "cpu"), **model.more,
    )  # fmt: skip
    begin = time.process_time()
    run = adapt_on_tasks(
        model.method,
        folder / "known",
        backbone=BackboneChoice(model.backbone, size=28),
        settings=settings,
    )
    spent = time.process_time() - begin
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    figures: dict[str, Any] = {
        "steps": run.facts["recipe"]["steps"], "recipe": run.facts["recipe"], "settings": run.facts["settings"],
        "training_seconds": round(sum(_seconds(log)), 1), "cpu_seconds_of_this_call": round(spent, 1),
        "validation_accuracy": run.facts["best_validation_accuracy"],
    }  # fmt: skip
    figures["tests"] = {}
    for way, shot in model.tests:
        begin = time.perf_counter()
        accuracy = accuracy_on_new_classes(
            run.folder, folder / "new", tasks=NewTasks(way, shot, QUERY, TASKS, rotations=True)
        )
        paper, common = PUBLISHED[model.method][way, shot]
        target = TARGETS.get((model.method, way, shot))
        figures["tests"][f"{way}w{shot}s"] = {
            "accuracy": accuracy.as_dict(), "paper": paper, "common_re_run": common, "target": target,
            "reached": None if target is None else 100 * accuracy.value >= target,
            "seconds": round(time.perf_counter() - begin, 1),
        }  # fmt: skip
        print(
            f"  {way}-way {shot}-shot: {accuracy.percent}, paper {paper}, target {target}",
            flush=True,
        )
    return figures


def _seconds(log: list[dict[str, float]]) -> list[float]:
    """Return the time of each step; the clock of a run that went on begins again."""
    times = [line["seconds"] for line in log]
    return [b - a if b >= a else b for a, b in zip([0.0, *times], times, strict=False)]


def main() -> None:
    """Train and test the chosen models."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("omniglot", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for copies and runs")
    parser.add_argument(
        "--methods", nargs="+", help=f"of {sorted({m.method for m in MODELS.values()})}"
    )
    parser.add_argument("--models", nargs="+", choices=list(MODELS), help="by their whole names")
    parser.add_argument("--minutes", type=float, default=28, help="of training, a model")
    parser.add_argument("--full", action="store_true", help="the papers' numbers of steps")
    asked = parser.parse_args()
    lay_out(asked.omniglot, asked.work)
    name = "omniglot_full" if asked.full else "omniglot"
    path = RESULTS / f"{name}.json"
    found = json.loads(path.read_text())["models"] if path.is_file() else {}
    for title, model in MODELS.items():
        if asked.models and title not in asked.models:
            continue
        if asked.methods and model.method not in asked.methods:
            continue
        print(title, flush=True)
        figures = train_and_test(model, asked.work, asked.minutes, asked.full)
        found[title] = {**figures, "minutes": None if asked.full else asked.minutes,
                        "threads": os.environ.get("OMP_NUM_THREADS")}  # fmt: skip
        write(name, {"tasks": TASKS, "queries": QUERY, "models": found}, claim=(__doc__ or "").splitlines()[0],
              script="omniglot")  # fmt: skip


if __name__ == "__main__":
    main()
