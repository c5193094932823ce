"""What the prediction server measures of itself and of what it is asked."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handful import __version__
from handful.core import Float32
from handful.web.metrics import Counter, Gauge, Histogram, Metric, exposition
from handful.web.predictor import Predictor

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_IMAGES = (1, 2, 4, 8, 16, 32, 64)
_TENTHS = tuple(tenth / 10 for tenth in range(1, 11))
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WINDOW = 512  # images that the unknown share and the drift are computed over


class Monitoring:
    """All metrics of one server.

    Parameters
    ----------
    predictor : Predictor
        Its classes name the counters; its ``drift`` judges the embeddings.
    waiting : callable
        Returns the number of images admitted and not answered yet.

    Notes
    -----
    The drift compares the mean embedding of the last 512 images with the
    training images in units of the standard error, so it is about 1 for new
    images like those and grows with what differs. Sending one image again and
    again raises it too: it speaks of the stream, not of an image.
    """

    def __init__(self, predictor: Predictor, waiting: Callable[[], int]) -> None:
        self._predictor = predictor
        self._embeddings: deque[Float32] = deque(maxlen=WINDOW)
        self._unknown: deque[bool] = deque(maxlen=WINDOW)
        self.requests = Counter(
            "handful_requests_total",
            "Requests by path, method and status.",
            ["path", "method", "status"],
        )
        self.errors = Counter(
            "handful_errors_total", "Requests and images not answered, by reason.", ["reason"]
        )
        self.predictions = Counter(
            "handful_predictions_total",
            "Images answered, by class and by whether they are like the labelled ones.",
            ["class", "known"],
        )
        self.latency = Histogram(
            "handful_predict_seconds", "Time to answer POST /predict, in seconds.", _SECONDS
        )
        self.decoding = Histogram(
            "handful_decode_seconds", "Time to decode one image, in seconds.", _SECONDS
        )
        self.inference = Histogram(
            "handful_infer_seconds", "Time of one call of the model, in seconds.", _SECONDS
        )
        self.batches = Histogram(
            "handful_batch_images", "Images in one call of the model.", _IMAGES
        )
        self.confidence = Histogram(
            "handful_confidence", "Probability of the class decided for.", _TENTHS
        )
        for name in predictor.classes:
            for known in ("true", "false"):
                self.predictions.add(name, known, amount=0)
        self._gauges = self._make_gauges(str(predictor.info.get("name", "")), waiting)

    def _make_gauges(self, model: str, waiting: Callable[[], int]) -> list[Gauge]:
        started = time.time()
        return [
            Gauge("handful_waiting_images", "Images admitted and not answered yet.", waiting),
            Gauge(
                "handful_unknown_share",
                f"Share of the last {WINDOW} images that are unlike the labelled ones.",
                self.unknown_share,
            ),
            Gauge(
                "handful_embedding_drift",
                f"Distance of the last {WINDOW} images from the training images, "
                "in standard errors of the mean; about 1 without drift.",
                self.drift,
            ),
            Gauge(
                "handful_start_time_seconds",
                "When the server started, in seconds since 1970.",
                lambda: started,
            ),
            Gauge(
                "handful_info",
                "The version and the model served.",
                lambda: 1,
                {"version": __version__, "model": model},
            ),
        ]

    def batch(self, rows: Sequence[dict[str, Any]], embeddings: Float32, seconds: float) -> None:
        """Count one call of the model.

        Parameters
        ----------
        rows : sequence of dict
            The answers.
        embeddings : ndarray of shape (n, d), float32
            The embeddings of the images.
        seconds : float
            Time of the call.
        """
        self.batches.observe(len(rows))
        self.inference.observe(seconds)
        for row, embedding in zip(rows, embeddings, strict=True):
            self.predictions.add(row["label"], "true" if row["is_known"] else "false")
            self.confidence.observe(row["confidence"])
            self._unknown.append(not row["is_known"])
            self._embeddings.append(np.array(embedding))

    def unknown_share(self) -> float:
        """Return the share of unknown images among the last ones, NaN before the first."""
        return sum(self._unknown) / len(self._unknown) if self._unknown else math.nan

    def drift(self) -> float:
        """Return the drift of the last images, NaN before the first."""
        if not self._embeddings:
            return math.nan
        mean = np.stack(self._embeddings).mean(axis=0, dtype=np.float64).astype(np.float32)
        return float(self._predictor.drift(mean, len(self._embeddings)))

    def text(self) -> str:
        """Return everything in the text format of Prometheus."""
        metrics: list[Metric] = [
            self.requests,
            self.errors,
            self.predictions,
            self.latency,
            self.decoding,
            self.inference,
            self.batches,
            self.confidence,
            *self._gauges,
        ]
        return exposition(metrics)


class Observed:
    """ASGI middleware that counts every request by path, method and status.

    Parameters
    ----------
    app : ASGI application
        What is observed.
    monitoring : Monitoring
        Keeps the counts.
    paths : collection of str
        Paths counted by name; all others are counted as ``"other"``, so that strangers
        cannot make the metrics grow.
    """

    def __init__(self, app: ASGIApp, *, monitoring: Monitoring, paths: Collection[str]) -> None:
        self.app, self.monitoring, self.paths = app, monitoring, frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def observed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, observed_send)
        finally:
            path = scope["path"] if scope["path"] in self.paths else "other"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.monitoring.requests.add(path, method, str(status))
