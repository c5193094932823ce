"""Labels from and to Label Studio's JSON (https://labelstud.io/guide/export).

A task that handful wrote carries the image's content hash in ``data.handful``,
so it comes back to the right image whatever Label Studio does to the path.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

from handful.core import ProjectError, write_atomically
from handful.project.interchange import ImportReport, Row, import_rows
from handful.project.names import Names
from handful.project.project import Image, Project
from handful.project.tables import read_text

LOCAL_FILES = "/data/local-files/?d="
_UPLOADS = "/data/upload/"


def import_label_studio(
    project: Project, file: Path, *, skip_unknown: bool = False, new_classes: bool = False
) -> ImportReport:
    """Import the choices of a Label Studio export, "JSON" or "JSON-MIN".

    Cancelled annotations are left out. Of several annotations by one person the
    latest holds; where two people disagree, the image has no label until a
    person decides.

    Parameters
    ----------
    project : Project
        Scanned before.
    file : Path
        The exported JSON. Images are found by the hash that handful wrote, else
        by their path, an upload by its own name where only one image has it.
    skip_unknown, new_classes : bool, default=False
        See `import_rows`.

    Raises
    ------
    ProjectError
        With every problem of the file, by task.
    """
    names = Names(project, file.parent)
    rows: list[Row] = []
    for number, task in enumerate(_read_tasks(file), start=1):
        try:
            rows += _rows(number, task, names)
        except (AttributeError, TypeError, ValueError) as error:
            raise ProjectError(
                f"'{file}': task {number} is not as Label Studio writes it. "
                f"Export the project as JSON or JSON-MIN."
            ) from error
    return import_rows(project, file, rows, skip_unknown=skip_unknown, new_classes=new_classes)


def export_label_studio(
    project: Project,
    out: Path,
    *,
    images: Iterable[Image] | None = None,
    predictions: Mapping[str, tuple[str, float]] | None = None,
    address: str = LOCAL_FILES,
    model_version: str = "",
) -> int:
    """Write images as Label Studio tasks, labels as annotations, and return how many.

    Parameters
    ----------
    project : Project
    out : Path
        Replaced whole, or not at all.
    images : iterable of Image, optional
        By default all of the project.
    predictions : mapping of str to (str, float), optional
        Content hash to a suggested class and its probability in ``[0, 1]``.
    address : str, default="/data/local-files/?d="
        What comes before the path of an image; the default needs Label Studio's
        local storage with the image folder as its document root.
    model_version : str, default=""
        Of the predictions.
    """
    chosen = project.images() if images is None else images
    tasks = label_studio_tasks(chosen, predictions, address=address, model_version=model_version)
    text = json.dumps(tasks, indent=1, ensure_ascii=False)
    write_atomically(out, text.encode("utf-8", "backslashreplace"))
    return len(tasks)


def label_studio_tasks(
    images: Iterable[Image],
    predictions: Mapping[str, tuple[str, float]] | None = None,
    *,
    address: str = LOCAL_FILES,
    model_version: str = "",
) -> list[dict[str, Any]]:
    """Return images as Label Studio tasks; parameters as for `export_label_studio`."""
    tasks = []
    for image in images:
        data = {"image": address + quote(image.name), "name": image.name, "handful": image.hash}
        task: dict[str, Any] = {"data": data}
        if image.label is not None:
            task["annotations"] = [{"result": [_choice(image.label)]}]
        if predictions and image.hash in predictions:
            label, score = predictions[image.hash]
            suggestion = {"result": [_choice(label)], "score": score}
            task["predictions"] = [suggestion | {"model_version": model_version}]
        tasks.append(task)
    return tasks


def label_studio_config(classes: Iterable[str]) -> str:
    """Return the labelling interface that the exported tasks need.

    Examples
    --------
    >>> print(label_studio_config(["cat", "R&D"]))
    <View>
      <Image name="image" value="$image"/>
      <Choices name="label" toName="image" choice="single">
        <Choice value="cat"/>
        <Choice value="R&amp;D"/>
      </Choices>
    </View>
    """
    choices = "".join(f"    <Choice value={quoteattr(name)}/>\n" for name in classes)
    return (
        '<View>\n  <Image name="image" value="$image"/>\n'
        f'  <Choices name="label" toName="image" choice="single">\n{choices}  </Choices>\n</View>'
    )


def _choice(label: str) -> dict[str, Any]:
    value = {"choices": [label]}
    return {"from_name": "label", "to_name": "image", "type": "choices", "value": value}


def _read_tasks(file: Path) -> list[dict[str, Any]]:
    try:
        tasks = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise ProjectError(f"'{file}' is not JSON: {error}. Export it anew as JSON.") from error
    if isinstance(tasks, list) and all(isinstance(task, dict) for task in tasks):
        return tasks
    raise ProjectError(
        f"'{file}' is not an export of Label Studio: a list of tasks was expected. "
        f"Export the project as JSON or JSON-MIN."
    )


def _rows(number: int, task: dict[str, Any], names: Names) -> Iterator[Row]:
    """Yield one row an annotator, or one without a label."""
    is_full = "data" in task
    data = task["data"] if is_full else task
    address, content = str(data.get("image") or ""), data.get("handful")
    content = content if isinstance(content, str) else None
    path = _path(address)
    if address.startswith(_UPLOADS) and not content:
        content = names.find_upload(path)
    said = dict(_annotations(task) if is_full else _min_annotation(task))
    for annotator, labels in said.items() or [("", ())]:
        yield Row(f"task {task.get('id', number)}", path, labels, annotator=annotator, hash=content)


def _annotations(task: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (annotator, labels) from the oldest to the newest annotation."""
    annotations = [a for a in task.get("annotations") or () if not a.get("was_cancelled")]
    for annotation in sorted(annotations, key=lambda a: str(a.get("updated_at") or "")):
        results = [r for r in annotation.get("result") or () if r.get("type") == "choices"]
        labels = [label for r in results for label in _texts(r.get("value"))]
        yield _person(annotation.get("completed_by")), tuple(labels)


def _min_annotation(task: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield _person(task.get("annotator")), _texts(task.get("choice", task.get("label")))


def _texts(choice: Any) -> tuple[str, ...]:
    choice = choice.get("choices") if isinstance(choice, dict) else choice
    texts = choice if isinstance(choice, list) else [choice]
    return tuple(str(text) for text in texts if text is not None and text != "")


def _person(who: Any) -> str:
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return "" if who is None else str(who).encode("utf-8", "backslashreplace").decode()


def _path(address: str) -> str:
    """Return the path in the address of local storage, an upload or a cloud; others as they are."""
    parts = urlsplit(address)
    if local := parse_qs(parts.query).get("d"):
        return local[0]
    is_address = bool(parts.scheme) or address.startswith(_UPLOADS)
    return unquote(parts.path).lstrip("/") if is_address else address
