"""Transduction of many images: time beside the graph, and memory.

    python benchmarks/transduction_speed.py [--n 1000000]

Unit vectors of 512 numbers about 100 centres, texts that are right half the time. The neighbours are drawn from the
row's own cluster, since the graph is timed apart: exact neighbours of a part of the rows, extrapolated to all.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import record

from handful.embeddings import nearest, unit
from handful.heads import transduce

DIM, CLASSES, NEIGHBOURS, BLOCK, PROBE = 512, 100, 3, 50_000, 2000


def made(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return vectors, text logits, neighbours and true classes, in order of the classes."""
    rng = np.random.default_rng(0)
    centres = unit(rng.standard_normal((CLASSES, DIM)).astype(np.float32))
    truth = np.sort(rng.integers(0, CLASSES, n))
    X = np.empty((n, DIM), np.float32)
    logits = rng.standard_normal((n, CLASSES), dtype=np.float32)
    logits[np.arange(n), truth] += 2.5
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        noise = rng.standard_normal((len(truth[rows]), DIM), dtype=np.float32) / np.sqrt(DIM)
        X[rows] = unit(centres[truth[rows]] + 1.5 * noise.astype(np.float32))
    first = np.searchsorted(truth, np.arange(CLASSES))[truth]
    size = np.bincount(truth, minlength=CLASSES)[truth]
    step = rng.integers(1, size[:, None], (n, NEIGHBOURS))
    neighbours = first[:, None] + (np.arange(n)[:, None] - first[:, None] + step) % size[:, None]
    return X, logits, neighbours, truth


def main() -> None:
    """Time the steps, and a part of the graph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000)
    n = parser.parse_args().n
    X, logits, neighbours, truth = made(n)
    cosines = np.empty(neighbours.shape, np.float32)
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        for column in range(NEIGHBOURS):
            cosines[rows, column] = np.einsum("ij,ij->i", X[rows], X[neighbours[rows, column]])
    before = float((logits.argmax(axis=1) == truth).mean())
    start_time, cpu = time.perf_counter(), time.process_time()
    found = transduce(X, logits, (neighbours, cosines))
    seconds, cpu = time.perf_counter() - start_time, time.process_time() - cpu
    after = float((found.proba.argmax(axis=1) == truth).mean())
    start_time = time.perf_counter()
    nearest(X[:PROBE], X, NEIGHBOURS + 1)
    graph = (time.perf_counter() - start_time) * n / PROBE
    figures = {
        "images": n,
        "numbers a vector": DIM,
        "classes": CLASSES,
        "seconds": round(seconds, 1),
        "CPU seconds": round(cpu, 1),
        "seconds a million images, if linear": round(seconds * 1e6 / n, 1),
        "seconds of an exact graph, from 2000 rows": round(graph, 1),
        "peak memory in GB, with the vectors": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2
        ),
        "right by the texts": round(before, 4),
        "right after": round(after, 4),
    }
    print(figures)
    record.write(
        "transduction_speed" if n >= 1_000_000 else "transduction_speed_small", figures,
        claim="1,000,000 × 512, 100 classes: ≤ 10 minutes beside the graph, ≤ 8 GB on 2 cores",
        script="transduction_speed",
    )  # fmt: skip


if __name__ == "__main__":
    main()
