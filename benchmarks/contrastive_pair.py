"""An image tower and a text tower from scratch on captions made of class names: the mechanism learns or not.

    HANDFUL_DATA=... python benchmarks/contrastive_pair.py --folder STATE [--set eurosat] [--minutes 20]

The captions of EuroSAT's images are ten sentences with the name of their class: no caption says more than a
label would, so this tests the training and not what captions can teach. Images of the test split are not learnt
from; they are classified by the mean text of the ten sentences, by a model file's own way: the image tower as ONNX,
the text tower as open_clip loads it. Claim: ≥ 60 % on EuroSAT within 30 CPU minutes on two cores, nothing pretrained.
``--minutes`` stops it; the same command goes on from there. The CPU time of all its runs is added up.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import record
from tiles import draw, listed_images

from handful.backbones import load_clip_text, load_saved
from handful.core import write_atomically
from handful.images import decode
from handful.jobs import read_classes
from handful.jobs.class_texts import ClassText
from handful.measure import share

TEMPLATES = (
    "a photo of {}", "a picture of {}", "{}", "an image of {}", "this is {}", "{} seen from above",
    "a view of {}", "here is {}", "a small picture of {}", "one can see {}",
)  # fmt: skip
_CODE = "from handful.cli import main; main()"


def folder_of(asked: argparse.Namespace) -> tuple[Path, Path]:
    """Return the images of the draw and their captions, written once."""
    images = asked.folder / f"{asked.set.replace('/', '-')}-{asked.each}-{asked.test}-{asked.seed}"
    captions = images.with_suffix(".csv")
    if not images.is_dir():
        part = images.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        paths, codes, names = listed_images(asked.set)
        random, rows = np.random.default_rng(asked.seed), [("path", "caption")]
        chosen = draw(codes, asked.each + asked.test, asked.seed, "pair")
        for code, name in enumerate(names):
            own = random.permutation(chosen[codes[chosen] == code])
            for place, row in enumerate(own):
                inside = Path("test" if place < asked.test else "") / name / f"{row:06}.jpg"
                (part / inside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(paths[row], part / inside)
                texts = ClassText(name).texts(TEMPLATES)
                rows += [(inside.as_posix(), text) for text in texts]
        with captions.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
        part.rename(images)
    return images, captions


def train(images: Path, captions: Path, asked: argparse.Namespace) -> dict[str, Any] | None:
    """Train, or go on; return the record of the run, None where the time was up."""
    command = [
        sys.executable, "-c", _CODE, "adapt", "contrastive-text", images, "--captions", captions,
        "--tower", asked.tower, "--scratch", "--size", asked.size, "--loss", asked.loss,
        "--budget", asked.budget, "--seed", asked.seed,
        "--device", "cpu", "--json",
    ]  # fmt: skip
    spent = images.with_suffix(f".{asked.loss}.seconds")
    before = float(spent.read_text()) if spent.is_file() else 0.0
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    try:
        text, _ = process.communicate(timeout=60 * asked.minutes)
    except subprocess.TimeoutExpired:
        process.terminate()
        text, _ = process.communicate()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    write_atomically(spent, f"{before + used.ru_utime + used.ru_stime:.1f}".encode())
    if process.returncode:
        return None
    return {**json.loads(text), "cpu_minutes": round(float(spent.read_text()) / 60, 1)}


def zero_shot(images: Path, run: Path) -> Any:
    """Return the accuracy on the images of the test split by the mean texts of the classes."""
    paths = sorted((images / "test").rglob("*.jpg"))
    names = sorted({path.parent.name for path in paths})
    texts = read_classes(names, TEMPLATES).vectors(load_clip_text(str(run / "open_clip")))
    backbone = load_saved(run)
    squares = np.stack([decode(path, backbone.spec.preprocess) for path in paths])
    parts = np.array_split(squares, 1 + len(paths) // 256)
    vectors = np.concatenate([backbone.embed(part) for part in parts])
    said = (vectors @ texts.T).argmax(axis=1)
    right = sum(names[code] == path.parent.name for code, path in zip(said, paths, strict=True))
    return share(right, len(paths), "zero-shot accuracy", "test split, mean text of ten sentences")


def main() -> None:
    """Train, classify the held-out images by their names, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", default="eurosat")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--each", type=int, default=900, help="images a class to learn from")
    parser.add_argument("--test", type=int, default=100, help="images a class")
    parser.add_argument("--tower", default="timm:test_resnet")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--loss", choices=("clip", "siglip"), default="clip")
    parser.add_argument("--budget", default="15epochs")
    parser.add_argument("--minutes", type=float, default=1e5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", help="of the result; contrastive_pair by default")
    asked = parser.parse_args()
    images, captions = folder_of(asked)
    start = time.monotonic()
    facts = train(images, captions, asked)
    if facts is None:
        print(
            f"Stopped after {time.monotonic() - start:.0f} s; the same command goes on from here."
        )
        return
    accuracy = zero_shot(images, Path(facts["run"]))
    figures = {
        key: facts[key] for key in ("figures", "recipe", "n_images", "cpu_minutes", "sentence")
    }
    figures |= {"zero_shot": accuracy.as_dict(),
                "settings": {key: str(value) for key, value in vars(asked).items() if key != "folder"}}  # fmt: skip
    claim = "zero-shot on held-out images ≥ 60 % within 30 CPU minutes, from scratch (a test of the mechanism)"
    path = record.write(asked.name or "contrastive_pair", figures, seed=asked.seed, claim=claim,
                        script="contrastive_pair")  # fmt: skip
    print(f"{accuracy}\n{facts['cpu_minutes']} CPU minutes\n{path}")


if __name__ == "__main__":
    main()
