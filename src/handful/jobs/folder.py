"""What a person asks of a folder without fitting: status, labels in and out, the last report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from handful.core import ProjectError, write_atomically
from handful.jobs.reporting import image_opener, latest_report
from handful.project import ImportReport, Project, export_csv, export_label_studio, import_file
from handful.report import render


def status(images: Path, *, project_dir: Path | None = None, quiet: bool = False) -> dict[str, Any]:
    """Scan a folder and return what is in it, as JSON values."""
    with Project.open(images, project_dir=project_dir) as project:
        scanned = project.scan(quiet=quiet)
        return {"scan": scanned.as_dict(), **project.summary()}


def import_labels(images: Path, labels: Path, *, project_dir: Path | None = None) -> ImportReport:
    """Read a CSV, Hugging Face metadata or Label Studio file into a folder's project.

    Raises
    ------
    ProjectError
        If the file cannot be read; all its problems are in the message.
    """
    with Project.open(images, project_dir=project_dir) as project:
        project.scan(quiet=True)
        return import_file(project, labels)


def undo_import(images: Path, *, project_dir: Path | None = None) -> ImportReport:
    """Take the last import of a folder's project back."""
    with Project.open(images, project_dir=project_dir) as project:
        return project.undo_import()


def export_labels(images: Path, output: Path, *, project_dir: Path | None = None) -> int:
    """Write the labels of a folder as CSV or Label Studio tasks; return the number of images.

    Raises
    ------
    ProjectError
        If the ending is neither ``.csv`` nor ``.json``.
    """
    writers = {".csv": export_csv, ".json": export_label_studio}
    if output.suffix not in writers:
        raise ProjectError(
            f"Labels are written as .csv or .json (Label Studio). Got {output.name!r}."
        )
    with Project.open(images, project_dir=project_dir) as project:
        project.scan(quiet=True)
        return writers[output.suffix](project, output)


def read_report(images: Path, *, project_dir: Path | None = None) -> dict[str, Any]:
    """Return the report of the last fit of a folder."""
    with Project.open(images, project_dir=project_dir, create=False) as project:
        return latest_report(project)


def write_report(images: Path, output: Path, *, project_dir: Path | None = None) -> Path:
    """Write the report of the last fit of a folder as one HTML page; return its path."""
    with Project.open(images, project_dir=project_dir, create=False) as project:
        write_atomically(output, render(latest_report(project), image_opener(project)).encode())
    return output
