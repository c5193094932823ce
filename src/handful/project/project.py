"""A project: a folder of images, and beside it everything that is known of them."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from handful.core import Int, ProjectError, did_you_mean
from handful.project.classes import ClassLog
from handful.project.database import Database, open_database
from handful.project.folders import display
from handful.project.labels import LabelLog
from handful.project.scan import ScanReport, scan
from handful.project.splits import current_splits, group_by_duplicates

FOLDER = ".handful"
_DATABASE = "project.db"


@dataclass(frozen=True)
class Image:
    """One image content that can be used, under all its names.

    Parameters
    ----------
    hash : str
        Content hash, which labels and vectors hang on.
    path : Path
        Absolute path of the first copy.
    name : str
        That path relative to the root, for people.
    paths : tuple of Path
        Absolute paths of all copies, sorted.
    split : str or None
        ``"train"``, ``"validation"``, ``"test"`` or None.
    group : str or None
        Images of one group stay on one side of every split.
    label : str or None
        The class, None when unlabelled.
    kind : str or None
        How the label came about, see `LabelEvent`; None when nothing was said.
    """

    hash: str
    path: Path
    name: str
    paths: tuple[Path, ...]
    split: str | None = None
    group: str | None = None
    label: str | None = None
    kind: str | None = None


@dataclass(frozen=True)
class Unusable:
    """A file that is left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Contradiction:
    """Copies or near copies of one picture whose labels differ.

    Parameters
    ----------
    names : tuple of str
        The files.
    labels : tuple of str
        The classes they are said to have.
    is_exact : bool
        True for copies of one content, False for confirmed near duplicates.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    is_exact: bool


class Project:
    """The images of a folder with their labels, splits and what was found out of them.

    Made by `Project.open`. Images are never written to; everything is kept in
    the project folder, in a database that several processes may use at once.

    Parameters
    ----------
    root : Path
        The image folder.
    folder : Path
        The project folder.
    database : Database

    Examples
    --------
    >>> import tempfile
    >>> temporary = tempfile.TemporaryDirectory()
    >>> images = Path(temporary.name)
    >>> (images / "cat").mkdir()
    >>> _ = (images / "cat" / "1.jpg").write_bytes(b"...")
    >>> with Project.open(images) as project:
    ...     print(project.scan(quiet=True))
    ...     print([(image.name, image.label) for image in project.images()])
    1 new
    [('cat/1.jpg', 'cat')]
    >>> temporary.cleanup()
    """

    def __init__(self, root: Path, folder: Path, database: Database) -> None:
        self.root = root
        self.folder = folder
        self.database = database
        self.labels = LabelLog(database)
        self.classes = ClassLog(database, self.labels)

    @classmethod
    def open(
        cls, root: str | Path, *, project_dir: str | Path | None = None, create: bool = True
    ) -> Project:
        """Open the project of an image folder, or make it.

        Parameters
        ----------
        root : str or Path
            The image folder.
        project_dir : str or Path, optional
            The project folder, by default ``.handful`` in the image folder.
        create : bool, default=True
            Whether to make the project when there is none.

        Raises
        ------
        ProjectError
            If there is no such folder, it cannot be written, the project
            belongs to another image folder, or its database is damaged.
        """
        root = Path(os.path.abspath(root))  # noqa: PTH100 (also takes '..' out)
        _check_root(root)
        folder = root / FOLDER if project_dir is None else Path(os.path.abspath(project_dir))  # noqa: PTH100
        if not create and not (folder / _DATABASE).exists():
            raise ProjectError(
                f"There is no project in '{folder}'. Begin one with: handful fit '{root}'"
            )
        _make_folder(folder)
        project = cls(root, folder, open_database(folder / _DATABASE))
        try:
            project._claim_root()
        except BaseException:
            project.close()
            raise
        return project

    def close(self) -> None:
        """Close the database. What was written is safe without it."""
        self.database.close()

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def scan(self, *, quiet: bool = False) -> ScanReport:
        """Look what is on disk, read what is new, import what its folders newly say.

        Files with the same size and time as before are not read. A label is
        imported only where the folders say something else than at the last
        scan, so nothing that a person corrected or undid comes back.

        Parameters
        ----------
        quiet : bool, default=False
            Show no progress.

        Returns
        -------
        ScanReport
        """
        return scan(self.database, self.root, quiet=quiet)

    def images(self) -> list[Image]:
        """Return the usable images as of the last scan, one a content, sorted by first path."""
        labels, splits = self.labels.current(), current_splits(self.database)
        return [
            self._image(content, paths, labels, splits) for content, paths in self._copies().items()
        ]

    def unusable(self) -> list[Unusable]:
        """Return the files that cannot be read or decoded, with the reason, sorted by name."""
        rows = self.database.rows(
            "SELECT path, coalesce(reason, unusable) AS why FROM files "
            "LEFT JOIN images USING (hash) WHERE why IS NOT NULL ORDER BY path"
        )
        return [Unusable(display(path), reason) for path, reason in rows]

    def mark_unusable(self, reasons: Mapping[str, str | None]) -> None:
        """Note images that cannot be decoded; they are left out until their content changes.

        Parameters
        ----------
        reasons : mapping of str to str or None
            Content hash to reason; None makes an image usable again.
        """
        with self.database.writing() as connection:
            connection.executemany(
                "UPDATE images SET unusable = ? WHERE hash = ?",
                [(reason, content) for content, reason in reasons.items()],
            )

    def retry_unusable(self, may_pass: Callable[[str], bool]) -> None:
        """Take the images back of which the reason of `mark_unusable` may hold no longer."""
        marked = self.database.rows("SELECT hash, unusable FROM images WHERE unusable IS NOT NULL")
        if again := {content: None for content, reason in marked if may_pass(reason)}:
            self.mark_unusable(again)

    def setting(self, key: str, default: Any = None) -> Any:
        """Return a stored value, or the default when there is none."""
        rows = self.database.rows("SELECT value FROM settings WHERE key = ?", key)
        return json.loads(rows[0][0]) if rows else default

    def set_setting(self, key: str, value: Any) -> None:
        """Store a JSON value under a key."""
        with self.database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO settings VALUES (?, ?)", (key, json.dumps(value))
            )

    def add_near_duplicates(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Store confirmed pairs of images (content hashes) that show the same picture."""
        rows = {(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]}
        with self.database.writing() as connection:
            connection.executemany("INSERT OR IGNORE INTO near_duplicates VALUES (?, ?)", rows)

    def near_duplicates(self) -> list[tuple[str, str]]:
        """Return the confirmed pairs (content hashes, a < b) of which both images are here."""
        here = self._copies()
        pairs = self.database.rows("SELECT a, b FROM near_duplicates ORDER BY a, b")
        return [(a, b) for a, b in pairs if a in here and b in here]

    def group_numbers(self, images: list[Image]) -> Int:
        """Return a group number for every image; see `group_by_duplicates`."""
        hashes, groups = [i.hash for i in images], [i.group for i in images]
        return group_by_duplicates(hashes, self.near_duplicates(), groups)

    def contradictions(self) -> list[Contradiction]:
        """Return copies, exact or near, whose labels differ.

        Exact copies count until a person labels the image; near duplicates
        count as long as their labels differ.
        """
        labels, copies = self.labels.current(), self._copies()
        exact = [
            Contradiction(tuple(map(display, copies[content])), label.disputed, is_exact=True)
            for content, label in labels.items()
            if label.disputed and content in copies
        ]
        near = []
        for a, b in self.near_duplicates():
            said = (
                labels[a].label if a in labels else None,
                labels[b].label if b in labels else None,
            )
            if said[0] is not None and said[1] is not None and said[0] != said[1]:
                names = (display(copies[a][0]), display(copies[b][0]))
                near.append(Contradiction(names, (said[0], said[1]), is_exact=False))
        return sorted(exact, key=lambda c: c.names) + near

    def summary(self) -> dict[str, Any]:
        """Return what is here as JSON values, for ``handful status --json``."""
        images, labels = self.images(), self.labels.current()
        here = {image.hash for image in images}
        count = Counter(image.label for image in images if image.label is not None)
        return {
            "root": display(os.fsencode(self.root)),
            "folder": display(os.fsencode(self.folder)),
            "images": len(images),
            "files": sum(len(image.paths) for image in images),
            "labelled": count.total(),
            "unlabelled": len(images) - count.total(),
            "classes": [{"name": name, "n": count[name]} for name in self.classes.names()],
            "kinds": dict(Counter(image.kind for image in images if image.kind)),
            "splits": dict(Counter(image.split for image in images if image.split)),
            "groups": len({image.group for image in images if image.group}),
            "unusable": [asdict(unusable) for unusable in self.unusable()],
            "contradictions": [asdict(contradiction) for contradiction in self.contradictions()],
            "near_duplicates": len(self.near_duplicates()),
            "labels_of_vanished_images": sum(
                label.label is not None for content, label in labels.items() if content not in here
            ),
            "imports": [asdict(s) for s in self.labels.steps() if s.imported and s.counts],
        }

    def _copies(self) -> dict[str, list[bytes]]:
        """Return the paths of every usable content; contents and paths sorted by path."""
        copies: dict[str, list[bytes]] = defaultdict(list)
        for content, path in self.database.rows(
            "SELECT hash, path FROM files JOIN images USING (hash) "
            "WHERE unusable IS NULL ORDER BY path"
        ):
            copies[content].append(path)
        return copies

    def _image(
        self,
        content: str,
        paths: list[bytes],
        labels: Mapping[str, Any],
        splits: Mapping[str, tuple[str | None, str | None]],
    ) -> Image:
        absolute = tuple(self.root / os.fsdecode(path) for path in paths)
        said, (split, group) = labels.get(content), splits.get(content, (None, None))
        label, kind = (said.label, said.kind) if said else (None, None)
        return Image(content, absolute[0], display(paths[0]), absolute, split, group, label, kind)

    def _claim_root(self) -> None:
        """Refuse a project folder that belongs to another image folder."""
        mine = display(os.fsencode(self.root))
        owner = self.setting("root")
        if owner == mine:
            return
        is_apart = self.folder.parent != self.root
        is_taken = owner and Path(owner).is_dir() and not self.root.samefile(owner)
        if is_apart and is_taken:
            raise ProjectError(
                f"The project in '{self.folder}' belongs to the images in '{owner}', "
                f"not to '{self.root}'. Give each image folder a project folder of its own."
            )
        self.set_setting("root", mine)


def _check_root(root: Path) -> None:
    if root.is_dir():
        return
    if root.exists():
        raise ProjectError(f"'{root}' is a file. Give the folder that holds the images.")
    siblings = [p.name for p in root.parent.iterdir()] if root.parent.is_dir() else []
    hint = did_you_mean(root.name, siblings)
    raise ProjectError(f"There is no folder '{root}'{hint}. Give the folder that holds the images.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", "utf-8")
    except OSError as error:
        raise ProjectError(
            f"The project folder '{folder}' cannot be written"
            f"{': ' + error.strerror.lower() if error.strerror else ''}. Keep it elsewhere, "
            f"in a folder of its own, with --project DIR; the images stay where they are."
        ) from error
