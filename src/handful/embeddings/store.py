"""Vectors on disk: written once, checksummed, found by an image's content hash and a backbone's fingerprint.

One folder a backbone, ``embeddings/FINGERPRINT/``, with shards of a few hundred
images each. A shard is a safetensors file of ``hashes`` uint8 [n, 16] and
``vectors`` float32 [n, dim]; its name is the digest of its bytes, so it is
complete or it is not there, two processes can write side by side, and damage
is noticed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from handful.core import Float32, StoreError, UInt8, write_atomically

_HASH_BYTES = 16


class VectorStore:
    """The vectors of one backbone in one project.

    Parameters
    ----------
    folder : Path
        The project's ``embeddings`` folder, made when missing.
    fingerprint : str
        The backbone's.
    dim : int
        Length of a vector.

    Examples
    --------
    >>> import tempfile
    >>> store = VectorStore(Path(tempfile.mkdtemp()), "abc", 2)
    >>> store.add(["00" * 16], np.ones((1, 2), np.float32))
    >>> store.rows(["00" * 16])
    array([[1., 1.]], dtype=float32)
    """

    def __init__(self, folder: Path, fingerprint: str, dim: int) -> None:
        self.folder = folder / fingerprint
        self.dim = dim
        self._where: dict[str, tuple[Path, int]] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            self._index(path)

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, image_hash: str) -> bool:
        return image_hash in self._where

    def add(self, hashes: Sequence[str], vectors: Float32) -> None:
        """Write one shard.

        Parameters
        ----------
        hashes : sequence of str
            Content hashes, 32 hex digits each.
        vectors : ndarray of shape (len(hashes), dim), float32

        Raises
        ------
        StoreError
            When it cannot be written; nothing of it is left then.
        """
        keys = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(-1, _HASH_BYTES)
        content = save({"hashes": keys, "vectors": np.ascontiguousarray(vectors, np.float32)})
        path = self.folder / f"{_digest(content)}.safetensors"
        try:
            write_atomically(path, content)
        except OSError as error:
            raise StoreError(
                f"Vectors cannot be written to {str(self.folder)!r}: {error.strerror}. "
                "Free some space or give another place with --project DIR, then run the "
                "same command: finished work is kept."
            ) from error
        self._where.update({image_hash: (path, row) for row, image_hash in enumerate(hashes)})

    def verify(self, hashes: Iterable[str]) -> int:
        """Read the shards that hold these images and forget those that are damaged.

        One that cannot be read now is left out and stays where it is.

        Returns
        -------
        int
            Number of damaged shards, removed from the folder: their images are
            missing now and will be embedded again.
        """
        damaged = 0
        for path in sorted(
            {self._where[image_hash][0] for image_hash in hashes if image_hash in self._where}
        ):
            content = _read(path)
            if content is None:
                self._leave_out(path)
            elif _digest(content) != path.stem:
                self._forget(path)
                damaged += 1
        return damaged

    def rows(self, hashes: Sequence[str]) -> Float32:
        """Return the vectors of these images in their order, one shard in memory at a time.

        Raises
        ------
        StoreError
            If one of them has no vector or its shard cannot be read.
        """
        out = np.empty((len(hashes), self.dim), np.float32)
        wanted: dict[Path, list[tuple[int, int]]] = {}
        for position, image_hash in enumerate(hashes):
            if image_hash not in self._where:
                raise StoreError(
                    f"Image {image_hash} has no vector in {str(self.folder)!r}. Embed the folder first."
                )
            path, row = self._where[image_hash]
            wanted.setdefault(path, []).append((position, row))
        for path, pairs in wanted.items():
            content = _read(path)
            if content is None:
                raise StoreError(
                    f"The vectors in {str(path)!r} cannot be read. Run the same command again to make them anew."
                )
            positions, rows = np.array(pairs).T
            out[positions] = load(content)["vectors"][rows]
        return out

    def blocks(
        self, hashes: Sequence[str], size: int = 4096
    ) -> Iterator[tuple[Sequence[str], Float32]]:
        """Yield the hashes and vectors of ``size`` images at a time."""
        for start in range(0, len(hashes), size):
            part = hashes[start : start + size]
            yield part, self.rows(part)

    def _index(self, path: Path) -> None:
        try:
            keys = _read_keys(path, self.dim)
        except OSError:
            return  # it may be whole; what it holds is embedded again
        if keys is None:
            self._forget(path)
        else:
            self._where.update({key.tobytes().hex(): (path, row) for row, key in enumerate(keys)})

    def _forget(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._leave_out(path)

    def _leave_out(self, path: Path) -> None:
        self._where = {
            image_hash: place for image_hash, place in self._where.items() if place[0] != path
        }


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _read_keys(path: Path, dim: int) -> UInt8 | None:
    """Return a shard's hashes from its header and first bytes alone, None when they make no sense."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, 10_000)))
            (n, width), (start, end) = header["hashes"]["shape"], header["hashes"]["data_offsets"]
            if width != _HASH_BYTES or header["vectors"]["shape"] != [n, dim]:
                return None
            file.seek(8 + length + start)
            return np.frombuffer(file.read(end - start), np.uint8).reshape(n, width)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
