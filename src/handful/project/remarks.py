"""What a scan tells a person about the folder, each with what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from handful.core import ProjectError, listed
from handful.project.database import Database
from handful.project.folders import Claim, claim_of, display, folder_says, is_split_folder
from handful.project.labels import LabelLog
from handful.project.walk import Walk

_OTHER_PICTURES = {
    ".avif", ".cr2", ".dng", ".heic", ".heif", ".jp2", ".jxl", ".nef", ".psd", ".svg",
}  # fmt: skip
_READABLE = "JPEG, PNG, WebP, TIFF, BMP and GIF files"


def nothing_found(root: Path, found: Walk) -> str:
    """Return why a folder holds no image that can be read, and what to do."""
    others = listed(f"{n} {suffix or 'without ending'}" for suffix, n in found.others.most_common())
    problems = listed(f"{display(path)!r} ({why})" for path, why in sorted(found.problems.items()))
    return (
        f"There is no image that can be read in '{root}'. handful reads {_READABLE} at any depth"
        + (f"; the folder holds other files: {others}" if others else "")
        + (f"; it could not read {problems}" if problems else "")
        + ". Name the folder that holds the images, or convert them."
    )


def folder_warnings(found: Walk, paths: Iterable[bytes]) -> list[str]:
    """Return warnings about formats and folder names."""
    folders = Counter(path.rpartition(b"/")[0] for path in paths)
    return [*_unread_pictures(found), *_unusable_names(folders), *_split_or_class(folders)]


def claim_warnings(claims: Iterable[Claim]) -> list[str]:
    """Return a warning when copies of one image lie in folders of different classes."""
    disputed = [" and ".join(claim.labels) for claim in claims if len(claim.labels) > 1]
    if not disputed:
        return []
    pairs = listed(f"{pair} ({n})" for pair, n in Counter(disputed).most_common())
    warning = (
        f"{len(disputed)} images have copies in folders of different classes: {pairs}. They have "
        f"no label until the wrong copies are removed or a person labels them."
    )
    return [warning]


def vanished_classes(database: Database, gone: set[str], present: set[str]) -> list[str]:
    """Return a warning for every class whose last image is no longer on disk."""
    current = LabelLog(database).current()
    count = Counter(current[i].label for i in gone if i in current and current[i].label)
    left = {current[i].label for i in present if i in current}
    return [
        f"Class {name!r} has no image left: the files of its {n} labels are gone. The labels are "
        f"kept and count again when the files are back; else this class is no longer learned."
        for name, n in sorted(count.items(), key=str)
        if name not in left
    ]


def _unread_pictures(found: Walk) -> list[str]:
    unread = {s: n for s, n in found.others.items() if s in _OTHER_PICTURES}
    if not unread:
        return []
    kinds = listed(f"{n} {suffix}" for suffix, n in sorted(unread.items()))
    return [f"{kinds} files were not read. Convert them to JPEG or PNG to use them."]


def _unusable_names(folders: Counter[bytes]) -> list[str]:
    warnings = []
    for folder, n in sorted(folders.items()):
        try:
            folder_says(folder)
        except ProjectError as error:
            warnings.append(f"{n} images in {display(folder)!r} have no label. {error}")
    return warnings


def _split_or_class(folders: Counter[bytes]) -> list[str]:
    """Warn where ``train/`` holds images itself beside class folders: it may be a class."""
    tops = {folder.partition(b"/")[0] for folder in folders} - {b""}
    bare = [folder for folder in folders if is_split_folder(folder)]
    if all(is_split_folder(top) or not claim_of((top,)).labels for top in tops):
        return []
    return [
        f"The folder {display(folder)!r} was read as a split, not as a class: its "
        f"{folders[folder]} images have no label. If it is a class, rename the folder or give "
        f"the labels in a CSV file."
        for folder in sorted(bare)
    ]
