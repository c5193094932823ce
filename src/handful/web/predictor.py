"""What the server needs of a model; ``handful.jobs`` has the class that provides it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from handful.core import Float32, UInt8


class Predictor(Protocol):
    """A fitted classifier that takes the bytes of image files.

    All methods are called from several threads at once.
    """

    @property
    def classes(self) -> Sequence[str]:
        """Class names, in the order of the probabilities."""
        ...

    @property
    def info(self) -> dict[str, Any]:
        """What is known of the model, as JSON values: ``name``, ``accuracy``, ``created``, …."""
        ...

    def decode(self, content: bytes) -> UInt8:
        """Return the image of shape (side, side, 3), uint8, or raise `ImageError`."""
        ...

    def infer(self, images: UInt8) -> tuple[Float32, Float32, Float32]:
        """Return probabilities (n, k), known scores (n,) and embeddings (n, d) of n images."""
        ...

    def rows(self, probabilities: Float32, known: Float32) -> list[dict[str, Any]]:
        """Return n rows: ``label, confidence, known, is_known, probabilities``."""
        ...

    def drift(self, mean_embedding: Float32, n: int) -> float:
        """Return how far the mean of n embeddings is from training; about 1 without drift."""
        ...
