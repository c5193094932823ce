"""A loaded model for a program that asks often: the server, a notebook, a robot."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from handful.bundle import Bundle
from handful.core import Float32, UInt8
from handful.images import decode


class Predictor:
    """A model file, loaded once; every method may be called from several threads.

    Parameters
    ----------
    model : Path
        A file of `handful.fit`.

    Raises
    ------
    BundleError
        If it cannot be loaded.
    """

    def __init__(self, model: Path) -> None:
        self._bundle = Bundle.load(model)
        self.classes = self._bundle.classes
        self.side = self._bundle.preprocess.side
        self.threshold = self._bundle.threshold
        self.info: dict[str, Any] = {
            "name": Path(model).name,
            "side": self.side,
            **{
                key: self._bundle.info[key]
                for key in (
                    "classes",
                    "created",
                    "method",
                    "accuracy",
                    "backbone",
                    "thresholds",
                    "handful",
                )
                if key in self._bundle.info
            },
        }

    def decode(self, content: bytes) -> UInt8:
        """Return the preprocessed image, uint8 [side, side, 3]; ImageError says why it cannot be used."""
        return decode(content, self._bundle.preprocess)

    def infer(self, images: UInt8) -> tuple[Float32, Float32, Float32]:
        """Return probabilities [n, n_classes], known scores [n] and vectors [n, dim]."""
        return self._bundle.infer(images)

    def rows(self, probabilities: Float32, known: Float32) -> list[dict[str, Any]]:
        """Return label, confidence, known, is_known and probabilities of each image."""
        return [asdict(said) for said in self._bundle.describe(probabilities, known)]

    def drift(self, mean_embedding: Float32, n: int) -> float:
        """Return how far the mean of ``n`` vectors is from the training images' (1 is chance)."""
        return self._bundle.drift(mean_embedding, n)
