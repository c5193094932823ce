"""Claim: a million images on one machine, each stage within 8 GB and nearly in proportion to their number.

    HANDFUL_DATA=... python benchmarks/scale.py --work DIR [--n 10000,100000] [--stages scan,neighbours]

Each cell, a stage at a size, is a process of its own; cells that stand in ``results/scale.json`` are not done again
unless ``--again``. CPU seconds are of all threads, peaks are of the process. What is real and what is made:

- scan: EuroSAT's images, repeated, told apart by a comment in the file;
- embed: 2,000 of them; its time at a size is this rate times the size, since one image says nothing to the next;
- all others: 1,280-d vectors of EuroSAT's 27,000 tiles, repeated with noise of half their spread in each column.

DIR keeps files and vectors; a million take 12 GB there. The stage ``usearch`` needs that library.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import record

from handful.backbones import packaged
from handful.core import usable_cores
from handful.embeddings import VectorStore, cosine, embed, nearest, unit
from handful.heads import LinearProbe, SpreadingProbe
from handful.project import Project
from handful.select import margin_k_means, typiclust

DIM, NEIGHBOURS, SHARD, EMBEDDED, PROBE, POOL, SHOTS = 1280, 15, 256, 2000, 500, 10_000, 10
CLAIM = "a million images within 8 GB a stage; neighbours with recall >= 0.99"
Stage = Callable[[Path, int], dict[str, Any]]


def tiles() -> list[Path]:
    """Return EuroSAT's images."""
    return sorted((Path(os.environ["HANDFUL_DATA"]) / "eurosat").rglob("*.jpg"))


def write_images(folder: Path, n: int) -> Path:
    """Write n images with contents of their own: a comment after the first marker makes them so."""
    there = sum(len(files) for _, _, files in os.walk(folder)) if folder.exists() else 0
    if there < n:
        contents = [path.read_bytes() for path in tiles()[: min(n, 5000)]]
        for i in range(n):
            comment = b"\xff\xfe\x00\x0a%08d" % i
            own = contents[i % len(contents)]
            path = folder / f"{i // 1000:04}" / f"{i:07}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(own[:2] + comment + own[2:])
    return folder


def scan(work: Path, n: int) -> dict[str, Any]:
    """Find, hash and note every file."""
    images = write_images(work / f"images-{n}", n)
    project = work / f"project-{time.time_ns()}"
    begun = clock()
    with Project.open(images, project_dir=project) as opened:
        found = opened.scan(quiet=True).images
    return {**spent(begun), "found": found}


def embedding(work: Path, n: int) -> dict[str, Any]:
    """Embed some images and say what all would take."""
    folder = write_images(work / f"images-{EMBEDDED}", EMBEDDED)
    paths = {hashed(path): path for path in sorted(folder.rglob("*.jpg"))}
    backbone = packaged()
    place = work / f"embed-{time.time_ns()}"
    store = VectorStore(place, backbone.spec.fingerprint, backbone.spec.dim)
    begun = clock()
    failed = embed(store, backbone, paths, quiet=True)
    figures = spent(begun)
    assert not failed
    times = n / EMBEDDED
    return {
        "seconds": round(figures["seconds"] * times, 1),
        "cpu_seconds": round(figures["cpu_seconds"] * times, 1),
        "images_measured": EMBEDDED,
        "images_a_cpu_second": round(EMBEDDED / figures["cpu_seconds"], 1),
    }


