"""Labels as CSV: ``path,label[,split,group]``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from handful.core import ProjectError, did_you_mean, listed, write_atomically
from handful.project.interchange import ImportReport, Row, import_rows
from handful.project.project import Image, Project

COLUMNS = ("path", "label", "split", "group")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def import_csv(
    project: Project, file: Path, *, skip_unknown: bool = False, new_classes: bool = False
) -> ImportReport:
    r"""Import labels, splits and groups from a CSV file with the columns ``path`` and ``label``.

    ``split`` (train, validation, test) and ``group`` are optional; an empty cell
    says nothing. Commas, semicolons and tabs may divide the columns.

    Parameters
    ----------
    project : Project
        Scanned before.
    file : Path
        UTF-8. Paths count from the image folder or from the file's own.
    skip_unknown, new_classes : bool, default=False
        See `import_rows`.

    Raises
    ------
    ProjectError
        With every problem of the file, by row.

    Examples
    --------
    >>> import tempfile
    >>> temporary = tempfile.TemporaryDirectory()
    >>> images = Path(temporary.name)
    >>> _ = (images / "1.jpg").write_bytes(b"...")
    >>> _ = (images / "l.csv").write_text("path,label\n1.jpg,cat")
    >>> with Project.open(images) as project:
    ...     _ = project.scan(quiet=True)
    ...     _ = import_csv(project, images / "l.csv")
    ...     print(project.images()[0].label)
    cat
    >>> temporary.cleanup()
    """
    header, records = read_table(file)
    for needed in COLUMNS[:2]:
        if needed not in header:
            raise ProjectError(
                f"'{file}' has no column {needed!r}{did_you_mean(needed, header)}. Its columns are: "
                f"{listed(map(repr, header)) or 'none'}. The first line must name the columns "
                f"path,label and may name split,group."
            )
    rows = [_row(where, record) for where, record in records]
    report = import_rows(project, file, rows, skip_unknown=skip_unknown, new_classes=new_classes)
    if ignored := [name for name in header if name not in COLUMNS]:
        report.warnings.append(f"These columns were not read: {listed(map(repr, ignored))}.")
    return report


def export_csv(project: Project, out: Path, *, images: Iterable[Image] | None = None) -> int:
    """Write ``path,label,split,group`` of images and return how many.

    A cell that a spreadsheet would run as a formula (one that begins with
    ``=``, ``+``, ``-`` or ``@``) gets a leading apostrophe, which `import_csv`
    takes off again.

    Parameters
    ----------
    project : Project
    out : Path
        Replaced whole, or not at all.
    images : iterable of Image, optional
        By default all of the project.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    chosen = list(project.images() if images is None else images)
    for image in chosen:
        cells = (image.name, image.label or "", image.split or "", image.group or "")
        table.writerow([escape_cell(cell) for cell in cells])
    write_atomically(out, text.getvalue().encode("utf-8", "backslashreplace"))
    return len(chosen)


def escape_cell(cell: str) -> str:
    """Return the cell so that no spreadsheet runs it as a formula.

    Examples
    --------
    >>> escape_cell("=1+1"), escape_cell("cat")
    ("'=1+1", 'cat')
    """
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def unescape_cell(cell: str) -> str:
    """Return the cell as it was before `escape_cell`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def read_text(file: Path) -> str:
    """Return the text of a UTF-8 file, or raise ProjectError with the way out."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = (error.strerror or "an error").lower()
        raise ProjectError(f"'{file}' cannot be read: {reason}. Check the path.") from error
    except UnicodeDecodeError as error:
        raise ProjectError(
            f"'{file}' is not UTF-8 text (byte {error.start}). Save it as UTF-8, "
            f"in a spreadsheet as 'CSV UTF-8'."
        ) from error


def read_table(file: Path) -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """Return the column names, in lower case, and the (place, record) pairs of a CSV file.

    Cells are unescaped; empty lines are left out.
    """
    text = read_text(file)
    first = text.partition("\n")[0]
    divider = max(",;\t", key=first.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=divider, strict=True))
    except csv.Error as error:
        raise ProjectError(f"'{file}' is not a CSV file: {error}. Export it anew.") from error
    if not lines:
        raise ProjectError(f"'{file}' is empty. The first line must be: path,label")
    header = [name.strip().lower() for name in lines[0]]
    records = [
        (f"row {number}", dict(zip(header, map(unescape_cell, cells), strict=False)))
        for number, cells in enumerate(lines[1:], start=2)
        if any(cells)
    ]
    return header, records


def _row(where: str, record: Mapping[str, str]) -> Row:
    label, split, group = (record.get(name, "").strip() for name in COLUMNS[1:])
    return Row(where, record.get("path", ""), (label,) if label else (), split, group)
