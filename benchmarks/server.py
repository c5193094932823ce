"""How much a server adds to the model: latency under 8 clients against the bare call.

One process serves; this one holds 8 connections, each of which sends the next
JPEG as soon as it has the answer to the last. In turns with that, while the
server idles, the model is called on a batch of 8 arrays that are already decoded:
as the bundle is run (one thread), and by ONNX Runtime with all cores. Both
processes share the machine, so the clients' own work counts against the server.

    python benchmarks/server.py [--model model.handful] [--images FOLDER]

Without ``--model`` the packaged network with a random linear head is served;
without ``--images`` made 500×375 photos are sent. Claim: the median latency is at
most 1.5 times the median of either bare call.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import onnxruntime
from PIL import Image, ImageFilter

RESULT = Path(__file__).parent / "results" / "server.json"
CLIENTS = 8
CLAIM = 1.5


class Packaged:
    """The packaged network with a random linear head, run as a bundle is: one thread a call."""

    def __init__(self, threads: int = 1) -> None:
        from handful.backbones import packaged
        from handful.images import Preprocess

        self.preprocess = Preprocess()
        self.classes = [f"class {number}" for number in range(10)]
        self.info = {"name": "packaged network, random head", "classes": self.classes}
        self.session = session(packaged().model.SerializeToString(), threads)
        self.weight = np.random.default_rng(0).normal(size=(1280, 10)).astype(np.float32)

    def decode(self, content: bytes) -> np.ndarray:
        """Return the array of one file."""
        from handful.images import decode

        return decode(content, self.preprocess)

    def infer(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return probabilities, known scores and vectors."""
        embedding = self.session.run(None, {"images": images})[0]
        logits = embedding @ self.weight
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True), np.ones(len(images)), embedding

    def rows(self, probabilities: np.ndarray, known: np.ndarray) -> list[dict[str, Any]]:
        """Return the answers."""
        return [
            {
                "label": self.classes[int(row.argmax())],
                "confidence": float(row.max()),
                "known": float(score),
                "is_known": True,
                "probabilities": dict(zip(self.classes, map(float, row), strict=True)),
            }
            for row, score in zip(probabilities, known, strict=True)
        ]

    def drift(self, mean_embedding: np.ndarray, n: int) -> float:
        """Return that there is none."""
        return 1.0


def session(content: bytes, threads: int) -> onnxruntime.InferenceSession:
    """Return a session of so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads  # 0 means one a core
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def load(model: Path | None) -> tuple[Any, onnxruntime.InferenceSession]:
    """Return the predictor, and its graph run by ONNX Runtime with all cores."""
    if model is None:
        return Packaged(), Packaged(threads=0).session
    import zipfile

    from handful.jobs import Predictor

    with zipfile.ZipFile(model) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".onnx"))
        return Predictor(model), session(archive.read(name), 0)


def made_photos(n: int) -> list[bytes]:
    """Return JPEG files of 500×375 pixels with the spectrum of photos, about 50 kB each."""
    rng = np.random.default_rng(0)
    files = []
    for _ in range(n):
        layers = [rng.integers(0, 256, (375 >> k, 500 >> k, 3), np.uint8) for k in range(8)]
        weights = [1, 1, 2, 3, 5, 8, 12, 20]
        photo = sum(
            weight * np.asarray(Image.fromarray(layer).resize((500, 375)), np.float32)
            for weight, layer in zip(weights, layers, strict=True)
        ) / sum(weights)
        stretched = np.clip((photo - 127) * 2 + 127, 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(stretched).filter(ImageFilter.SMOOTH).save(file, "JPEG", quality=85)
        files.append(file.getvalue())
    return files


def photos(folder: Path | None, n: int = 64) -> list[bytes]:
    """Return the contents of n JPEG files of a folder, or made ones."""
    if folder is None:
        return made_photos(n)
    files = sorted(folder.rglob("*.jpg"))
    return [file.read_bytes() for file in files[:: max(1, len(files) // n)][:n]]


@contextmanager
def serving(model: Path | None) -> Iterator[str]:
    """Serve in a process of its own; yield its address."""
    command = [sys.executable, __file__, "--serve", *(["--model", str(model)] if model else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        if process.wait(60):
            raise RuntimeError("The server did not end well.")


class Client:
    """One connection that is kept open, with no more work a request than is needed."""

    def __init__(self, address: str) -> None:
        self.host = urlsplit(address).netloc

    async def __aenter__(self) -> Client:
        name, _, port = self.host.partition(":")
        self.reader, self.writer = await asyncio.open_connection(name, int(port))
        return self

    async def __aexit__(self, *error: object) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def ask(self, method: str, path: str, content: bytes = b"") -> bytes:
        """Return the body of the answer to one request."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: {len(content)}"
        self.writer.write(head.encode() + b"\r\n\r\n" + content)
        head_read = await self.reader.readuntil(b"\r\n\r\n")
        if not head_read.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head_read.decode())
        length = next(
            int(line.split(b":")[1])
            for line in head_read.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        return await self.reader.readexactly(length)


async def load_test(address: str, files: list[bytes], clients: int, requests: int) -> list[float]:
    """Return the seconds of each of ``clients × requests`` requests."""

    async def ask(client: Client, number: int) -> list[float]:
        seconds = []
        for step in range(requests):
            content = files[(number * requests + step) % len(files)]
            started = time.perf_counter()
            await client.ask("POST", "/predict", content)
            seconds.append(time.perf_counter() - started)
        return seconds

    connections = [Client(address) for _ in range(clients)]
    for connection in connections:
        await connection.__aenter__()
    taken = await asyncio.gather(*(ask(c, number) for number, c in enumerate(connections)))
    for connection in connections:
        await connection.__aexit__()
    return [second for seconds in taken for second in seconds]


async def metrics(address: str) -> dict[str, float]:
    """Return the samples of ``/metrics`` by name and labels."""
    async with Client(address) as client:
        lines = (await client.ask("GET", "/metrics")).decode().splitlines()
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    }


