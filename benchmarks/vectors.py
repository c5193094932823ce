"""Embed the real image sets once, for the benchmarks that work on vectors.

    HANDFUL_DATA=... python benchmarks/vectors.py DIR

Writes ``DIR/NAME.npz`` (clothing_train, clothing_validation, clothing_test, trashnet, eurosat, digits) with X float32
[n, 1280] by the packaged backbone and y str [n]. EuroSAT is cut to 600 tiles a class, drawn with seed 0.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
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


def main() -> None:
    """Embed all sets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    data = Path(os.environ["HANDFUL_DATA"])
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for split in ("train", "validation", "test"):
            save(place, f"clothing_{split}", *by_folder(data / "clothing" / split), out)
        save(place, "trashnet", *by_folder(data / "trashnet"), out)
        save(place, "eurosat", *by_folder(data / "eurosat", 600), out)
        hidden = write_digits(place / "digits", 1, 0)
        files = sorted((place / "digits" / "images").rglob("*.png"))
        save(place, "digits", files, [hidden.get(f.name, f.parent.name) for f in files], out)


if __name__ == "__main__":
    main()
