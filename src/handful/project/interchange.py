"""Labels from files: what every format shares.

A format turns its file into `Row` values; `import_rows` finds the images,
checks everything before anything is written, and writes one step, which
`undo_import` takes back. Nothing is imported from a file with a problem.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from handful.core import ProjectError, did_you_mean, listed
from handful.project.classes import clean_class_name, name_now, read_class_events
from handful.project.folders import SPLITS, strongest_split
from handful.project.labels import LabelEvent, append_label_events
from handful.project.names import Names
from handful.project.project import Project
from handful.project.splits import append_splits
from handful.project.steps import Step, add_step

_HINTS = 5  # looking for near names is slow, and a message lists no more
_OTHER_SPLITS = {"val": "validation", "valid": "validation", "training": "train"}
_SKIP_UNKNOWN = "To leave out rows without an image, pass --skip-unknown."
_NEW_CLASSES = "To add classes that the project does not have, pass --new-classes."
_ONE_LABEL = "An image has one class in handful: keep one label each, or make a class of the pair."


@dataclass(frozen=True)
class Row:
    """What a file says of one image.

    Parameters
    ----------
    where : str
        Place in the file, such as ``"row 4"``.
    path : str
        As written in the file.
    labels : tuple of str, default=()
        The class; empty when unlabelled. Two or more are refused.
    split, group : str, default=""
        Empty when the file says nothing.
    annotator : str, default=""
    hash : str, optional
        The content hash, where the file holds it; it goes before the path.
    """

    where: str
    path: str
    labels: tuple[str, ...] = ()
    split: str = ""
    group: str = ""
    annotator: str = ""
    hash: str | None = None


@dataclass
class ImportReport:
    """What an import did.

    Parameters
    ----------
    what : str
        The file's name.
    step : int or None
        The step, for `undo_import`; None when there was nothing to write.
    images, labelled : int
        Images that the file names, and that it labels.
    new_classes : list of str
        Classes that the project did not have.
    outranked : int
        Labels that do not hold, since a person labelled the image here before.
    skipped : list of (str, str)
        Names that were left out, with the reason.
    warnings : list of str
    """

    what: str
    step: int | None = None
    images: int = 0
    labelled: int = 0
    new_classes: list[str] = field(default_factory=list)
    outranked: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def import_rows(
    project: Project,
    file: Path,
    rows: Sequence[Row],
    *,
    skip_unknown: bool = False,
    new_classes: bool = False,
) -> ImportReport:
    """Import rows as one step, or nothing of them.

    Parameters
    ----------
    project : Project
        Scanned before.
    file : Path
        Where the rows come from; paths may be relative to its folder.
    rows : sequence of Row
    skip_unknown : bool, default=False
        Leave out rows whose image is not there, instead of refusing the file.
    new_classes : bool, default=False
        Accept classes that the project does not have. Where the file labels all
        that has a label, only a name that is nearly one of a class is refused.

    Raises
    ------
    ProjectError
        With all problems found, and the way out of them.
    """
    report, problems = ImportReport(file.name), _Problems(file)
    found = _find(Names(project, file.parent), rows, report, problems, skip_unknown=skip_unknown)
    _check_classes(project, found, report, problems, new_classes=new_classes)
    _check_splits([row for _, row in found], problems)
    _check_repeated(found, problems)
    problems.raise_if_any()
    _write(project, found, report)
    return report


def undo_import(project: Project, step: int | None = None) -> Step:
    """Take a whole import back: its labels, splits and groups.

    Parameters
    ----------
    project : Project
    step : int, optional
        The import, by default the latest from a file that still counts.

    Returns
    -------
    Step
        The import that no longer counts.

    Raises
    ------
    ProjectError
        If there is no such import.
    """
    imports = {s.number: s for s in project.labels.steps() if s.imported and s.counts}
    files = [number for number, s in imports.items() if s.what != "scan"]
    target = max(files, default=0) if step is None else step
    if target not in imports:
        known = listed(f"{s.number} ({s.what})" for s in imports.values()) or "none"
        asked = f"with the number {step}" if step is not None else "of a file"
        raise ProjectError(
            f"There is no import {asked} to undo. These imports count: {known}. "
            f"Name one by its number."
        )
    project.labels.undo(target)
    return imports[target]


class _Problems:
    """Collects what is wrong in a file and what can be done about it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._texts: list[str] = []
        self._ways_out: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, row: Row, text: str, way_out: str = "") -> None:
        self._texts.append(f"{row.where}: {text}")
        if way_out:
            self._ways_out[way_out] = None

    def raise_if_any(self) -> None:
        if not self._texts:
            return
        shown = "; ".join(self._texts[:_HINTS])
        more = f"; … {len(self) - _HINTS} more" if len(self) > _HINTS else ""
        ways_out = " ".join(self._ways_out) or "Correct these rows."
        raise ProjectError(
            f"{len(self)} problem{'s' * (len(self) > 1)} in '{self._file}', nothing was imported: "
            f"{shown}{more}. {ways_out}"
        )


def _find(
    names: Names,
    rows: Iterable[Row],
    report: ImportReport,
    problems: _Problems,
    *,
    skip_unknown: bool,
) -> list[tuple[str, Row]]:
    """Return the rows of which the image is known, with its content hash."""
    found = []
    for row in rows:
        if image := names.find(row.path, row.hash):
            found.append((image, row))
        elif not row.path:
            problems.add(row, "empty path")
        elif reason := names.reason(row.path):
            report.skipped.append((row.path, reason))
        elif skip_unknown:
            report.skipped.append((row.path, "no such image in the project"))
        else:
            hint = names.hint(row.path) if len(problems) < _HINTS else ""
            problems.add(row, f"no image {row.path!r}{hint}", _SKIP_UNKNOWN)
    return found


