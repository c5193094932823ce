"""A small student beside the linear-probe teacher that taught it: accuracy, size and speed.

    HANDFUL_DATA=... python benchmarks/distil.py --set eurosat --folder STATE [--minutes 20]

A draw of labelled images, of a pool without labels and of test images is copied into ``--folder``. The
teacher is `handful fit --method linear_probe` on the packaged backbone; the student, by default the
backbone's first twelve blocks, learns at ``--size`` pixels from the labels and the pool. Both are
classified by their model files and compared image by image on the test images, which neither saw.
Claims: within 3 points of the teacher, at most a quarter of its weights, 4 times its images a second.
``--minutes`` stops it; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import record
from tiles import draw, listed_images

from handful.core import stream

_CODE = "from handful.cli import main; main()"


def folder_of(asked: argparse.Namespace) -> Path:
    """Return the images of the draw, copied once."""
    images = (
        asked.folder
        / f"{asked.set.replace('/', '-')}-{asked.labels}-{asked.pool}-{asked.test}-{asked.seed}"
    )
    if not images.is_dir():
        part = images.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        paths, codes, names = listed_images(asked.set)
        labelled = draw(codes, asked.labels, asked.seed, "labelled")
        rest = np.setdiff1d(np.arange(len(codes)), labelled)
        rest = stream(asked.seed, "rest").permutation(rest)
        test, pool = rest[: asked.test], rest[asked.test : asked.test + asked.pool]
        for rows, place in ((labelled, "{}"), (test, "test/{}"), (pool, "unlabelled")):
            for row in rows:
                target = part / place.format(names[codes[row]])
                target.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(paths[row], target / f"{row:06}{paths[row].suffix}")
        part.rename(images)
    return images


def main() -> None:
    """Fit the teacher, teach the student, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", default="eurosat")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--labels", type=int, default=20, help="a class")
    parser.add_argument("--pool", type=int, default=6000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--student", default="efficientnet_lite0#12")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--budget", default="15epochs")
    parser.add_argument("--minutes", type=float, default=1e6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", help="of the result; distil_SET by default")
    asked = parser.parse_args()
    images, end = folder_of(asked), time.monotonic() + 60 * asked.minutes
    teacher = asked.folder / f"{images.name}.handful"

    def handful(*arguments: object) -> str:
        command = [sys.executable, "-c", _CODE, *map(str, arguments)]
        left = max(end - time.monotonic(), 1.0)
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, timeout=min(left, 1e6)
        )
        return done.stdout

    try:
        if not teacher.is_file():
            handful("fit", images, "-o", teacher, "--method", "linear_probe", "--seed", asked.seed)
        text = handful(
            "adapt", "distil", images, "--teacher", teacher, "--student", asked.student, "--size", asked.size,
            "--budget", asked.budget, "--seed", asked.seed, "--json",
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        print("Stopped; the same command goes on from here.")
        return
    facts = json.loads(text)
    figures = {key: facts[key] for key in ("before", "after", "gain", "agreement", "student", "teacher",
                                           "temperature", "unlabelled", "recipe", "sentence")}  # fmt: skip
    figures["settings"] = {key: str(value) for key, value in vars(asked).items() if key != "folder"}
    claim = "within 3 points of the teacher with a quarter of its weights, 4 times as fast"
    path = record.write(
        asked.name or f"distil_{asked.set.partition('/')[0]}",
        figures,
        seed=asked.seed,
        claim=claim,
        script="distil",
    )
    print(f"{facts['sentence']}\n{path}")


if __name__ == "__main__":
    main()
