"""Classes as a person writes them: names, prompts and descriptions, checked before anything long begins."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from handful.core import Float32, ProjectError, did_you_mean, listed
from handful.embeddings import unit

TEMPLATES = ("{}", "a photo of a {}")
_MOST_TOKENS = 64  # of a class's name
_KEYS = ("prompts", "description")
_REMEDY = "Name it in English words, or give it English prompts in a classes.toml"
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Tokenizer(Protocol):
    """What is asked of a text encoder's tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Return the numbers of the pieces, with the marks of start and end."""
        ...

    def unknown_words(self, text: str) -> list[str]:
        """Return the words it has no pieces for."""
        ...


class Encoder(Protocol):
    """A text encoder with its tokenizer."""

    @property
    def tokenizer(self) -> Tokenizer:
        """How it cuts texts into pieces."""
        ...

    def embed_text(self, texts: Sequence[str]) -> Float32:
        """Return unit vectors of texts."""
        ...


@dataclass(frozen=True)
class ClassText:
    """One class.

    Parameters
    ----------
    name : str
        As labels and predictions have it.
    prompts : tuple of str
        Whole texts that describe an image of it, instead of the templates'.
    description : str
        What it looks like, in a sentence or two.
    """

    name: str
    prompts: tuple[str, ...] = ()
    description: str = ""

    @property
    def spoken(self) -> str:
        """The name as words: ``AnnualCrop`` and ``annual_crop`` are annual crop.

        Examples
        --------
        >>> ClassText("AnnualCrop").spoken, ClassText("t-shirt").spoken
        ('annual crop', 't-shirt')
        """
        words = _HUMP.sub(" ", self.name).replace("_", " ")
        return words.lower() if words != self.name else words

    def texts(self, templates: Sequence[str]) -> list[str]:
        """Return every text of the class."""
        filled = [template.replace("{}", self.spoken) for template in templates]
        described = [f"{self.spoken}: {self.description}"] if self.description else []
        return [*(self.prompts or filled), *described]


@dataclass(frozen=True)
class ClassTexts:
    """The classes to tell apart, and how to speak of them.

    Parameters
    ----------
    classes : tuple of ClassText
    templates : tuple of str
        Each with ``{}`` where the name goes.
    """

    classes: tuple[ClassText, ...]
    templates: tuple[str, ...] = TEMPLATES

    @property
    def names(self) -> list[str]:
        """The classes' names."""
        return [each.name for each in self.classes]

    def vectors(self, encoder: Encoder) -> Float32:
        """Return the unit mean of each class's text vectors, of shape (n_classes, dim).

        Raises
        ------
        ProjectError
            If a name cannot be encoded; the message lists all that cannot.
        """
        self._check_words(encoder.tokenizer)
        rows = [
            encoder.embed_text(each.texts(self.templates)).mean(axis=0) for each in self.classes
        ]
        return unit(np.stack(rows))

    def _check_words(self, tokenizer: Tokenizer) -> None:
        problems = [_unreadable(each, self.templates, tokenizer) for each in self.classes]
        if found := [problem for problem in problems if problem]:
            raise ProjectError(". ".join(found[:5]) + ".")


def _unreadable(each: ClassText, templates: Sequence[str], tokenizer: Tokenizer) -> str:
    """Return why the text encoder cannot read a class, else nothing."""
    length = len(tokenizer.encode(each.spoken)) - 2
    if length > _MOST_TOKENS:
        return (
            f"The class {each.name[:40]!r}… has {length} pieces of words, more than {_MOST_TOKENS}: give it a short "
            "name, and write what it looks like as its description in a classes.toml"
        )
    if not length and not each.prompts:
        return f"The class {each.name!r} holds no word. {_REMEDY}"
    unknown = {
        word: None for text in each.texts(templates) for word in tokenizer.unknown_words(text)
    }
    if unknown:
        words = listed(map(repr, unknown))
        return f"The text encoder cannot read {words} in the class {each.name!r}. {_REMEDY}"
    return ""


