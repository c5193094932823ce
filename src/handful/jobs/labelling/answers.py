"""What a page sends: answers and undos, checked before anything is written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handful.project import LabelEvent

_MOST = 500  # answers of one page
_LONGEST_ID = 64
_TYPES: dict[str, tuple[type, ...]] = {
    "image": (str,),
    "kind": (str,),
    "label": (str, type(None)),
    "blind": (bool,),
    "flagged": (bool,),
    "suggestion": (str, type(None)),
    "probability": (int, float, type(None)),
    "model": (str, type(None)),
    "q": (int, float, type(None)),
    "milliseconds": (int, type(None)),
}


@dataclass(frozen=True)
class Answers:
    """One key of a person: one answer, or a whole page of them.

    Parameters
    ----------
    id : str
        Made by the page; what is sent twice is written once.
    events : tuple of LabelEvent
    """

    id: str
    events: tuple[LabelEvent, ...]


@dataclass(frozen=True)
class Undo:
    """A step to take back: its number, or the id of the answers it wrote."""

    id: str
    step: int | str


def parse(said: Any, annotator: str) -> Answers | Undo:
    """Return what one message of a page says.

    Parameters
    ----------
    said : JSON value
        ``{"id", "answers": [...]}`` or ``{"id", "undo": step or id}``.
    annotator : str
        Who says it.

    Raises
    ------
    ValueError, ProjectError
        If it is malformed, or a class name cannot be one.

    Examples
    --------
    >>> parse({"id": "1", "answers": [{"image": "00ff", "kind": "human", "label": "cat"}]}, "Ann")
    Answers(id='1', events=(LabelEvent(image='00ff', label='cat', kind='human', ...),))
    """
    if not isinstance(said, Mapping) or not isinstance(said.get("id"), str):
        raise ValueError("A message needs an 'id' of letters. Reload the page.")
    if not 0 < len(said["id"]) <= _LONGEST_ID:
        raise ValueError(f"An 'id' has 1 to {_LONGEST_ID} letters. Reload the page.")
    if "undo" in said:
        if not isinstance(said["undo"], int | str) or isinstance(said["undo"], bool):
            raise ValueError("'undo' names a step or an id. Reload the page.")
        return Undo(said["id"], said["undo"])
    answers = said.get("answers")
    if not isinstance(answers, list) or not 0 < len(answers) <= _MOST:
        raise ValueError(f"A message holds 1 to {_MOST} 'answers'. Reload the page.")
    return Answers(said["id"], tuple(_event(answer, annotator) for answer in answers))


def _event(answer: Any, annotator: str) -> LabelEvent:
    if not isinstance(answer, Mapping) or not isinstance(answer.get("image"), str):
        raise ValueError("An answer names its 'image'. Reload the page.")
    for name, value in answer.items():
        types = _TYPES.get(name)
        if types is None or not isinstance(value, types):
            raise ValueError(f"An answer has no {name!r} such as {value!r}. Reload the page.")
    if answer.get("kind") == "imported":
        raise ValueError("A person's answer is not 'imported'.")
    return LabelEvent(
        image=answer["image"],
        label=answer.get("label"),
        kind=answer.get("kind", "human"),
        blind=answer.get("blind", False),
        flagged=answer.get("flagged", False),
        annotator=annotator,
        suggestion=answer.get("suggestion"),
        suggestion_probability=_share(answer, "probability"),
        model_version=answer.get("model"),
        q=_share(answer, "q"),
        milliseconds=answer.get("milliseconds"),
    )


def _share(answer: Mapping[str, Any], name: str) -> float | None:
    value = answer.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not (math.isfinite(value) and 0 <= value <= 1):
        raise ValueError(f"The {name!r} of an answer lies in [0, 1]. Got {value!r}.")
    return float(value)
