"""Images anywhere, cut into shards: what is to be done, what is done, and files that are whole or not there.

Places are those of fsspec: a path, ``file://``, ``s3://``, ``gs://`` and others. A shard is one
parquet file. Its name says which network and which images it was made of, so that a finished
shard is recognised without a register that could be wrong.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from handful.core import MissingExtraError, ProjectError, write_atomically
from handful.images import IMAGE_SUFFIXES

RECORD, FAILED = "_run.json", "_failed.csv"  # readers of parquet folders pass over files with a _
_KEY = b"handful"  # of a shard's outcome in the metadata of its file
_SHARD = re.compile(r"\.?[0-9a-f]{12}-[0-9a-f]{32}\.parquet(\.[0-9a-f]+\.tmp)?")
_WHOLE_PUT = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "memory"}  # none sees a part
_LOCAL = {"file", "local"}
_THREADS = 16  # that wait for a network


@dataclass(frozen=True)
class Listing:
    """The images of a place.

    Parameters
    ----------
    base : str
        Where relative paths begin.
    versions : dict of str to str
        For each path what changes when its file does: size and time, or what a manifest says.
    failed : dict of str to str
        Path and reason of files that cannot be named.
    """

    base: str
    versions: Mapping[str, str]
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Shard:
    """Images that are worked on together, and the name of the file that holds the result."""

    name: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of a shard.

    Parameters
    ----------
    shard : str
        Its name.
    done : int, default=0
        Number of images that could be used.
    failed : dict of str to str
        Path and reason of the others.
    again : bool, default=False
        Whether an image could not be read just now, so that the next run does the shard again.
    error : str, default=""
        Why the shard was not written; empty where it was.
    """

    shard: str
    done: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    again: bool = False
    error: str = ""

    def as_json(self) -> str:
        """Return the fields as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Outcome:
        """Return what `as_json` wrote."""
        return cls(**json.loads(text))


def list_images(place: str) -> Listing:
    """Return the images of a folder, or those that a manifest names.

    Parameters
    ----------
    place : str
        A folder, searched at any depth, or a ``.parquet`` or ``.csv`` file with a column ``path``
        and, if files may change, one ``version``. Relative paths count from the file's folder.

    Raises
    ------
    ProjectError
        If there is no such place or no image in it.
    """
    files, root = file_system(place)
    whole = absolute(place)
    with _reaching(place):
        if not files.exists(root):
            raise ProjectError(f"No such file or folder: {place!r}.")
        if files.isdir(root):
            listing = _listed(_found(files, root), base=whole)
        elif Path(root).suffix in {".parquet", ".csv"}:
            listing = _listed(_named(files, root, place), base=whole.rpartition("/")[0])
        else:
            raise ProjectError(
                f"Images come from a folder, or from a .parquet or .csv file with a column 'path'. Got {place!r}."
            )
    if not listing.versions:
        raise ProjectError(f"No image found in {place!r}.")
    return listing


def plan(listing: Listing, fingerprint: str, size: int) -> list[Shard]:
    """Cut the images into shards of at most about ``size``.

    A path alone decides which shard it falls into, of a number that is a power of two: an image
    more or less changes one shard, not all that follow.

    Examples
    --------
    >>> listing = Listing("photos", {f"{i}.jpg": "" for i in range(100)})
    >>> shards = plan(listing, "00ff" * 8, 16)
    >>> len(shards), sum(len(shard.paths) for shard in shards)
    (8, 100)
    >>> fewer = Listing("photos", {f"{i}.jpg": "" for i in range(99)})
    >>> len({s.name for s in shards} - {s.name for s in plan(fewer, "00ff" * 8, 16)})
    1
    """
    buckets = 1 << (-(-len(listing.versions) // size) - 1).bit_length()
    parts: dict[int, list[str]] = {}
    for path in sorted(listing.versions):
        digest = hashlib.blake2b(path.encode(), digest_size=8).digest()
        parts.setdefault(int.from_bytes(digest) % buckets, []).append(path)
    return [_shard(fingerprint, part, listing.versions) for _, part in sorted(parts.items())]


def _shard(fingerprint: str, paths: Sequence[str], versions: Mapping[str, str]) -> Shard:
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(json.dumps([path, versions[path]]).encode())
    return Shard(f"{fingerprint[:12]}-{digest.hexdigest()}.parquet", tuple(paths))


def reader(base: str) -> Callable[[str], bytes]:
    """Return a function from a path of a listing to the content of the file."""

    def read(path: str) -> bytes:
        is_whole = "://" in path or path.startswith("/")
        files, name = file_system(path if is_whole else f"{base}/{path}")
        content: bytes = files.cat_file(name)
        return content

    return read


class ShardFolder:
    """The folder that the shards of one place and one network are written to.

    Parameters
    ----------
    place : str
        Of fsspec; made when missing.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._files, self._root = file_system(place)

    def claim(self, facts: Mapping[str, Any]) -> None:
        """Note what this folder is for, or raise ProjectError if it is for something else."""
        path = f"{self._root}/{RECORD}"
        with _reaching(self.place):
            found = json.loads(self._files.cat_file(path)) if self._files.exists(path) else {}
        for key in ("source", "fingerprint"):
            if key in found and found[key] != facts[key]:
                raise ProjectError(
                    f"{self.place!r} holds results of another {key}: {found[key]!r}, not {facts[key]!r}. "
                    "Give another folder, or delete this one."
                )
        self.write(RECORD, json.dumps({**facts, "complete": False}, indent=1).encode())

    def finished(self, shards: Iterable[Shard]) -> dict[str, Outcome]:
        """Return the outcome of every shard whose file is there, whole, and not to be done again."""
        present = self._names()
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(self._outcome, (s.name for s in shards if s.name in present))
            return {o.shard: o for o in found if o is not None and not o.again}

    def write_table(
        self, outcome: Outcome, columns: Mapping[str, Any], facts: dict[str, str]
    ) -> None:
        """Write one shard; OSError if it cannot be written."""
        pa, parquet = arrow()
        table = pa.table(dict(columns), metadata={**facts, "handful": outcome.as_json()})
        file = io.BytesIO()
        parquet.write_table(table, file)
        self.write(outcome.shard, file.getvalue())

    def close(self, shards: Iterable[Shard], facts: Mapping[str, Any]) -> None:
        """Remove the shards of a former state of the place, and note that all is done."""
        wanted = {shard.name for shard in shards}
        for name in self._names() - wanted:
            if _SHARD.fullmatch(name):
                self._files.rm_file(f"{self._root}/{name}")
        self.write(RECORD, json.dumps({**facts, "complete": True}, indent=1).encode())

    def write(self, name: str, content: bytes) -> None:
        """Write a file that others see whole or not at all."""
        path = f"{self._root}/{name}"
        if _protocols(self._files) & _LOCAL:
            write_atomically(Path(path), content)
        elif _protocols(self._files) & _WHOLE_PUT:
            self._files.pipe_file(path, content)
        else:
            temporary = f"{self._root}/.{name}.{secrets.token_hex(8)}.tmp"
            self._files.makedirs(self._root, exist_ok=True)
            self._files.pipe_file(temporary, content)
            self._files.mv(temporary, path)

    def _names(self) -> set[str]:
        self._files.invalidate_cache()  # others write here
        if not self._files.exists(self._root):
            return set()
        return {entry.rpartition("/")[2] for entry in self._files.ls(self._root, detail=False)}

    def _outcome(self, name: str) -> Outcome | None:
        pa, parquet = arrow()
        try:
            with self._files.open(f"{self._root}/{name}") as file:
                return Outcome.from_json(parquet.read_metadata(file).metadata[_KEY])
        except (OSError, KeyError, TypeError, ValueError, pa.ArrowException):
            return None  # a part of a file, or none of ours: done anew