def read_classes(given: str | Path | Sequence[str], templates: Sequence[str] = ()) -> ClassTexts:
    """Return the classes of ``--classes``.

    Parameters
    ----------
    given : str, Path or sequence of str
        Names joined by commas, a ``.toml`` file, or the names themselves.
    templates : sequence of str, optional
        Replace the usual ones, or those of the file.

    Returns
    -------
    ClassTexts

    Raises
    ------
    ProjectError
        If a name is empty, given twice or differs from another by case alone, a template
        lacks ``{}``, or the file cannot be read.

    Examples
    --------
    >>> read_classes("dress, hat").names
    ['dress', 'hat']
    """
    if isinstance(given, str | Path) and str(given).endswith(".toml"):
        found = _from_file(Path(given))
    else:
        names = given.split(",") if isinstance(given, str) else list(map(str, given))  # type: ignore[arg-type]
        found = ClassTexts(tuple(ClassText(name.strip()) for name in names))
    if templates:
        found = ClassTexts(found.classes, tuple(templates))
    _check_names(found.names)
    _check_templates(found.templates)
    return found


def _check_names(names: list[str]) -> None:
    if not all(names):
        raise ProjectError(
            f'A class of --classes has no name: {",".join(names)!r}. Write it as --classes "dress,hat".'
        )
    seen: dict[str, str] = {}
    for name in names:
        twin = seen.setdefault(name.casefold(), name)
        if twin == name and names.count(name) > 1:
            raise ProjectError(f"The class {name!r} is given twice. Name every class once.")
        if twin != name:
            raise ProjectError(
                f"The classes {twin!r} and {name!r} differ by case alone. Name every class once."
            )
    if len(names) < 2:
        raise ProjectError(
            f"One class, {names[0]!r}, cannot be told from others. Give at least two, such as "
            f'--classes "{names[0]},other".'
        )


def _check_templates(templates: tuple[str, ...]) -> None:
    wrong = [template for template in templates if "{}" not in template]
    if wrong or not templates:
        raise ProjectError(
            f"A template must hold {{}} where the name of a class goes. Got {listed(map(repr, wrong))}. "
            "Write it as 'a photo of a {}'."
        )


def _from_file(path: Path) -> ClassTexts:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProjectError(f"The classes file {str(path)!r} cannot be read: {error}.") from error
    unknown = [key for key in content if key not in ("classes", "templates")]
    table = content.get("classes", {})
    if unknown or not isinstance(table, dict) or not table:
        got = f"the unknown key {unknown[0]!r}" if unknown else "no table of classes"
        raise ProjectError(
            f"The classes file {str(path)!r} must hold a table [classes.NAME] a class, and templates if "
            f"wanted. Got {got}."
        )
    classes = tuple(_class(path, name, entry) for name, entry in table.items())
    return ClassTexts(classes, _strings(path, "templates", content.get("templates", TEMPLATES)))


def _class(path: Path, name: str, entry: Any) -> ClassText:
    if not isinstance(entry, dict):
        raise ProjectError(
            f"The class {name!r} in {str(path)!r} must be a table, [classes.{name}]. Got {entry!r}."
        )
    for key in entry:
        if key not in _KEYS:
            raise ProjectError(
                f"The class {name!r} in {str(path)!r} has the unknown key {key!r}"
                f"{did_you_mean(key, _KEYS)}. Expected {' or '.join(_KEYS)}."
            )
    description = entry.get("description", "")
    if not isinstance(description, str):
        raise ProjectError(f"The description of {name!r} in {str(path)!r} must be a text.")
    return ClassText(
        name, _strings(path, f"prompts of {name!r}", entry.get("prompts", ())), description
    )


def _strings(path: Path, what: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ProjectError(f"The {what} in {str(path)!r} must be a list of texts. Got {value!r}.")
    return tuple(value)
