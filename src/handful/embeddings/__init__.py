"""Vectors of images: computed once, kept, and searched."""

from handful.embeddings.cosine import pairs_above, unit
from handful.embeddings.embed import embed
from handful.embeddings.neighbours import nearest
from handful.embeddings.pipeline import (
    BATCH_SIZE,
    Batch,
    batch_size,
    run_batches,
)
from handful.embeddings.store import VectorStore

__all__ = [
    "BATCH_SIZE",
    "Batch",
    "VectorStore",
    "batch_size",
    "embed",
    "nearest",
    "pairs_above",
    "run_batches",
    "unit",
]
