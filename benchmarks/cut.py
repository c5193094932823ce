"""Where to cut the packaged backbone, on EuroSAT and clothing: how far up its blocks are general.

    HANDFUL_DATA=... python benchmarks/cut.py [--minutes M] [--folder STATE]

Writes ``results/cut.json`` and ``docs/images/cut-NAME.svg``. Images of the training sets only, 64 px. The state lies in
``--folder``: a run that was stopped goes on from there.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch

from handful.adapt import Hardware, Pixels, TrainingData, load_network
from handful.adapt.cut import cut_report
from handful.adapt.cut_parts import CutSettings
from handful.adapt.cut_table import BASE, CutReport
from handful.report.cut_plot import CutCurve, cut_plot, standing_alone

SETS = {"eurosat": "eurosat", "clothing": "clothing/train"}
MOST = 100  # images a class that are read
NAMES = {
    "AnB": "AnB: pretrained, frozen",
    "AnB+": "AnB+: pretrained, trained on",
    "BnB": "BnB: own blocks, frozen",
    "BnB+": "BnB+: own blocks, trained on",
    "probe": "probe on the block's vectors",
}


def images(name: str, size: int, cache: Path, seed: int) -> TrainingData:
    """Return at most ``MOST`` images of each class folder, drawn by the seed."""
    network = load_network(preprocess={"size": size})
    random = np.random.default_rng(seed)
    root = Path(os.environ["HANDFUL_DATA"]) / SETS[name]
    paths: list[Path] = []
    classes = sorted(path.name for path in root.iterdir() if path.is_dir())
    for label in classes:
        found = sorted((root / label).glob("*.jpg"))
        paths += [found[row] for row in sorted(random.permutation(len(found))[:MOST])]
    targets = np.array([classes.index(path.parent.name) for path in paths])
    hashes = [hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in paths]
    pixels = Pixels(paths, hashes, network.preprocess, cache)
    return TrainingData(pixels, hashes, targets, network.mean, network.std)


def plot(report: CutReport) -> str:
    """Return the SVG file of a report."""
    curves = [CutCurve(name, report.curve(arm)) for arm, name in NAMES.items()]
    ((_, base),) = report.curve(BASE)
    return standing_alone(cut_plot(curves, base=base, keep=report.keep))


def measured(
    name: str, settings: CutSettings, size: int, folder: Path
) -> tuple[CutReport, dict[str, Any]]:
    """Return the report of one set, and its figures."""
    data = images(name, size, folder, settings.random_state)
    network = load_network(preprocess={"size": size})
    start = time.perf_counter()
    cpu = Hardware(accelerator="cpu")
    report = cut_report(network, data, folder / name, settings, hardware=cpu)
    seconds = round(time.perf_counter() - start, 1)
    print(f"{name}, {seconds} s: {report.sentence}", flush=True)
    return report, {
        "settings": asdict(settings),
        "images": len(data.names),
        "seconds": seconds,
        **report.as_dict(),
    }


def main() -> None:
    """Measure both sets, write the JSON and the plots."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--minutes", type=float, nargs="+", default=[9.0], help="for each set, or one for all"
    )
    parser.add_argument("--size", type=int, default=64, help="pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--splits", type=int, default=1)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--folder", type=Path, help="state of the run (default: a new one)")
    parser.add_argument("--out", type=Path, help="folder for the plots (default: docs/images)")
    parser.add_argument("--tiny", action="store_true", help="try the script: figures mean nothing")
    asked = parser.parse_args()
    settings = CutSettings(splits=asked.splits, random_state=asked.seed)
    if asked.tiny:
        settings = replace(settings, cuts=(4, 18), splits=1, n_train=6, n_test=6)
    folder = asked.folder or Path(tempfile.mkdtemp())
    out = asked.out or Path(__file__).parents[1] / "docs" / "images"
    out.mkdir(parents=True, exist_ok=True)
    found = {}
    minutes = asked.minutes * (len(asked.sets) if len(asked.minutes) == 1 else 1)
    for name, budget in zip(asked.sets, minutes, strict=True):
        own = replace(settings, seconds=60 * budget)
        report, found[name] = measured(name, own, asked.size, folder)
        (out / f"cut-{name}.svg").write_text(plot(report), encoding="utf-8")
    if not asked.tiny:
        figures = {
            "size": asked.size,
            "threads": torch.get_num_threads(),
            "sets": found,
        }
        record.write("cut", figures, seed=asked.seed, claim=__doc__.splitlines()[0])


if __name__ == "__main__":
    main()