def file_system(place: str) -> tuple[Any, str]:
    """Return fsspec's file system of a place and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtraError("The engine 'ray'", "fsspec", "cluster") from error
    try:
        files, path = url_to_fs(place)
    except (ValueError, ImportError) as error:
        raise ProjectError(f"{place!r} cannot be reached: {error}.") from error
    return files, str(path).rstrip("/") or "/"


def absolute(place: str) -> str:
    """Return the place so that it means the same from any working folder."""
    files, path = file_system(place)
    return path if _protocols(files) & _LOCAL else place.rstrip("/")


def _protocols(files: Any) -> set[str]:
    return {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)


@contextmanager
def _reaching(place: str) -> Iterator[None]:
    """Turn what a file system raises into one message: each has errors of its own."""
    try:
        yield
    except ProjectError:
        raise
    except Exception as error:
        raise ProjectError(f"{place!r} cannot be read: {error}") from error


def arrow() -> tuple[Any, Any]:
    """Return pyarrow and pyarrow.parquet."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("Parquet", "pyarrow", "parquet") from error
    return pyarrow, parquet


def _found(files: Any, root: str) -> dict[str, str]:
    """Return the images below a folder and their versions; hidden ones are passed over."""
    prefix = root.rstrip("/") + "/"
    found: dict[str, Any] = files.find(root, detail=True)
    entries = {path.removeprefix(prefix): entry for path, entry in found.items()}
    return {path: _version(entry) for path, entry in entries.items() if _is_image(path)}


def _is_image(path: str) -> bool:
    is_hidden = path.startswith(".") or "/." in path
    return not is_hidden and os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122


def _version(entry: Mapping[str, Any]) -> str:
    keys = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified")
    known = next((entry[key] for key in keys if entry.get(key)), "")
    return f"{entry.get('size')} {known}"


def _named(files: Any, root: str, place: str) -> dict[str, str]:
    """Return the paths of a manifest and their versions."""
    _, parquet = arrow()
    with files.open(root) as file:
        table = _csv(file) if root.endswith(".csv") else parquet.read_table(file)
    if "path" not in table.column_names:
        names = ", ".join(map(repr, table.column_names))
        raise ProjectError(f"{place!r} has no column 'path'. Its columns are: {names}.")
    paths = table["path"].to_pylist()
    versions = (
        table["version"].to_pylist() if "version" in table.column_names else [""] * len(paths)
    )
    return {str(path): str(v) for path, v in zip(paths, versions, strict=True) if path}


def _csv(file: Any) -> Any:
    from pyarrow import csv

    pa, _ = arrow()
    types = {"path": pa.string(), "version": pa.string()}
    return csv.read_csv(file, convert_options=csv.ConvertOptions(column_types=types))


def _listed(versions: Mapping[str, str], *, base: str) -> Listing:
    """Take out the paths that are no text: parquet could not hold them."""
    good = {path: version for path, version in versions.items() if _is_text(path)}
    bad = [
        path.encode("utf-8", "backslashreplace").decode() for path in versions if path not in good
    ]
    return Listing(base, good, dict.fromkeys(bad, "Its name is not UTF-8. Rename the file."))


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
