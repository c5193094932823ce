"""The walk over the image folder, and the hashing of what changed in it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
)
"""Endings of the files that a scan looks at, in lower case."""

_LABEL_FILES = {b"metadata.csv", b"metadata.jsonl"}
_SYSTEM_FOLDERS = {b"__MACOSX", b"@eaDir"}
_BATCH = 512  # files between two commits
_TASK = 16  # files a thread reads at a time
_PIECE = 1 << 20  # bytes


class Seen(NamedTuple):
    """Size in bytes and time of the last change in ns: a file with both unchanged is not read."""

    size: int
    mtime_ns: int


@dataclass
class Walk:
    """What a walk found; paths are relative to the root, as bytes.

    Parameters
    ----------
    files : dict of bytes to Seen
        Files with an image's ending.
    problems : dict of bytes to str
        What could not be followed or read, with the reason.
    others : Counter of str
        How many files have another ending.
    label_files : list of bytes
        Hugging Face metadata files.
    """

    files: dict[bytes, Seen] = field(default_factory=dict)
    problems: dict[bytes, str] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    label_files: list[bytes] = field(default_factory=list)


def walk(root: Path, *, without: Path) -> Walk:
    """Find the images below a folder, at any depth.

    Links to folders are followed after all real folders and each folder is read
    once, so loops end. Hidden files and folders are left out.

    Parameters
    ----------
    root : Path
        The folder.
    without : Path
        The project's own folder, not looked into.

    Returns
    -------
    Walk
    """
    found, top = Walk(), os.fsencode(root)
    own = {_identity(os.fsencode(without))} - {_identity(top)}
    visited = set[tuple[int, int]]()
    folders, links = [b""], list[bytes]()
    while folders or links:
        relative = folders.pop() if folders else links.pop()
        try:
            identity = _identity(os.path.join(top, relative))  # noqa: PTH118 (bytes)
            if identity in own:
                continue
            if identity in visited:
                found.problems[relative] = "a link to a folder that is read already"
                continue
            visited.add(identity)
            with os.scandir(os.path.join(top, relative) if relative else top) as entries:  # noqa: PTH118
                for entry in entries:
                    _sort_in(entry, relative, found, folders, links)
        except OSError as error:
            found.problems[relative or b"."] = _reason(error)
    return found


def _sort_in(
    entry: os.DirEntry[bytes],
    folder: bytes,
    found: Walk,
    folders: list[bytes],
    links: list[bytes],
) -> None:
    name = entry.name
    if name.startswith(b".") or name in _SYSTEM_FOLDERS:
        return
    path = folder + b"/" + name if folder else name
    if entry.is_dir(follow_symlinks=False):
        folders.append(path)
    elif _suffix(name) in IMAGE_SUFFIXES:
        _look(entry, path, found, links)
    elif entry.is_symlink():
        _follow(entry, path, found, links)
    elif name in _LABEL_FILES:
        found.label_files.append(path)
    else:
        found.others[_suffix(name)] += 1


def _look(entry: os.DirEntry[bytes], path: bytes, found: Walk, links: list[bytes]) -> None:
    try:
        status = entry.stat()
    except OSError as error:
        found.problems[path] = _reason(error)
        return
    if stat.S_ISDIR(status.st_mode):
        links.append(path)
    elif not stat.S_ISREG(status.st_mode):
        found.problems[path] = "not a regular file"
    elif status.st_size == 0:
        found.problems[path] = "an empty file (0 bytes)"
    else:
        found.files[path] = Seen(status.st_size, status.st_mtime_ns)


def _follow(entry: os.DirEntry[bytes], path: bytes, found: Walk, links: list[bytes]) -> None:
    try:
        if stat.S_ISDIR(entry.stat().st_mode):
            links.append(path)
    except OSError as error:
        found.problems[path] = _reason(error)


def _suffix(name: bytes) -> str:
    return os.fsdecode(name[name.rfind(b".") :]).lower() if b"." in name else ""


def _identity(path: bytes) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116 (bytes)
    return status.st_dev, status.st_ino


def _reason(error: OSError) -> str:
    return f"cannot be read: {(error.strerror or type(error).__name__).lower()}"


def hash_file(path: Path) -> str:
    """Return the identity of an image: hex of the 16-byte BLAKE2b digest of the file.

    The file is read piece by piece, so that its size does not matter.

    Examples
    --------
    >>> hash_file(Path(os.devnull))
    'cae66941d9efbd404e4d88758ea67670'
    """
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


class Read(NamedTuple):
    """One file that was read: its hash, or the reason why not."""

    path: bytes
    hash: str | None
    reason: str | None


def hash_files(root: Path, paths: list[bytes]) -> Iterator[list[Read]]:
    """Hash files in threads and yield the results in batches, in order.

    Parameters
    ----------
    root : Path
        The image folder.
    paths : list of bytes
        Relative to it.
    """

    def read(path: bytes) -> Read:
        try:
            return Read(path, hash_file(root / os.fsdecode(path)), None)
        except OSError as error:
            return Read(path, None, _reason(error))

    def read_all(some: list[bytes]) -> list[Read]:
        return [read(path) for path in some]

    with ThreadPoolExecutor(min(16, (os.cpu_count() or 1) + 4)) as pool:
        for batch in _parts(paths, _BATCH):
            yield list(chain.from_iterable(pool.map(read_all, _parts(batch, _TASK))))


def _parts(paths: list[bytes], size: int) -> list[list[bytes]]:
    return [paths[start : start + size] for start in range(0, len(paths), size)]