async def same_answers(address: str, predictor: Any, files: list[bytes]) -> float:
    """Return the largest difference between the served and the direct probabilities."""
    worst = 0.0
    async with Client(address) as client:
        for content in files[:16]:
            answer = json.loads(await client.ask("POST", "/predict", content))["predictions"][0]
            direct, _, _ = predictor.infer(predictor.decode(content)[None])
            served = list(answer["probabilities"].values())
            worst = max(worst, float(np.abs(direct[0] - served).max()))
    return worst


def seconds_of(call: Callable[[], object], repeats: int) -> list[float]:
    """Return the seconds of each of so many calls."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return taken


def milliseconds(seconds: list[float]) -> dict[str, float]:
    """Return the median and the 95th percentile."""
    p50, p95 = np.quantile(seconds, [0.5, 0.95]) * 1000
    return {"p50_ms": round(float(p50), 2), "p95_ms": round(float(p95), 2)}


@dataclass
class Times:
    """Seconds of every call and request, a list a round."""

    all_cores: list[list[float]] = field(default_factory=list)
    one_thread: list[list[float]] = field(default_factory=list)
    served: list[list[float]] = field(default_factory=list)

    def ratios(self, bare: list[list[float]]) -> list[float]:
        """Return the median latency over the median of the bare call, a round each."""
        pairs = zip(self.served, bare, strict=True)
        return [statistics.median(mine) / statistics.median(its) for mine, its in pairs]


def measure(
    model: Path | None, files: list[bytes], rounds: int, requests: int
) -> tuple[Times, dict[str, Any]]:
    """Return the times, and what else was seen: the answers, one client, the server's metrics."""
    predictor, all_cores = load(model)
    arrays = np.stack([predictor.decode(content) for content in files[:CLIENTS]])
    times = Times()
    calls = (
        (times.all_cores, lambda: all_cores.run(None, {"images": arrays})),
        (times.one_thread, lambda: predictor.infer(arrays)),
    )
    with serving(model) as address:
        difference = asyncio.run(same_answers(address, predictor, files))
        for _, call in calls:
            seconds_of(call, 3)  # warm
        asyncio.run(load_test(address, files, CLIENTS, 3))
        before = asyncio.run(metrics(address))
        for _ in range(rounds):
            for kept, call in calls:
                kept.append(seconds_of(call, 6))
            times.served.append(asyncio.run(load_test(address, files, CLIENTS, requests)))
        after = asyncio.run(metrics(address))
        alone = asyncio.run(load_test(address, files, 1, 30))
    mean = {
        name: (after[f"{name}_sum"] - before[f"{name}_sum"])
        / (after[f"{name}_count"] - before[f"{name}_count"])
        for name in ("handful_batch_images", "handful_decode_seconds")
    }
    return times, {
        "one_client": milliseconds(alone),
        "mean_batch": round(mean["handful_batch_images"], 2),
        "mean_decode_ms": round(1000 * mean["handful_decode_seconds"], 2),
        "largest_difference_of_probabilities": difference,
        "model": predictor.info["name"],
    }


def summary(times: Times, files: list[bytes], source: str) -> dict[str, Any]:
    """Return the figures of the claim, with what they were measured on."""
    ratios = {name: times.ratios(getattr(times, name)) for name in ("all_cores", "one_thread")}
    medians = {name: round(statistics.median(values), 3) for name, values in ratios.items()}
    flat = {
        name: milliseconds([second for seconds in rounds for second in seconds])
        for name, rounds in vars(times).items()
    }
    requests = [second for seconds in times.served for second in seconds]
    return {
        "claim": f"p50 under {CLIENTS} clients ≤ {CLAIM} × the bare call on a batch of {CLIENTS}",
        "holds": max(medians.values()) <= CLAIM,
        "ratio_to_all_cores": medians["all_cores"],
        "ratio_to_one_thread": medians["one_thread"],
        "ratios_by_round": {key: [round(r, 3) for r in values] for key, values in ratios.items()},
        "served": flat["served"],
        "bare_all_cores": flat["all_cores"],
        "bare_one_thread": flat["one_thread"],
        "images_a_second": round(CLIENTS / statistics.mean(requests), 1),
        "requests": len(requests),
        "images": {
            "source": source,
            "mean_kB": round(statistics.mean(map(len, files)) / 1000, 1),
        },
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "load": [round(load, 1) for load in os.getloadavg()],
            "python": platform.python_version(),
            "onnxruntime": onnxruntime.__version__,
        },
    }


def main() -> None:
    """Measure, or serve for the process that measures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, help="a bundle; the packaged network otherwise")
    parser.add_argument("--images", type=Path, help="a folder of JPEG files")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=12, help="a client, a round")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        from handful.web import run

        predictor = Packaged() if arguments.model is None else load(arguments.model)[0]
        run(predictor, port=0, started=lambda address: print(address, flush=True))
        return
    files = photos(arguments.images)
    source = "made, 500×375" if arguments.images is None else arguments.images.name
    times, seen = measure(arguments.model, files, arguments.rounds, arguments.requests)
    result = summary(times, files, source) | seen
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    print(json.dumps(result, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
