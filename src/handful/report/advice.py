"""What to know before relying on the model, and what would help it most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from handful.report.facts import Facts, Picture
from handful.report.headline import chance, is_predicted
from handful.report.mistakes import mistakes, weakest_first
from handful.report.named import ZeroShot
from handful.report.text import interval, joined, number, percent, plural, points, shorten

FEW = 5
WIDE = 0.25
UNEVEN = 10
OFF = 0.1
NAME = 40  # characters of a file name in a sentence
_MOST_ITEMS = 200
_FEW_NAMES = 3


@dataclass(frozen=True)
class Caution:
    """One thing to know before the numbers are believed.

    Parameters
    ----------
    level : {"stop", "care", "note"}
        ``stop``: the numbers cannot be relied on; ``care``: something is wrong
        and can be put right; ``note``: good to know.
    title, detail : str
        What is the case; what it means and what to do.
    items : tuple of str, default=()
        The images or classes concerned.
    """

    level: Literal["stop", "care", "note"]
    title: str
    detail: str
    items: tuple[str, ...] = ()


def cautions(facts: Facts) -> list[Caution]:
    """Return what to know first, the gravest first.

    Examples
    --------
    >>> from handful.report.facts import read_facts
    >>> [c.title for c in cautions(read_facts({"data": {"labelled": 0}}))]
    ['There are no labels yet']
    """
    found = [*_labels(facts), *_accuracy(facts), *_images(facts), *_model(facts)]
    order = {"stop": 0, "care": 1, "note": 2}
    return [_cut(c) for c in sorted(found, key=lambda caution: order[caution.level])]


def _cut(caution: Caution) -> Caution:
    more = len(caution.items) - _MOST_ITEMS
    if more <= 0:
        return caution
    items = (*caution.items[:_MOST_ITEMS], f"… {more:,} more in report.json")
    return Caution(caution.level, caution.title, caution.detail, items)


def _labels(facts: Facts) -> Iterator[Caution]:
    classes = facts.data.classes
    if facts.zero_shot is not None:
        if is_predicted(facts):  # a test folder's accuracy says it better
            yield _names_alone(facts.zero_shot)
        return
    if not facts.labelled:
        yield Caution(
            "stop",
            "There are no labels yet",
            "Put a few images of each class into a folder named after it, then fit again.",
        )
        return
    if len(classes) == 1:
        yield Caution(
            "care",
            f"There is only one class, {classes[0].name}",
            "The model can tell images like it from others. "
            "To tell classes apart, label a second one.",
        )
    few = sorted((c for c in classes if c.n < FEW), key=lambda c: c.n)
    if few:
        yield Caution(
            "care",
            f"{_named([c.name for c in few], 'class has', 'classes have')} fewer than {FEW} labels",
            "What is said of them rests on next to nothing. "
            "A few more labels each would change that.",
            tuple(f"{c.name}: {plural(c.n, 'label')}" for c in few),
        )
    counts = [c.n for c in classes if c.n]
    if counts and max(counts) >= UNEVEN * min(counts):
        yield Caution(
            "note",
            "The classes are of very different size",
            f"From {plural(min(counts), 'label')} to {max(counts):,}. Accuracy is mostly that of the "
            "large classes; balanced accuracy counts each class the same.",
        )


def _names_alone(said: ZeroShot) -> Caution:
    """Say what a forecast is worth, and that a label a class is worth more."""
    if said.is_reliable or said.pair:  # of a pair nothing is known, neither good nor bad
        return Caution(
            "care",
            "The accuracy is a prediction that no label tested",
            f"It lies somewhere in {interval(said.predicted)}. Label one image of each class and fit again with the "
            "same --classes: names and labels are blended, and the accuracy is measured.",
        )
    return Caution(
        "stop",
        "The names may be no better than guessing",
        "What the backbone sees in these images resembles none of the classes' names clearly. Do not rely on this "
        "model: label a few images of each class (handful label IMAGES) and fit again.",
    )


def _accuracy(facts: Facts) -> Iterator[Caution]:
    accuracy, share = facts.headline, chance(facts)
    if is_predicted(facts):
        return
    if not accuracy.is_measured:
        if facts.labelled and len(facts.data.classes) != 1:
            yield Caution(
                "stop",
                "The accuracy could not be measured",
                "Nothing here says how far to trust the model. "
                "A few more labels of each class usually change that.",
            )
        return
    if share is not None and len(facts.data.classes) > 1 and accuracy.low <= share:
        yield Caution(
            "stop",
            "This may be no better than guessing",
            f"The interval {interval(accuracy)} reaches down to {percent(share)}, "
            "which always answering the most common class would get.",
        )
    if accuracy.high - accuracy.low > WIDE:
        yield Caution(
            "care",
            "The accuracy is only roughly known",
            f"It lies somewhere in {interval(accuracy)}. "
            "More labels narrow this, even where they do not raise it.",
        )
    held = facts.test.accuracy if facts.test else None
    if (
        held is not None
        and held.is_measured
        and (held.high < accuracy.low or held.low > accuracy.high)
    ):
        yield Caution(
            "care",
            "The test split tells another story",
            f"{interval(held)} on the test split against {interval(accuracy)} on the labels. "
            "Its images probably differ from the labelled ones in kind or in mix.",
        )


def _images(facts: Facts) -> Iterator[Caution]:
    data = facts.data
    if n := data.count("contradictions"):
        yield Caution(
            "care",
            f"{plural(n, 'picture')} under more than one label",
            "The same picture is filed under different classes. "
            "Decide for one: until then it teaches the model nothing certain.",
            tuple(f"{', '.join(c.names)} → {' / '.join(c.labels)}" for c in data.contradictions),
        )
    if n := data.count("unusable"):
        yield Caution(
            "care",
            f"{plural(n, 'image')} could not be used",
            "Each is named with the reason; the run went on without them.",
            tuple(f"{name}: {reason}" for name, reason in data.unusable),
        )
    if n := data.count("near_duplicates"):
        yield Caution(
            "note",
            f"{n:,} pairs of images show nearly the same"
            if n > 1
            else "1 pair of images shows nearly the same",
            "Each was kept on one side of every split with the image it copies, so that copies do not "
            "flatter the accuracy.",
            tuple(f"{p.a} ≈ {p.b}{_differ(p.label_a, p.label_b)}" for p in data.near_duplicates),
        )


def _named(names: list[str], one: str, many: str) -> str:
    """Return the names where they are few, else how many there are."""
    if len(names) <= _FEW_NAMES:
        return f"{joined(names)} {one.split()[-1] if len(names) == 1 else many.split()[-1]}"
    return plural(len(names), one, many)


def _differ(a: str | None, b: str | None) -> str:
    return f" (labelled {a} / {b})" if a is not None and b is not None and a != b else ""


def _model(facts: Facts) -> Iterator[Caution]:
    poor = [r for r in facts.per_class if r.recall.is_measured and r.recall.high < 0.5]
    if poor:
        yield Caution(
            "care",
            f"{_named([r.name for r in poor], 'class is', 'classes are')} missed more often than found",
            "Images of them mostly get another name.",
            tuple(
                f"{r.name}: {percent(r.recall.value, 0)} found ({interval(r.recall, 0)})"
                for r in poor
            ),
        )
    if facts.ece.is_measured and facts.ece.low > OFF:
        yield Caution(
            "care",
            "The stated confidences are off",
            f"By {100 * facts.ece.value:.0f} points on average. "
            "Rank images by them, but do not read them as probabilities.",
        )


def next_steps(facts: Facts) -> list[str]:
    """Return what would help most, in order, each one sentence or two.

    Examples
    --------
    >>> from handful.report.facts import read_facts
    >>> counts = {"classes": ["cat", "dog"], "counts": [[8, 2], [0, 9]]}
    >>> print(*next_steps(read_facts({"confusion": counts})))
    Most frequent mistake: cat taken for dog (2 of 10). Labels of these two help most.
    """
    steps = [_check(facts), _more(facts), _confused(facts), _weak(facts), _uncertain(facts)]
    return [step for step in steps if step]


def _check(facts: Facts) -> str:
    if not facts.mislabelled:
        return ""
    first = facts.mislabelled[0]
    return (
        f"Look at {plural(len(facts.mislabelled), 'image')} whose label the model doubts (most may "
        f"just be hard), first {shorten(first.name, NAME)} "
        f"(labelled {first.label or 'nothing'}, looks like {first.prediction})."
    )


def _more(facts: Facts) -> str:
    gain = facts.expected_gain
    if gain is None:
        return ""
    if gain.sentence:
        return gain.sentence
    if not gain.gain.is_measured:
        return ""
    more = plural(gain.labels, "more label")
    return f"{more} would change accuracy by about {points(gain.gain.value)}."


def _confused(facts: Facts) -> str:
    found = mistakes(facts.confusion)
    if not found:
        return ""
    m = found[0]
    return (
        f"Most frequent mistake: {m.true} taken for {m.predicted} "
        f"({number(m.count)} of {number(m.total)}). "
        "Labels of these two help most."
    )


def _weak(facts: Facts) -> str:
    if mistakes(facts.confusion):
        return ""
    weak = [
        r for r in weakest_first(facts.per_class) if r.recall.is_measured and r.recall.value < 1
    ]
    return f"The weakest classes are {joined([r.name for r in weak[:3]])}." if weak else ""


def _uncertain(facts: Facts) -> str:
    unlabelled = [p for p in facts.uncertain if p.label is None]
    if not unlabelled:
        return ""
    n = plural(len(unlabelled), "image")
    return f"Label next the {n} the model is least sure of, first {_first(unlabelled)}."


def _first(pictures: list[Picture]) -> str:
    first = pictures[0]
    sure = "" if first.confidence is None else f", {percent(first.confidence, 0)} sure"
    return f"{shorten(first.name, NAME)} ({first.prediction}{sure})"
