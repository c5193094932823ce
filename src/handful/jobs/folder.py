"""What a person asks of a folder without fitting: status, labels in and out, the last report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from handful.core import ProjectError, listed, write_atomically
from handful.jobs.reporting import image_opener, latest_report
from handful.project import (
    ImportReport,
    Project,
    Step,
    export_csv,
    export_label_studio,
    import_csv,
    import_huggingface,
    import_label_studio,
    is_huggingface,
)
from handful.project import undo_import as undo_step
from handful.report import render


def status(images: Path, *, project_dir: Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Scan a folder and return what is in it, as JSON values."""
    with Project.open(images, project_dir=project_dir) as project:
        scanned = project.scan(quiet=quiet)
        return {**project.summary(), "scan": asdict(scanned)}


def import_labels(
    images: Path,
    labels: Path,
    *,
    column: str = "label",
    skip_unknown: bool = False,
    new_classes: bool = False,
    project_dir: Path | None = None,
) -> ImportReport:
    """Read a CSV, Hugging Face metadata or Label Studio file into a folder's project.

    Parameters
    ----------
    images : Path
        The folder.
    labels : Path
        ``.csv`` with ``path,label[,split,group]`` or with ``file_name``,
        ``.jsonl`` with ``file_name``, or ``.json`` from Label Studio.
    column : str, default="label"
        The class's column in a metadata file.
    skip_unknown : bool, default=False
        Leave out rows whose image is not there, instead of refusing the file.
    new_classes : bool, default=False
        Accept classes that the project does not have.
    project_dir : Path, optional
        Where the state is kept.

    Raises
    ------
    ProjectError
        If the file cannot be read; all its problems are in the message, and
        nothing of it was imported.
    """
    if not labels.is_file():
        raise ProjectError(f"No such file: {str(labels)!r}.")
    with Project.open(images, project_dir=project_dir) as project:
        project.scan(quiet=True)
        before = {image.name: image.label for image in project.images()}
        report = _read(
            project, labels, column=column, skip_unknown=skip_unknown, new_classes=new_classes
        )
        after = {image.name: image.label for image in project.images()}
    changed = [
        f"{name} ({label} → {after[name] or 'no label'})"
        for name, label in before.items()
        if label is not None and after.get(name) != label
    ]
    if changed:
        report.warnings.append(
            f"{len(changed)} images had another label before: {listed(changed)}."
        )
    return report


def _read(
    project: Project, labels: Path, *, column: str, skip_unknown: bool, new_classes: bool
) -> ImportReport:
    """Import by the kind of the file."""
    kind = labels.suffix.lower()
    if kind == ".json":
        return import_label_studio(
            project, labels, skip_unknown=skip_unknown, new_classes=new_classes
        )
    if kind == ".jsonl" or (kind == ".csv" and is_huggingface(labels)):
        return import_huggingface(
            project, labels, column=column, skip_unknown=skip_unknown, new_classes=new_classes
        )
    if kind == ".csv":
        return import_csv(project, labels, skip_unknown=skip_unknown, new_classes=new_classes)
    raise ProjectError(f"Labels are read from .csv, .jsonl or .json files. Got {labels.name!r}.")


def undo_import(images: Path, *, project_dir: Path | None = None) -> Step:
    """Take the last import of a folder's project back and return it."""
    with Project.open(images, project_dir=project_dir) as project:
        return undo_step(project)


def export_labels(images: Path, output: Path, *, project_dir: Path | None = None) -> int:
    """Write the labels of a folder as CSV or Label Studio tasks; return the number of images.

    Raises
    ------
    ProjectError
        If the ending is neither ``.csv`` nor ``.json``.
    """
    if output.suffix not in (".csv", ".json"):
        raise ProjectError(
            f"Labels are written as .csv or .json (Label Studio). Got {output.name!r}."
        )
    with Project.open(images, project_dir=project_dir) as project:
        project.scan(quiet=True).raise_if_empty()
        return (export_csv if output.suffix == ".csv" else export_label_studio)(project, output)


def read_report(images: Path, *, project_dir: Path | None = None) -> dict[str, Any]:
    """Return the report of the last fit of a folder."""
    with Project.open(images, project_dir=project_dir, create=False) as project:
        return latest_report(project)


def write_report(images: Path, output: Path, *, project_dir: Path | None = None) -> Path:
    """Write the report of the last fit of a folder as one HTML page; return its path."""
    with Project.open(images, project_dir=project_dir, create=False) as project:
        write_atomically(output, render(latest_report(project), image_opener(project)).encode())
    return output
