"""Classify images with a model file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handful.bundle import Bundle, Prediction
from handful.core import Progress, ProjectError
from handful.images import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Row:
    """One image and what the model says of it, or why it could not be used.

    Parameters
    ----------
    path : str
        As it was given or found.
    prediction : Prediction or None
        None for an image that could not be used.
    reason : str
        Why not; empty otherwise.
    """

    path: str
    prediction: Prediction | None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the row of ``--format jsonl``."""
        if self.prediction is None:
            return {"path": self.path, "error": self.reason}
        said = self.prediction
        return {
            "path": self.path,
            "label": said.label,
            "confidence": round(said.confidence, 6),
            "known": round(said.known, 6),
            "is_known": said.is_known,
            "flagged": said.flagged,
            "probabilities": {name: round(p, 6) for name, p in said.probabilities.items()},
        }


def predict(
    model: Path | str,
    images: Sequence[Path | str] | Path | str,
    *,
    n_jobs: int | None = None,
    quiet: bool = False,
) -> Iterator[Row]:
    """Classify images one after the other, as they are read.

    Parameters
    ----------
    model : Path or str
        A file of `handful.fit`.
    images : Path, str or a sequence of them
        Image files, and folders, which are searched at any depth.
    n_jobs : int, optional
        Threads; the usable cores by default.
    quiet : bool, default=False
        Show no progress.

    Yields
    ------
    Row
        In the order of the paths.

    Raises
    ------
    BundleError
        If the model cannot be loaded.
    ProjectError
        If a path does not exist or no image is found.
    """
    bundle = Bundle.load(model)
    places = [images] if isinstance(images, Path | str) else images
    paths = find_images([Path(place) for place in places])
    with Progress("predict", len(paths), quiet=quiet) as progress:
        for position, said in bundle.predict(paths, n_jobs=n_jobs):
            progress.advance()
            name = os.fsdecode(paths[position]).encode("utf-8", "backslashreplace").decode()
            yield Row(name, None, said) if isinstance(said, str) else Row(name, said)


def least_certain(rows: Iterable[Row], n: int) -> list[Row]:
    """Return the ``n`` rows that a person should look at first.

    Images that look unknown come first, then those of the lowest confidence.
    """
    usable = [row for row in rows if row.prediction is not None]
    return sorted(usable, key=_certainty)[:n]


def _certainty(row: Row) -> tuple[bool, float, str]:
    said = row.prediction
    assert said is not None
    return said.is_known, said.confidence, row.path


def find_images(places: Sequence[Path]) -> list[Path]:
    """Return the image files among and below these places, each folder's in order of name.

    Raises
    ------
    ProjectError
        If a place does not exist or no image is found.
    """
    gone = [str(place) for place in places if not place.exists()]
    if gone:
        raise ProjectError(f"No such file or folder: {', '.join(map(repr, gone))}.")
    found = [path for place in places for path in (_below(place) if place.is_dir() else [place])]
    if not found:
        raise ProjectError(f"No image found in {', '.join(repr(str(place)) for place in places)}.")
    return found


def _below(folder: Path) -> list[Path]:
    found: list[Path] = []
    for here, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(here) / name for name in names if _is_image(name)]
    return sorted(found)


def _unreadable(error: OSError) -> None:
    raise ProjectError(f"The folder {str(error.filename)!r} cannot be read: {error.strerror}.")


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")
