"""Embed the real image sets once, for the benchmarks that work on vectors.

    HANDFUL_DATA=... python benchmarks/vectors.py DIR [NAME ...]

Writes ``DIR/NAME.npz`` (clothing_train, clothing_validation, clothing_test, trashnet, eurosat, digits) with X float32
[n, 1280] by the packaged backbone and y str [n]. EuroSAT is cut to 600 tiles a class, drawn with seed 0; by name
also eurosat_all, all 27,000 tiles.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from handful.backbones import packaged
from handful.embeddings import VectorStore, embed
from handful.jobs.demonstration import write_digits


def save(place: Path, name: str, paths: list[Path], labels: list[str], out: Path) -> None:
    """Embed the files and write one archive."""
    backbone = packaged()
    store = VectorStore(place, backbone.spec.fingerprint, backbone.spec.dim)
    hashes = [hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in paths]
    failed = embed(store, backbone, dict(zip(hashes, paths, strict=True)))
    assert not failed, failed
    np.savez(out / f"{name}.npz", X=store.rows(hashes), y=np.array(labels))


def by_folder(root: Path, most: int | None = None) -> tuple[list[Path], list[str]]:
    """Return the images of class folders and their classes, at most ``most`` a class."""
    random = np.random.default_rng(0)
    paths: list[Path] = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        found = sorted(folder.glob("*.jpg"))
        paths += [found[row] for row in sorted(random.permutation(len(found))[:most])]
    return paths, [path.parent.name for path in paths]


def sets(data: Path, place: Path) -> dict[str, Callable[[], tuple[list[Path], list[str]]]]:
    """Return how to find the images and classes of each set."""

    def digits() -> tuple[list[Path], list[str]]:
        hidden = write_digits(place / "digits", 1, 0)
        files = sorted((place / "digits" / "images").rglob("*.png"))
        return files, [hidden.get(f.name, f.parent.name) for f in files]

    return {
        **{f"clothing_{split}": partial(by_folder, data / "clothing" / split)
           for split in ("train", "validation", "test")},
        "trashnet": partial(by_folder, data / "trashnet"),
        "eurosat": partial(by_folder, data / "eurosat", 600),
        "digits": digits,
        "eurosat_all": partial(by_folder, data / "eurosat"),
    }  # fmt: skip


def main() -> None:
    """Embed the sets that were named, or all but the largest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        found = sets(Path(os.environ["HANDFUL_DATA"]), place)
        for name in asked.names or [name for name in found if name != "eurosat_all"]:
            save(place, name, *found[name](), asked.out)


if __name__ == "__main__":
    main()