def hashed(path: Path) -> str:
    """Return the content hash of a file."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def filled_store(work: Path, n: int) -> tuple[VectorStore, list[str]]:
    """Return a store with n vectors, written once, and their hashes."""
    store = VectorStore(work, f"vectors-{n}", DIM)
    hashes = [f"{i:032x}" for i in range(n)]
    if len(store) < n:
        real = vectors(work)
        spread = 0.5 * real.std(axis=0)
        for start in range(0, n, SHARD):
            rows = np.arange(start, min(start + SHARD, n))
            if hashes[rows[-1]] in store:
                continue
            own = real[rows % len(real)]
            noise = np.random.default_rng(start).normal(size=own.shape).astype(np.float32)
            again = (rows >= len(real))[:, None]
            store.add([hashes[row] for row in rows], np.where(again, own + spread * noise, own))
    return store, hashes


def vectors(work: Path) -> np.ndarray:
    """Return the vectors of all tiles, in an order of chance."""
    found = np.load(work / "eurosat_all.npz")["X"]
    return found[np.random.default_rng(0).permutation(len(found))]


def labels(work: Path, n: int) -> np.ndarray:
    """Return the class of each vector."""
    y = np.load(work / "eurosat_all.npz")["y"]
    return y[np.random.default_rng(0).permutation(len(y))][np.arange(n) % len(y)]


def load(work: Path, n: int) -> dict[str, Any]:
    """Read all vectors from the shards."""
    store, hashes = filled_store(work, n)
    begun = clock()
    X = store.rows(hashes)
    return {**spent(begun), "bytes": X.nbytes}


def neighbours(work: Path, n: int) -> dict[str, Any]:
    """Find the neighbours of all, and compare those of some with all others."""
    store, hashes = filled_store(work, n)
    X = store.rows(hashes)
    return found_by(X, lambda: nearest(X, X, NEIGHBOURS + 1)[0])


def hnsw(work: Path, n: int) -> dict[str, Any]:
    """Find them by usearch's graph instead: 8 bits, twice the candidates, 16 links, built on one thread."""
    from usearch.index import Index

    store, hashes = filled_store(work, n)
    X = unit(store.rows(hashes))
    scale = 127 / float(np.abs(X).max())

    def search() -> np.ndarray:
        graph = Index(
            ndim=DIM, metric="cos", dtype="i8", connectivity=16, expansion_add=64, expansion_search=128
        )  # fmt: skip
        blocks = [slice(start, start + 2048) for start in range(0, n, 2048)]
        for b in blocks:
            graph.add(np.arange(n)[b], np.rint(X[b] * scale).astype(np.int8), threads=1)
        parts = []
        for b in blocks:
            own = np.rint(X[b] * scale).astype(np.int8)
            candidates = np.asarray(graph.search(own, 2 * (NEIGHBOURS + 1)).keys, np.int64)
            cosines = np.einsum("nd,nkd->nk", X[b], X[candidates])
            parts.append(cosine.best(candidates, cosines, NEIGHBOURS + 1)[0])
        return np.concatenate(parts)

    return found_by(X, search)


def found_by(X: np.ndarray, search: Callable[[], np.ndarray]) -> dict[str, Any]:
    """Return what a search costs, and its recall."""
    n = len(X)
    begun = clock()
    indices = search()
    figures = spent(begun)
    some = np.random.default_rng(1).choice(n, PROBE, replace=False)
    begun = clock()
    exact, _ = cosine.compared(X[some], X, NEIGHBOURS + 1)
    exact_seconds = spent(begun)["cpu_seconds"] * n / PROBE
    shared = [len(np.intersect1d(a, b)) for a, b in zip(indices[some], exact, strict=True)]
    recall = float(np.mean(shared)) / (NEIGHBOURS + 1)
    return {**figures, "recall": round(recall, 4), "exact_cpu_seconds": round(exact_seconds, 1)}


def first_picks(work: Path, n: int) -> dict[str, Any]:
    """Choose 20 typical images where nothing has a label."""
    store, hashes = filled_store(work, n)
    X = store.rows(hashes)
    begun = clock()
    picks = typiclust(proba=None, X=X, labelled=np.array([], np.int64), n=20)
    return {**spent(begun), "picks": len(picks.indices)}


def next_picks(work: Path, n: int) -> dict[str, Any]:
    """Choose 20 unsure and different images after 100 labels, probabilities included."""
    X, y, labelled, _ = some_labelled(work, n)
    begun = clock()
    proba = LinearProbe().fit(X[labelled], y[labelled]).predict_proba(X)
    picks = margin_k_means(proba=proba, X=X, labelled=labelled, n=20)
    return {**spent(begun), "picks": len(picks.indices)}


