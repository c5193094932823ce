"""From image files to stored vectors: only what is missing, and every finished part is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from handful.backbones import Backbone
from handful.core import Float32, Progress
from handful.embeddings.pipeline import run_batches
from handful.embeddings.store import VectorStore

SHARD, SECONDS = 256, 10.0  # written after so many images or seconds: a kill loses no more


def embed(
    store: VectorStore,
    backbone: Backbone,
    images: Mapping[str, Path],
    *,
    n_jobs: int | None = None,
    quiet: bool = False,
) -> dict[str, str]:
    """Make sure that every image has its vector in the store.

    Vectors that are there already are verified by checksum and not computed
    again; a damaged shard is.

    Parameters
    ----------
    store : VectorStore
        Of this backbone.
    backbone : Backbone
        Runs the images.
    images : mapping of str to Path
        Content hash and file of each image.
    n_jobs : int, optional
        Threads; the usable cores by default.
    quiet : bool, default=False
        Show no progress.

    Returns
    -------
    dict of str to str
        Hash and reason of each image that could not be decoded.

    Raises
    ------
    StoreError
        When the vectors cannot be written; finished shards are kept.
    """
    store.verify(images)
    missing = [image_hash for image_hash in images if image_hash not in store]
    failed: dict[str, str] = {}
    shard = _Shard(store)
    batches = run_batches(
        [images[image_hash] for image_hash in missing],
        backbone.spec.preprocess,
        lambda x: (backbone.embed(x),),
        n_jobs=n_jobs,
    )
    with Progress("embed", len(missing), quiet=quiet) as progress:
        try:
            for batch in batches:
                if batch.done:
                    shard.extend([missing[position] for position in batch.done], batch.outputs[0])
                failed.update(
                    {missing[position]: reason for position, reason in batch.failed.items()}
                )
                progress.advance(len(batch.done) + len(batch.failed))
        finally:
            batches.close()
            shard.flush()
    return failed


class _Shard:
    """Vectors waiting to be written together."""

    def __init__(self, store: VectorStore) -> None:
        self.store = store
        self.hashes: list[str] = []
        self.vectors: list[Float32] = []
        self.begun = time.monotonic()

    def extend(self, hashes: list[str], vectors: Float32) -> None:
        self.hashes += hashes
        self.vectors.append(vectors)
        if len(self.hashes) >= SHARD or time.monotonic() - self.begun >= SECONDS:
            self.flush()

    def flush(self) -> None:
        hashes, vectors, self.hashes, self.vectors = self.hashes, self.vectors, [], []
        self.begun = time.monotonic()
        if hashes:
            self.store.add(hashes, np.concatenate(vectors))
