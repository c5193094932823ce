"""Claim: per-task fine-tuning of a meta-trained pretrained backbone is not below the backbone alone (P>M>F).

    python benchmarks/pmf.py omniglot OMNIGLOT --work DIR
    python benchmarks/pmf.py eurosat EUROSAT --work DIR
    python benchmarks/pmf.py omniglot OMNIGLOT --work DIR --tasks 20 --steps 5

``OMNIGLOT`` and ``EUROSAT`` are the unpacked data sets. The packaged backbone (P) is trained on tasks (M), its
best state chosen on validation classes, and fine-tuned on the support of each test task (F), each stage with
and without the others: Omniglot with the Vinyals split, 5-way; EuroSAT with 5 classes to train on, 2 to choose and 3 to
test, 3-way. It needs the extra ``train``. A command that was stopped goes on when it is given again;
figures are written after each row of the table.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omniglot import lay_out
from record import RESULTS, write

from handful.adapt import (
    Episodes,
    Hardware,
    Network,
    TaskFineTuning,
    as_input,
    load_network,
    tune_on_task,
)
from handful.core import Estimate, stream
from handful.images import Preprocess, decode
from handful.jobs import BackboneChoice, EpisodicTraining, adapt_on_tasks
from handful.measure import Tasks, difference_over_tasks, over_tasks, sample_episodes

SIZE, QUERY = 64, 15
WAY = {"omniglot": 5, "eurosat": 3}
NOTHING = TaskFineTuning(rates=())


def eurosat(source: Path, folder: Path) -> None:
    """Copy the classes into folders: five known, two to choose the state, three new; 200 images of each."""
    if (folder / "done").is_file():
        return
    names = sorted(path.name for path in source.iterdir() if path.is_dir())
    names = [names[i] for i in stream(0, "eurosat classes").permutation(len(names))]
    places = ["known/train"] * 5 + ["known/validation"] * 2 + ["new"] * 3
    for name, place in zip(names, places, strict=True):
        (folder / place / name).mkdir(parents=True, exist_ok=True)
        for path in sorted((source / name).glob("*.jpg"))[:200]:
            shutil.copy(path, folder / place / name)
    (folder / "done").touch()


def new_images(folder: Path, preprocess: Preprocess, *, rotations: bool) -> Episodes:
    """Return the images of the test classes."""
    files = sorted(
        p for p in folder.rglob("*") if p.suffix in {".png", ".jpg"} and ".handful" not in p.parts
    )
    names = sorted({str(path.parent) for path in files})
    squares = np.stack([decode(path, preprocess) for path in files])
    codes = np.array([names.index(str(path.parent)) for path in files])
    return Episodes(squares, codes, rotations=rotations)


def row(network: Network, episodes: Episodes, tasks: Tasks, how: TaskFineTuning) -> dict[str, Any]:
    """Return accuracy, seconds a task, and how often each rate was chosen."""
    hits, rates, begin = [], [], time.process_time()
    for t in range(len(tasks)):
        support = episodes.at(tasks.support[t].ravel()).unflatten(0, tasks.support.shape[1:])
        tuned = tune_on_task(network, support, how, random_state=t)
        asked = as_input(episodes.at(tasks.query[t]), network.mean, network.std)
        guess = tuned.logits(asked).argmax(dim=1).numpy()
        hits.append(float((guess == tasks.query_codes[t]).mean()))
        rates.append(tuned.rate)
    seconds = (time.process_time() - begin) / len(tasks)
    chosen = {str(rate): rates.count(rate) for rate in sorted(set(rates))}
    accuracy: Estimate = over_tasks(np.array(hits), "accuracy", tasks.how)
    return {
        "accuracy": accuracy.as_dict(),
        "cpu_seconds_a_task": round(seconds, 3),
        "rates": chosen,
        "hits": hits,
    }


def main() -> None:
    """Measure the four rows at 1 and 5 shots."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", choices=list(WAY))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for copies and runs")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--steps", type=int, default=150, help="of training on tasks")
    parser.add_argument(
        "--train", default="last:1", help="what moves in a task: last:K, norm_and_bias or lora"
    )
    asked = parser.parse_args()
    (lay_out if asked.data == "omniglot" else eurosat)(asked.folder, asked.work)
    torch.set_num_threads(1)
    way, rotations = WAY[asked.data], asked.data == "omniglot"
    settings = EpisodicTraining(
        steps=asked.steps, way=way, shot=1, query=5, tasks=1, rotations=rotations,
        validation_way=2 if way == 3 else way, anyway=True, options={"cosine": True}, hardware=Hardware("cpu"),
    )  # fmt: skip
    run = adapt_on_tasks(
        "prototypical", asked.work / "known", backbone=BackboneChoice(size=SIZE), settings=settings
    )
    networks = {
        "P": load_network(preprocess={"size": SIZE}),
        "P>M": load_network(str(run.folder)),
    }
    episodes = new_images(asked.work / "new", networks["P"].preprocess, rotations=rotations)
    labels = np.array([f"class {code}" for code in episodes.codes])
    name = f"pmf_{asked.data}"
    path = RESULTS / f"{name}.json"
    key = f"{asked.tasks} tasks, {asked.steps} steps, {asked.train}"
    found = json.loads(path.read_text()) if path.is_file() else {}
    table = found["table"] if found.get("key") == key else {}
    gains: dict[str, Any] = {}

    def keep() -> None:
        figures = {"key": key, "size": SIZE, "training": run.facts["recipe"], "table": table}
        figures["gain_of_f_after_m"] = gains
        write(name, figures, claim=(__doc__ or "").splitlines()[0], script="pmf")

    for shot in (1, 5):
        tasks = sample_episodes(labels, way, shot, QUERY, asked.tasks, 0)
        for title, network in networks.items():
            for more, how in (("", NOTHING), (">F", TaskFineTuning(train=asked.train))):
                cell = f"{title}{more}, {way}w{shot}s"
                if cell not in table:
                    table[cell] = row(network, episodes, tasks, how)
                    keep()
                mean = Estimate.from_dict(table[cell]["accuracy"]).percent
                print(
                    f"{cell:16} {mean:24} {table[cell]['cpu_seconds_a_task']} s a task {table[cell]['rates']}",
                    flush=True,
                )
        both = [np.array(table[f"P>M{more}, {way}w{shot}s"]["hits"]) for more in ("", ">F")]
        gain = difference_over_tasks(both[1], both[0], "gain of F after M")
        gains[f"{way}w{shot}s"] = {**gain.as_dict(), "holds": gain.high >= 0}
        keep()
        print(
            f"  F after M gains {100 * gain.value:+.2f} points ({100 * gain.low:+.2f} to {100 * gain.high:+.2f})"
        )


if __name__ == "__main__":
    main()