def fit(work: Path, n: int) -> dict[str, Any]:
    """Learn from 100 labels and a pool as large as `handful fit` takes, then classify every image."""
    X, y, labelled, pool = some_labelled(work, n)
    begun = clock()
    head = SpreadingProbe().fit(X[labelled], y[labelled], X[pool])
    found = head.classes_[head.predict_proba(X).argmax(axis=1)]
    figures = spent(begun)
    rest = np.ones(n, bool)
    rest[labelled] = False
    return {**figures, "pool": len(pool), "right": round(float((found == y)[rest].mean()), 4)}


def some_labelled(work: Path, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return vectors, classes, the labelled rows and those of a pool."""
    store, hashes = filled_store(work, n)
    y = labels(work, n)
    random = np.random.default_rng(0)
    labelled = np.concatenate(
        [random.choice(np.flatnonzero(y[:27_000] == c), SHOTS, replace=False) for c in np.unique(y)]
    )
    pool = np.setdiff1d(random.choice(n, min(POOL, n), replace=False), labelled)
    return store.rows(hashes), y, labelled, pool


STAGES: dict[str, Stage] = {
    "scan": scan, "embed": embedding, "load": load, "neighbours": neighbours, "usearch": hnsw,
    "first_picks": first_picks, "next_picks": next_picks, "fit": fit,
}  # fmt: skip


def clock() -> tuple[float, float]:
    """Return wall and CPU time."""
    return time.perf_counter(), time.process_time()


def spent(begun: tuple[float, float]) -> dict[str, float]:
    """Return wall and CPU seconds since."""
    now = clock()
    return {"seconds": round(now[0] - begun[0], 2), "cpu_seconds": round(now[1] - begun[1], 2)}


def exponents(cells: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the slope of log CPU seconds by log size between successive sizes."""
    out: dict[str, dict[str, float]] = {}
    for stage, sizes in cells.items():
        if stage == "embed":  # in proportion by the way it is computed
            continue
        known = sorted((int(n), cell["cpu_seconds"]) for n, cell in sizes.items() if n.isdigit())
        for (a, slow), (b, fast) in pairwise(known):
            slope = np.log(fast / slow) / np.log(b / a)
            out.setdefault(stage, {})[f"{a} to {b}"] = round(float(slope), 2)
    return out


def run_cell(stage: str, work: Path, n: int) -> dict[str, Any]:
    """Run a cell in a process of its own."""
    command = [sys.executable, __file__, "--work", str(work), "--cell", stage, str(n)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {
            "error": (done.stderr.strip() or f"it ended with {done.returncode}").splitlines()[-1]
        }
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Run the cells that are missing, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work", type=Path, required=True, help="holds eurosat_all.npz of vectors.py"
    )
    parser.add_argument("--n", default="10000,100000")
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--cell", nargs=2)
    asked = parser.parse_args()
    if asked.cell:
        figures = STAGES[asked.cell[0]](asked.work, int(asked.cell[1]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps({**figures, "peak_gb": round(peak, 2)}))
        return
    path = record.RESULTS / "scale.json"
    cells = json.loads(path.read_text("utf-8"))["cells"] if path.is_file() else {}
    for n in map(int, asked.n.split(",")):
        for stage in asked.stages.split(","):
            if str(n) in cells.get(stage, {}) and not asked.again:
                continue
            cells.setdefault(stage, {})[str(n)] = run_cell(stage, asked.work, n)
            print(stage, n, cells[stage][str(n)], flush=True)
            whole = {
                s: {k: c for k, c in own.items() if "error" not in c} for s, own in cells.items()
            }
            figures = {"cells": cells, "exponents": exponents(whole), "threads": usable_cores()}
            record.write("scale", figures, claim=CLAIM)


if __name__ == "__main__":
    main()