def _check_classes(
    project: Project,
    found: Sequence[tuple[str, Row]],
    report: ImportReport,
    problems: _Problems,
    *,
    new_classes: bool,
) -> None:
    known = project.classes.names()
    names, wrong = _class_names(project, {label for _, row in found for label in row.labels})
    new = set(names.values()) - set(known)
    is_closed = bool(_classes_elsewhere(project, {image for image, _ in found}))
    hints = {} if new_classes else {name: did_you_mean(name, known) for name in new}
    unknown = {name: hint for name, hint in hints.items() if hint or is_closed}
    for _, row in found:
        if many := _many_labels(row, {*names, *known}):
            problems.add(row, f"several labels on one image, {listed(many)}", _ONE_LABEL)
        elif row.labels and row.labels[0] in wrong:
            problems.add(row, wrong[row.labels[0]])
        elif row.labels and (name := names[row.labels[0]]) in unknown:
            problems.add(row, f"unknown class {name!r}{unknown[name]}", _NEW_CLASSES)
    report.new_classes = sorted(new)
    report.warnings += _lookalikes(new | set(known))


def _class_names(project: Project, labels: set[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the present class of every label of a file, and what is wrong with the others."""
    events = read_class_events(project.database)
    names, wrong = {}, {}
    for label in labels:
        try:
            names[label] = name_now(events, clean_class_name(label), sys.maxsize, imported=True)
        except ProjectError as error:
            wrong[label] = str(error).rstrip(".")
    return names, wrong


def _classes_elsewhere(project: Project, images: set[str]) -> set[str]:
    """Return the classes that stay when all imported labels of these images go."""
    added = {event.name for event in project.classes.events() if event.kind == "added"}
    return added | {
        label.label
        for image, label in project.labels.current().items()
        if label.label is not None and (image not in images or label.kind != "imported")
    }


def _many_labels(row: Row, said: set[str]) -> list[str]:
    """Return the classes of a row when there are several, also when written as one text."""
    if len(row.labels) != 1:
        return [repr(label) for label in row.labels]
    parts = [part.strip() for part in re.split(r"[;|,]", row.labels[0])]
    are_classes = len(parts) > 1 and all(part in said for part in parts)
    return [repr(part) for part in parts] if are_classes else []


def _lookalikes(names: Iterable[str]) -> list[str]:
    folded = Counter(name.casefold() for name in names)
    alike = sorted(name for name in set(names) if folded[name.casefold()] > 1)
    if not alike:
        return []
    return [f"Classes differ only in capitals: {listed(alike)}. Merge them if they are the same."]


def _check_splits(rows: Iterable[Row], problems: _Problems) -> None:
    for row in rows:
        if row.split and _split(row.split) not in SPLITS:
            hint = did_you_mean(row.split, SPLITS)
            problems.add(row, f"unknown split {row.split!r}{hint}", f"Splits are {listed(SPLITS)}.")


def _split(text: str) -> str:
    return _OTHER_SPLITS.get(text.lower(), text.lower())


def _check_repeated(found: Iterable[tuple[str, Row]], problems: _Problems) -> None:
    """Refuse one path with two labels by one annotator: that is multi-label."""
    first: dict[tuple[str, str, str], Row] = {}
    for image, row in found:
        if not row.labels:
            continue
        earlier = first.setdefault((image, row.path, row.annotator), row)
        if earlier.labels != row.labels:
            text = f"{row.path!r} has the labels {earlier.labels[0]!r} ({earlier.where}) and "
            problems.add(row, f"{text}{row.labels[0]!r}", _ONE_LABEL)


def _write(project: Project, found: list[tuple[str, Row]], report: ImportReport) -> None:
    events = dict.fromkeys(
        LabelEvent(image, row.labels[0], "imported", annotator=row.annotator)
        for image, row in found
        if row.labels
    )
    splits = _splits(found)
    report.images = len({image for image, _ in found})
    report.labelled = len({event.image for event in events})
    if not events:
        report.warnings.append("The file gives no image a label.")
    if not events and not splits:
        return
    with project.database.writing() as connection:
        report.step = add_step(connection, report.what, imported=True)
        append_label_events(connection, report.step, events)
        append_splits(connection, report.step, splits)
    labels = project.labels.current()
    report.outranked = sum(labels[image].kind != "imported" for image in {e.image for e in events})
    disputed = [image for image in {event.image for event in events} if labels[image].disputed]
    if disputed:
        report.warnings.append(
            f"{len(disputed)} images got different labels, under two names or by two annotators. "
            f"They have no label until a person labels them here."
        )


def _splits(found: Iterable[tuple[str, Row]]) -> list[tuple[str, str | None, str | None]]:
    """Return one (image, split, group) for every image of which a row says one of them."""
    said: dict[str, tuple[str, str]] = {}
    for image, row in found:
        if row.split or row.group:
            split, group = said.get(image, ("", ""))
            said[image] = (strongest_split((split, _split(row.split))), row.group or group)
    return [(image, split or None, group or None) for image, (split, group) in said.items()]
