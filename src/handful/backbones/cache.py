"""The user's cache, and the graphs that are built once and kept there."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import onnx

from handful.core import write_atomically


def cache_folder() -> Path:
    """Return the user's cache: ``HANDFUL_CACHE``, or the system's place for caches."""
    if "HANDFUL_CACHE" in os.environ:
        return Path(os.environ["HANDFUL_CACHE"])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "handful"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/handful"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "handful"


def kept_graph(prefix: str, key: str, build: Callable[[], onnx.ModelProto]) -> onnx.ModelProto:
    """Return the graph kept as ``prefix`` and ``key``, built first where there is none.

    Its file is named by its own digest too: a damaged one is not read, but built again.

    Parameters
    ----------
    prefix : str
    key : str
        Hex digest of all that the graph depends on.
    build : callable
    """
    for path in cache_folder().glob(f"{prefix}-{key}-*.onnx"):
        with suppress(OSError):
            content = path.read_bytes()
            if path.stem.endswith(_digest(content)):
                return onnx.load_model_from_string(content)
    model = build()
    content = model.SerializeToString()
    with suppress(OSError):  # a cache that cannot be written costs the building the next time
        write_atomically(cache_folder() / f"{prefix}-{key}-{_digest(content)}.onnx", content)
    return model


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
