"""A file of captions, matched with a folder's images; everything wrong in it is said at once."""

from __future__ import annotations

import csv
from pathlib import Path

from handful.core import ProjectError, listed
from handful.project import Image, Project

COLUMNS = ("path", "caption")


def read_captions(path: Path, project: Project, images: list[Image]) -> dict[str, list[str]]:
    """Return the captions of each image, by content hash.

    Parameters
    ----------
    path : Path
        CSV with the columns ``path`` (relative to the folder of images) and ``caption``; an image
        may have several rows.
    project : Project
    images : list of Image
        The usable ones.

    Raises
    ------
    ProjectError
        If the file cannot be read, a caption is empty or belongs to no image, or no image has one.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            columns = reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ProjectError(f"The captions {str(path)!r} cannot be read: {error}.") from error
    lacking = [name for name in COLUMNS if name not in columns]
    if lacking:
        raise ProjectError(
            f"{str(path)!r} must have the columns path and caption. It lacks {listed(lacking)}; it has "
            f"{listed(columns)}."
        )
    hash_of = {
        copy.relative_to(project.root).as_posix(): image.hash
        for image in images
        for copy in image.paths
    }
    found: dict[str, list[str]] = {}
    problems = []
    for number, row in enumerate(rows, 2):
        name, caption = (row["path"] or "").strip(), (row["caption"] or "").strip()
        if not caption:
            problems.append(f"row {number}: no caption")
        elif name.removeprefix("./") not in hash_of:
            problems.append(f"row {number}: no image {name!r}")
        else:
            found.setdefault(hash_of[name.removeprefix("./")], []).append(caption)
    if problems:
        raise ProjectError(
            f"{len(problems)} problems in {str(path)!r}: {'; '.join(problems[:5])}. Paths are relative to "
            f"{str(project.root)!r}. Mend or remove these rows."
        )
    if not found:
        raise ProjectError(
            f"No image has a caption: {str(path)!r} has no row. Write path,caption rows into it."
        )
    return found
