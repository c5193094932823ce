"""The report as one self-contained HTML page: no script, no network, nothing beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from handful.core import Estimate
from handful.report import text
from handful.report.advice import cautions, next_steps
from handful.report.facts import Confusion, Facts, Picture, read_facts
from handful.report.headline import (
    adapted_sentence,
    headline,
    held_out_sentence,
    is_predicted,
    names_sentence,
    unlabelled_sentence,
    zero_shot_sentence,
)
from handful.report.mistakes import mistakes, trust_sentence, weakest_first
from handful.report.thumbnails import thumbnail_uri

MATRIX = 24  # classes up to which the confusion matrix is a table of numbers
CLASS_ROWS = 30
MISTAKES = 40
PICTURES = 24


def render(report: dict[str, Any], image: Callable[[str], Image.Image | None]) -> str:
    """Return the page of a report.

    Parameters
    ----------
    report : dict
        The content of ``report.json``. Any section may be missing and any
        estimate not measured; the page says so where it matters.
    image : callable
        Returns the upright image of a name, or None when it is not at hand.
        Called only for the images shown, at most 24 a gallery.

    Returns
    -------
    str
        HTML that encodes as UTF-8. The same report and images give the same text.

    Raises
    ------
    BundleError
        If the report was written by a newer handful or a value is of a wrong kind.

    Examples
    --------
    >>> page = render({"data": {"classes": [{"name": "<b>", "n": 3}]}}, lambda name: None)
    >>> "<b>" in page, "&lt;b&gt;" in page
    (False, True)
    """
    facts = read_facts(report)
    sections = {
        "uncertain": _gallery(facts.uncertain, image),
        "mislabelled": _gallery(facts.mislabelled, image),
        "trusted": _gallery(facts.unlabelled.trusted if facts.unlabelled else (), image),
        "doubted": _gallery(facts.unlabelled.doubted if facts.unlabelled else (), image),
        "plots": _plots(facts),
        "matrix": _matrix(facts.confusion),
        "mistakes": mistakes(facts.confusion)[:MISTAKES],
        "n_mistakes": len(mistakes(facts.confusion)),
        "per_class": weakest_first(facts.per_class),
    }
    return (
        _environment()
        .get_template("page.html")
        .render(
            facts=facts,
            headline=headline(facts),
            held_out_sentence=held_out_sentence(facts),
            adapted_sentence=adapted_sentence(facts.adapted),
            zero_shot_sentence=zero_shot_sentence(facts.zero_shot),
            names_sentence=names_sentence(facts.names),
            predicted=is_predicted(facts),
            unlabelled_sentence=unlabelled_sentence(facts.unlabelled),
            trust_sentence=trust_sentence(facts.reliability),
            cautions=cautions(facts),
            next_steps=next_steps(facts),
            class_rows=CLASS_ROWS,
            **sections,
        )
    )


def _plots(facts: Facts) -> dict[str, Markup | None]:
    from handful.report import plots  # matplotlib, only when a page is made

    curve = [p for p in facts.learning_curve if p.accuracy.is_measured]
    methods = [m for m in facts.methods if m.accuracy.is_measured]
    classes = [
        r for r in weakest_first(facts.per_class) if r.recall.is_measured or r.precision.is_measured
    ]
    bins = [b for b in facts.reliability if b.accuracy.is_measured]
    return {
        "methods": plots.methods_plot(facts.methods) if methods else None,
        "adapted": plots.adapted_plot(facts.adapted) if facts.adapted else None,
        "curve": plots.curve_plot(curve, facts.expected_gain) if curve else None,
        "classes": plots.classes_plot(classes[:CLASS_ROWS]) if classes else None,
        "reliability": plots.reliability_plot(bins) if bins else None,
        "confusion": plots.confusion_overview(facts.confusion)
        if len(facts.confusion.classes) > MATRIX
        else None,
    }


def _matrix(confusion: Confusion) -> list[tuple[str, list[tuple[str, str, float]]]]:
    """Return the rows of the matrix: class, then text, kind and shade of each cell."""
    if len(confusion.classes) > MATRIX:
        return []
    return [
        (name, [_cell(count, i == j, sum(row)) for j, count in enumerate(row)])
        for i, (name, row) in enumerate(zip(confusion.classes, confusion.counts, strict=True))
    ]


def _cell(count: float, right: bool, total: float) -> tuple[str, str, float]:
    if not count:
        return "", "none", 0.0
    return text.number(count), "right" if right else "wrong", round(count / total, 3)


def _gallery(
    pictures: Sequence[Picture], image: Callable[[str], Image.Image | None]
) -> dict[str, Any]:
    seen = pictures[:PICTURES]
    return {
        "pictures": [(p, thumbnail_uri(p.name, image)) for p in seen],
        "more": len(pictures) - len(seen),
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: text.shown(value) if type(value) is str else value,
    )
    filters = (
        "interval",
        "measured",
        "moment",
        "number",
        "percent",
        "plural",
        "points",
        "seconds",
        "sentence",
        "shorten",
    )
    environment.filters.update({name: getattr(text, name) for name in filters})
    environment.tests["estimate"] = lambda value: isinstance(value, Estimate)
    return environment
