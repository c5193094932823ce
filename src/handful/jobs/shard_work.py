"""What a worker does with a shard: read, decode, run the network, write one file. No Ray in here.

A task holds the network itself, so that a worker needs neither its weights' file nor the way to it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from handful.backbones import OnnxBackbone, session
from handful.bundle import Bundle
from handful.core import Array, BackboneError, UInt8
from handful.embeddings import run_batches
from handful.images import Preprocess
from handful.jobs.shards import Outcome, ShardFolder, arrow, reader

_BLOCK = 64  # files in memory at once; as many more are being read
_READERS = 16  # threads that wait for a network

Infer = Callable[[UInt8], tuple[Array, ...]]


class Task(Protocol):
    """A network that can be sent to another machine."""

    verb: str
    fingerprint: str

    def start(self) -> tuple[Preprocess, Infer]:
        """Load the network here."""

    def columns(self, outputs: tuple[Array, ...]) -> dict[str, Any]:
        """Return the columns of a shard for the network's outputs, a row an image."""


class EmbedTask:
    """Vectors of a backbone.

    Parameters
    ----------
    backbone : OnnxBackbone
    device : {"cpu", "cuda"}, default="cpu"
    """

    verb = "embed"

    def __init__(self, backbone: OnnxBackbone, device: str = "cpu") -> None:
        self.fingerprint, self.name = backbone.spec.fingerprint, backbone.spec.name
        self._content = backbone.model.SerializeToString()
        self._preprocess, self._device = backbone.spec.preprocess, device

    def start(self) -> tuple[Preprocess, Infer]:
        """Load the network here."""
        run = session(self._content, self._device)
        name = run.get_inputs()[0].name

        def infer(images: Array) -> tuple[Array, ...]:
            vectors = run.run(None, {name: images})[0]
            if not np.isfinite(vectors).all():
                raise BackboneError(f"{self.name!r} gave a vector that is not a number.")
            return (vectors,)

        return self._preprocess, infer

    def columns(self, outputs: tuple[Array, ...]) -> dict[str, Any]:
        """Return ``embedding``, float32 of a fixed length."""
        pa, _ = arrow()
        (X,) = outputs
        return {"embedding": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), X.shape[1])}


class PredictTask:
    """Answers of a model file.

    Parameters
    ----------
    model : Path
    device : {"cpu", "cuda"}, default="cpu"

    Raises
    ------
    BundleError
        If the file cannot be loaded.
    """

    verb = "predict"

    def __init__(self, model: Path, device: str = "cpu") -> None:
        Bundle.load(model)
        self._content, self._device = model.read_bytes(), device
        self.name = model.name
        self.fingerprint = blake2b(self._content, digest_size=16).hexdigest()

    def start(self) -> tuple[Preprocess, Infer]:
        """Load the model here."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / self.name
            path.write_bytes(self._content)
            self._bundle = Bundle.load(path, device=self._device)
        return self._bundle.preprocess, self._bundle.infer

    def columns(self, outputs: tuple[Array, ...]) -> dict[str, Any]:
        """Return a column for each field of `Prediction`; ``probabilities`` has a field a class."""
        pa, _ = arrow()
        said = self._bundle.describe(outputs[0], outputs[1])
        classes = pa.struct([(name, pa.float32()) for name in self._bundle.classes])
        types = {
            "label": pa.string(), "confidence": pa.float32(), "known": pa.float32(),
            "is_known": pa.bool_(), "flagged": pa.string(), "probabilities": classes,
        }  # fmt: skip
        return {
            name: pa.array([getattr(one, name) for one in said], kind)
            for name, kind in types.items()
        }


@dataclass
class _Made:
    """What a shard has so far; numbers are positions in its list of images."""

    outputs: list[tuple[Array, ...]]
    done: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    again: bool = False


@dataclass
class ShardWorker:
    """Holds a network and makes one shard after the other.

    Parameters
    ----------
    task : Task
    base : str
        Where relative paths begin.
    output : str
        The folder of the shards.
    threads : int
    """

    task: Task
    base: str
    output: str
    threads: int

    def __post_init__(self) -> None:
        self._preprocess, self._infer = self.task.start()
        self._folder, self._read = ShardFolder(self.output), reader(self.base)
        side = self._preprocess.side
        one = self._infer(np.zeros((1, side, side, 3), np.uint8))
        self._nothing = tuple(
            output[:0] for output in one
        )  # its types, for a shard without an image

    def tried(self, name: str, paths: Sequence[str]) -> Outcome:
        """Return what `make` does, or an outcome with the error that it ended in."""
        try:
            return self.make(name, paths)
        except Exception as error:  # a shard that fails must not end a run of days
            return Outcome(name, error=f"{type(error).__name__}: {error}")

    def make(self, name: str, paths: Sequence[str]) -> Outcome:
        """Write the shard of these images."""
        pa, _ = arrow()
        made = _Made([self._nothing])
        for start, contents in self._blocks(paths):
            self._add(made, start, contents)
        failed = {paths[row]: made.failed[row] for row in sorted(made.failed)}
        outcome = Outcome(name, len(made.done), failed, made.again)
        columns = {
            "path": pa.array([paths[row] for row in made.done], pa.string()),
            "hash": pa.array(made.hashes, pa.string()),
            **self.task.columns(tuple(map(np.concatenate, zip(*made.outputs, strict=True)))),
        }
        facts = {"fingerprint": self.task.fingerprint, "made_by": self.task.verb}
        self._folder.write_table(outcome, columns, facts)
        return outcome

    def _add(self, made: _Made, start: int, contents: Sequence[bytes | OSError]) -> None:
        here: dict[int, bytes] = {}
        for row, content in enumerate(contents, start):
            if isinstance(content, bytes):
                here[row] = content
            else:
                made.failed[row] = f"It cannot be read: {content}"
                made.again |= not isinstance(content, FileNotFoundError)
        rows, sources = list(here), list(here.values())
        for part in run_batches(sources, self._preprocess, self._infer, n_jobs=self.threads):
            done = [rows[position] for position in part.done]
            made.done += done
            made.hashes += [blake2b(here[row], digest_size=16).hexdigest() for row in done]
            made.failed.update({rows[position]: why for position, why in part.failed.items()})
            if done:
                made.outputs.append(part.outputs)

    def _blocks(self, paths: Sequence[str]) -> Iterator[tuple[int, list[bytes | OSError]]]:
        """Yield the contents of some files while the next are being read."""
        with ThreadPoolExecutor(_READERS, thread_name_prefix="read") as pool:
            ahead = pool.map(self._content, paths[:_BLOCK])
            for start in range(0, len(paths), _BLOCK):
                now = list(ahead)
                ahead = pool.map(self._content, paths[start + _BLOCK : start + 2 * _BLOCK])
                yield start, now

    def _content(self, path: str) -> bytes | OSError:
        try:
            return self._read(path)
        except OSError as error:
            return error
