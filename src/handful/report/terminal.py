"""The report in a terminal: a table and a few lines, after `fit`."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from handful.report.advice import Caution, cautions, next_steps
from handful.report.facts import Facts, Method, read_facts
from handful.report.headline import (
    adapted_sentence,
    headline,
    held_out_sentence,
    names_sentence,
    unlabelled_sentence,
    zero_shot_sentence,
)
from handful.report.text import NO_NUMBER, interval, percent, seconds, shown

_MOST_LINES = 6
_MOST_ITEMS = 3  # images or classes named under a caution
_MARKS = {"stop": ("!", "bold red"), "care": ("!", "yellow"), "note": ("·", "dim")}


def summary_table(report: dict[str, Any]) -> Group:
    """Return what `fit` prints at its end: methods, accuracy, and what matters next.

    Parameters
    ----------
    report : dict
        The content of ``report.json``; any part may be missing.

    Returns
    -------
    rich.console.Group
        A table (method, accuracy, interval, seconds) when methods were
        compared, the headline, then at most six lines: cautions before advice.

    Raises
    ------
    BundleError
        If a value of the report is of a wrong kind.

    Examples
    --------
    >>> from rich.console import Console
    >>> Console(width=120).print(summary_table({"data": {"labelled": 0}}))
    No labels yet. Without labels there is nothing to measure a model against.
    ! There are no labels yet. Put a few images of each class into a folder named after it, then fit again.
    """
    facts = read_facts(report)
    parts: list[RenderableType] = [_table(facts)] if facts.methods else []
    if facts.advice and facts.advice.why:
        parts.append(Text(shown(facts.advice.why)))
    if facts.adapted:
        parts.append(Text(adapted_sentence(facts.adapted)))
    if said := unlabelled_sentence(facts.unlabelled):
        parts.append(Text(said))
    if said := names_sentence(facts.names):
        parts.append(Text(said))
    if said := zero_shot_sentence(facts.zero_shot):
        parts.append(Text(said))
    return Group(*parts, *_reasons(facts), _headline(facts), *_lines(facts))


def _table(facts: Facts) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("method")
    table.add_column("accuracy", justify="right")
    table.add_column("interval", justify="right")
    table.add_column("time", justify="right")
    for method in facts.methods:
        table.add_row(
            *(Text(cell, style="bold" if method.chosen else "") for cell in _cells(method))
        )
    return table


def _cells(method: Method) -> tuple[str, str, str, str]:
    accuracy = method.accuracy
    value = percent(accuracy.value) if accuracy.is_measured else NO_NUMBER
    name = shown(method.name) + (" ← chosen" if method.chosen else "")
    return name, value, interval(accuracy), seconds(method.seconds)


def _reasons(facts: Facts) -> list[RenderableType]:
    """Say why this method."""
    if len(facts.methods) < 2:
        return []
    return [Text(shown(facts.why), style="dim")] if facts.why else []


def _headline(facts: Facts) -> Text:
    found = headline(facts)
    why = "" if found.dots else found.how
    sentences = (found.sentence, found.range, why, held_out_sentence(facts))
    text = Text(f"{found.figure}{':' if found.dots else '.'} ", style="bold")
    return text.append(shown(" ".join(s for s in sentences if s)), style="not bold")


def _lines(facts: Facts) -> list[RenderableType]:
    warned = cautions(facts)
    steps = (
        []
        if any(c.level == "stop" for c in warned) and not facts.headline.is_measured
        else next_steps(facts)
    )
    room = max(_MOST_LINES - len(steps), 3)
    lines: list[RenderableType] = [_line(*_MARKS[c.level], _said(c)) for c in warned[:room]]
    return [*lines, *(_line("→", "green", step) for step in steps)][:_MOST_LINES]


def _said(caution: Caution) -> str:
    more = len(caution.items) - _MOST_ITEMS
    items = "; ".join(caution.items[:_MOST_ITEMS]) + (f"; {more} more" if more > 0 else "")
    return f"{caution.title}. {caution.detail}" + (f" {items}." if items else "")


def _line(mark: str, style: str, text: str) -> Table:
    line = Table.grid(padding=(0, 1))
    line.add_row(Text(mark, style=style), Text(shown(text)))
    return line
