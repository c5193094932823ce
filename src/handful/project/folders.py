"""What the place of a file says: its class folder and its split."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from handful.core import ProjectError
from handful.project.classes import clean_class_name

SPLITS = ("train", "validation", "test")
_SPLIT_FOLDERS = {name: name for name in SPLITS} | {"val": "validation"}
_UNLABELLED_FOLDERS = {"unlabelled", "unlabeled"}


class Said(NamedTuple):
    """The class and split that a folder stands for; None and ``""`` when it names none."""

    label: str | None
    split: str


class Claim(NamedTuple):
    """What all folders that hold copies of one image say together."""

    labels: tuple[str, ...]
    split: str

    def to_json(self) -> str:
        """Return the claim as the database holds it."""
        return _as_json(self)

    @classmethod
    def from_json(cls, text: str) -> Claim:
        """Return the claim that `to_json` wrote."""
        labels, split = json.loads(text)
        return cls(tuple(labels), split)


def display(path: bytes) -> str:
    r"""Return a stored path for people: bytes that are not UTF-8 become ``\xff``.

    Examples
    --------
    >>> print(display(b"cats/caf\xc3\xa9.jpg"), display(b"old\xff.jpg"))
    cats/café.jpg old\xff.jpg
    """
    return path.decode("utf-8", "backslashreplace")


def is_split_folder(folder: bytes) -> bool:
    """Return whether a folder at the root is a split rather than a class.

    Examples
    --------
    >>> is_split_folder(b"Train"), is_split_folder(b"train/cat"), is_split_folder(b"cat")
    (True, False, False)
    """
    return display(folder).lower() in _SPLIT_FOLDERS


@lru_cache(maxsize=100_000)
def folder_says(folder: bytes) -> Said:
    """Return what a folder, relative to the root, says of the images in it.

    A leading ``train``, ``val``, ``validation`` or ``test`` is the split. What
    follows is the class, sub-folders included; the root itself and
    ``unlabelled/`` with all below it have none.

    Raises
    ------
    ProjectError
        If the folder's name cannot be a class name.

    Examples
    --------
    >>> folder_says(b"train/cats/siamese")
    Said(label='cats/siamese', split='train')
    >>> folder_says(b"unlabelled/2024")
    Said(label=None, split='')
    """
    parts = display(folder).split("/") if folder else []
    split = _SPLIT_FOLDERS.get(parts[0].lower(), "") if parts else ""
    rest = parts[1:] if split else parts
    if not rest or rest[0].lower() in _UNLABELLED_FOLDERS:
        return Said(None, split)
    return Said(clean_class_name("/".join(rest)), split)


@lru_cache(maxsize=100_000)
def claim_of(folders: tuple[bytes, ...]) -> Claim:
    """Return what the folders of one image's copies say together.

    A copy in a test folder puts the image into the test split, so that nothing
    is trained on it; a folder whose name cannot be a class says nothing.

    Examples
    --------
    >>> claim_of((b"train/cat", b"test/dog"))
    Claim(labels=('cat', 'dog'), split='test')
    """
    said = [_said(folder) for folder in folders]
    labels = sorted({label for label, _ in said if label is not None})
    return Claim(tuple(labels), strongest_split(split for _, split in said))


def strongest_split(splits: Iterable[str | None]) -> str:
    """Return test before validation before train before none."""
    present = set(splits)
    return next((split for split in reversed(SPLITS) if split in present), "")


def _said(folder: bytes) -> Said:
    try:
        return folder_says(folder)
    except ProjectError:
        return Said(None, "")


@lru_cache(maxsize=100_000)
def _as_json(claim: Claim) -> str:
    return json.dumps(claim)
