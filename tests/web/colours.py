"""A predictor that knows three colours, and a program that serves it in a process of its own."""

from __future__ import annotations

import io
import sys
import threading
import time

import numpy as np
from PIL import Image

from handful.core import Estimate, ImageError


class Colours:
    """Tells red, green and blue images apart by their mean colour; grey ones are unknown."""

    side = 8
    threshold = 0.05

    def __init__(self, *, seconds: float = 0.0, classes=("red", "green", "blue")) -> None:
        self.classes = list(classes)
        accuracy = Estimate(0.9, 0.8, 0.95, 40, "accuracy", "cross-validation")
        self.info = {
            "name": "colours.handful",
            "classes": self.classes,
            "accuracy": accuracy.as_dict(),
        }
        self.seconds = seconds
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def decode(self, content: bytes):
        try:
            with Image.open(io.BytesIO(content)) as image:
                return np.asarray(image.convert("RGB").resize((self.side, self.side)))
        except Exception as error:
            raise ImageError(f"The image is damaged: {error}.") from error

    def infer(self, images):
        assert images.dtype == np.uint8
        assert images.shape[1:] == (self.side, self.side, 3)
        self.gate.wait(20)
        time.sleep(self.seconds)
        self.batches.append(len(images))
        embedding = images.mean(axis=(1, 2), dtype=np.float32) / 255
        logits = 10 * embedding
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
        return probabilities, np.ptp(embedding, axis=1), embedding

    def rows(self, probabilities, known):
        return [
            {
                "label": self.classes[int(p.argmax())],
                "confidence": float(p.max()),
                "known": float(k),
                "is_known": bool(k >= self.threshold),
                "probabilities": dict(zip(self.classes, map(float, p), strict=True)),
            }
            for p, k in zip(probabilities, known, strict=True)
        ]

    def drift(self, mean_embedding, n):
        return float(np.sqrt(n) * np.linalg.norm(mean_embedding - 1 / 3))


def image_bytes(colour, size=(20, 16), kind="PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def main() -> None:
    from handful.web import run

    host, seconds, token = sys.argv[1], float(sys.argv[2]), sys.argv[3] or None
    run(
        Colours(seconds=seconds),
        host=host,
        port=0,
        token=token,
        started=lambda address: print(address, flush=True),  # noqa: T201
    )


if __name__ == "__main__":
    main()
