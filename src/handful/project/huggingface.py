"""Labels from a Hugging Face image folder: ``metadata.csv`` or ``metadata.jsonl``.

The format: https://huggingface.co/docs/datasets/image_dataset#imagefolder
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from handful.core import ProjectError, did_you_mean, listed
from handful.project.interchange import ImportReport, Row, import_rows
from handful.project.project import Project
from handful.project.tables import read_table, read_text


def import_huggingface(
    project: Project,
    file: Path,
    *,
    column: str = "label",
    skip_unknown: bool = False,
    new_classes: bool = False,
) -> ImportReport:
    """Import labels from a metadata file, whose ``file_name`` counts from its own folder.

    Parameters
    ----------
    project : Project
        Scanned before.
    file : Path
        ``metadata.csv`` or ``metadata.jsonl``, UTF-8.
    column : str, default="label"
        The column of the class; a number is taken as the name of a class.
    skip_unknown, new_classes : bool, default=False
        See `import_rows`.

    Raises
    ------
    ProjectError
        With every problem of the file, by row.
    """
    if file.suffix.lower() == ".jsonl":
        records = _read_lines(file)
    else:
        records, column = _read_csv(file), column.strip().lower()
    columns = {name for _, record in records for name in record}
    for needed in ("file_name", column):
        if records and needed not in columns:
            raise ProjectError(
                f"'{file}' has no column {needed!r}{did_you_mean(needed, columns)}. Its columns "
                f"are: {listed(sorted(map(repr, columns)))}. A metadata file needs file_name; "
                f"the column of the class is named with --column NAME."
            )
    rows = [
        Row(where, str(record.get("file_name") or ""), _labels(record.get(column)))
        for where, record in records
    ]
    return import_rows(project, file, rows, skip_unknown=skip_unknown, new_classes=new_classes)


def is_huggingface(file: Path) -> bool:
    """Return whether a CSV file is a metadata file: it has the column ``file_name`` and no ``path``.

    Raises
    ------
    ProjectError
        If it is no CSV file.
    """
    header, _ = read_table(file)
    return "file_name" in header and "path" not in header


def _read_csv(file: Path) -> Sequence[tuple[str, Mapping[str, Any]]]:
    return read_table(file)[1]


def _read_lines(file: Path) -> Sequence[tuple[str, Mapping[str, Any]]]:
    records = []
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ProjectError(
                f"'{file}', line {number} is not JSON: {error}. Each line must be one object."
            ) from error
        if not isinstance(record, dict):
            raise ProjectError(
                f"'{file}', line {number} is not a JSON object. Each line must be one, "
                f'such as {{"file_name": "1.jpg", "label": "cat"}}.'
            )
        records.append((f"line {number}", record))
    return records


def _labels(value: Any) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else [value]
    return tuple(str(text).strip() for text in texts if text is not None and text != "")
