"""The scan: what is on disk is noted, and what the folders newly say is imported.

For every image the project remembers what its folders last said (its claim). A
scan writes label events only where the claim changed: a label that a person
corrected stays corrected, an import that was undone stays undone, and a scan
that was killed half-way is completed by the next.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from handful.core import Progress, ProjectError
from handful.project.database import Database
from handful.project.folders import Claim, claim_of, display
from handful.project.labels import LabelEvent, append_label_events
from handful.project.remarks import (
    claim_warnings,
    folder_warnings,
    nothing_found,
    vanished_classes,
)
from handful.project.splits import append_splits
from handful.project.steps import add_step
from handful.project.walk import Seen, Walk, hash_files, walk

_JUST_NOW = 2_000_000_000  # ns; a file this young may change again without a new time (FAT)


@dataclass
class ScanReport:
    """What a scan found, in numbers of files.

    Parameters
    ----------
    new, changed, moved, vanished, unchanged : int
        Against the scan before; a renamed file counts as moved only.
    imported : int
        Images that got a label, another label or no label from their folder.
    skipped : list of (str, str)
        Names that cannot be read, with the reason.
    warnings : list of str
        What a person should know, with what to do.
    label_files : list of str
        Hugging Face metadata files seen, which `import_huggingface` reads.
    step : int or None
        The step of the import, for `LabelLog.undo`.
    seconds : float
    nothing : str or None
        Why there is no readable file at all, and what to do.
    """

    new: int = 0
    changed: int = 0
    moved: int = 0
    vanished: int = 0
    unchanged: int = 0
    imported: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    label_files: list[str] = field(default_factory=list)
    step: int | None = None
    seconds: float = 0.0
    nothing: str | None = None

    @property
    def images(self) -> int:
        """Readable files."""
        return self.new + self.changed + self.moved + self.unchanged

    def raise_if_empty(self) -> None:
        """Raise ProjectError, with what was found instead, when no file can be read."""
        if self.nothing:
            raise ProjectError(self.nothing)

    def __str__(self) -> str:
        counts = [
            f"{getattr(self, name)} {name}"
            for name in ("new", "changed", "moved", "vanished", "unchanged")
            if getattr(self, name)
        ]
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"{', '.join(counts) or 'no images'}{skipped}"


@dataclass
class _Row:
    size: int
    mtime_ns: int
    hash: str | None
    reason: str | None


def scan(database: Database, root: Path, *, quiet: bool = False) -> ScanReport:
    """Bring the database up to what is on disk; see `Project.scan`."""
    start = time.perf_counter()
    found = walk(root, without=database.path.parent)
    before = _read_files(database)
    after = {path: row.hash for path, row in before.items() if path in found.files and row.hash}
    after |= _read_changed(database, root, found, before, quiet=quiet)
    after = {path: content for path, content in after.items() if path not in found.problems}
    report = _compare(before, after)
    with database.writing() as connection:
        _forget(connection, before, after, found)
        _import_claims(connection, after, report)
    report.skipped = sorted((display(path), reason) for path, reason in found.problems.items())
    report.label_files = sorted(display(path) for path in found.label_files)
    report.warnings += folder_warnings(found, after)
    if report.vanished or report.changed:
        gone = {row.hash for row in before.values() if row.hash} - set(after.values())
        report.warnings += vanished_classes(database, gone, set(after.values()))
    report.nothing = None if after else nothing_found(root, found)
    report.seconds = time.perf_counter() - start
    return report


def _read_files(database: Database) -> dict[bytes, _Row]:
    rows = database.rows("SELECT path, size, mtime_ns, hash, reason FROM files")
    return {path: _Row(*row) for path, *row in rows}


def _read_changed(
    database: Database, root: Path, found: Walk, before: dict[bytes, _Row], *, quiet: bool
) -> dict[bytes, str]:
    """Hash the files that are new or changed, note them, and return their hashes."""
    now = time.time_ns()
    todo = sorted(path for path, seen in found.files.items() if not _is_known(before, path, seen))
    hashes: dict[bytes, str] = {}
    with Progress("scan", len(todo), unit="files", quiet=quiet) as progress:
        for batch in hash_files(root, todo):
            read = {path: content for path, content, _ in batch if content is not None}
            found.problems |= {path: reason for path, _, reason in batch if reason is not None}
            _note(database, read, found, now)
            hashes |= read
            progress.advance(len(batch))
    return hashes


def _is_known(before: dict[bytes, _Row], path: bytes, seen: Seen) -> bool:
    row = before.get(path)
    return row is not None and row.hash is not None and (row.size, row.mtime_ns) == seen


def _note(database: Database, read: dict[bytes, str], found: Walk, now: int) -> None:
    """Store what was read, so that the scan after a killed one need not read it again."""
    rows = []
    for path, content in read.items():
        size, mtime_ns = found.files[path]
        is_young = abs(now - mtime_ns) < _JUST_NOW
        rows.append((path, size, -1 if is_young else mtime_ns, content))
    with database.writing() as connection:
        connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, NULL)", rows)
        connection.executemany(
            "INSERT OR IGNORE INTO images (hash) VALUES (?)", [(row[3],) for row in rows]
        )


def _compare(before: dict[bytes, _Row], after: dict[bytes, str]) -> ScanReport:
    report = ScanReport()
    gone = Counter(row.hash for path, row in before.items() if path not in after and row.hash)
    for path, content in after.items():
        old = before.get(path)
        if old is not None and old.hash is not None:
            report.unchanged += old.hash == content
            report.changed += old.hash != content
        elif gone[content]:
            gone[content] -= 1
            report.moved += 1
        else:
            report.new += 1
    report.vanished = gone.total()
    return report


def _forget(
    connection: sqlite3.Connection, before: dict[bytes, _Row], after: dict[bytes, str], found: Walk
) -> None:
    """Drop the rows of files that are gone and note what cannot be read."""
    gone = [(path,) for path in before if path not in after and path not in found.problems]
    connection.executemany("DELETE FROM files WHERE path = ?", gone)
    problems = [
        (path, reason)
        for path, reason in found.problems.items()
        if path not in before or before[path].reason != reason
    ]
    connection.executemany("INSERT OR REPLACE INTO files VALUES (?, 0, 0, NULL, ?)", problems)


def _import_claims(
    connection: sqlite3.Connection, after: dict[bytes, str], report: ScanReport
) -> None:
    """Write events for the images of which the folders say something else than before."""
    stored = dict(connection.execute("SELECT hash, claim FROM images").fetchall())
    copies: dict[str, list[bytes]] = defaultdict(list)
    for path, content in after.items():
        copies[content].append(path.rpartition(b"/")[0])
    claims = {content: claim_of(tuple(folders)) for content, folders in copies.items()}
    changes = [
        _Change(content, Claim.from_json(stored[content]), claim)
        for content, claim in claims.items()
        if claim.to_json() != stored[content]
    ]
    connection.executemany(
        "UPDATE images SET claim = ? WHERE hash = ?",
        [(change.new.to_json(), change.image) for change in changes],
    )
    labels = [event for change in changes for event in change.label_events()]
    splits = [(c.image, c.new.split) for c in changes if c.new.split != c.old.split]
    report.imported = len({event.image for event in labels})
    report.warnings += claim_warnings(change.new for change in changes)
    if labels or splits:
        report.step = add_step(connection, "scan", imported=True)
        append_label_events(connection, report.step, labels)
        append_splits(connection, report.step, [(image, split, None) for image, split in splits])


class _Change(NamedTuple):
    image: str
    old: Claim
    new: Claim

    def label_events(self) -> list[LabelEvent]:
        if self.old.labels == self.new.labels:
            return []
        return [LabelEvent(self.image, label, "imported") for label in self.new.labels or (None,)]
