"""The one number of a report, in words that need no statistics and lose none."""

from __future__ import annotations

from dataclasses import dataclass

from handful.core import Estimate
from handful.report.facts import Adapted, Facts, Unlabelled
from handful.report.named import Names, ZeroShot
from handful.report.text import interval, measured, percent, plural
from handful.report.text import sentence as as_sentence


@dataclass(frozen=True)
class Headline:
    """What the page opens with.

    Parameters
    ----------
    figure : str
        The number, or what takes its place.
    sentence : str
        The number as a count of images.
    range : str
        The interval in words.
    how : str
        How it was measured.
    baseline : str
        What no skill at all would reach.
    dots : tuple of str
        One word for each of 100 images: ``"sure likely maybe wrong"``; empty when
        there is no number.
    """

    figure: str
    sentence: str
    range: str
    how: str
    baseline: str
    dots: tuple[str, ...]


def is_predicted(facts: Facts) -> bool:
    """Return whether the accuracy to lead with is a forecast that no label tested."""
    return facts.zero_shot is not None and facts.headline is facts.accuracy


def headline(facts: Facts) -> Headline:
    """Return the headline of a report.

    Examples
    --------
    >>> from handful.report.facts import read_facts
    >>> accuracy = Estimate(0.8, 0.71, 0.87, 100, "accuracy", "cross-validation").as_dict()
    >>> found = headline(read_facts({"accuracy": accuracy}))
    >>> print(found.sentence)
    Of 100 new images like these, expect about 80 to be named correctly.
    >>> print(found.range)
    The true figure probably lies between 71 and 87.
    """
    accuracy = facts.headline
    if not accuracy.is_measured:
        return _unmeasured(facts)
    per = _per(accuracy)
    value, low, high = (
        f"{int(per * x + 0.5):,}" for x in (accuracy.value, accuracy.low, accuracy.high)
    )
    return Headline(
        figure=("Predicted " if is_predicted(facts) else "")
        + percent(accuracy.value, 0 if per == 100 else 1),
        sentence=f"Of {per:,} new images like these, expect about {value} to be named correctly.",
        range=f"The true figure probably lies between {low} and {high}.",
        how=how_measured(accuracy),
        baseline=_baseline(facts, per),
        dots=_dots(accuracy),
    )


def _unmeasured(facts: Facts) -> Headline:
    if not facts.labelled:
        figure, sentence = (
            "No labels yet",
            "Without labels there is nothing to measure a model against.",
        )
    elif len(facts.data.classes) == 1:
        figure, sentence = (
            "One class",
            "With one class a model can say whether an image is like it, not which class it is.",
        )
    else:
        figure, sentence = (
            "Not measurable",
            "These labels cannot show how often the model is right. That does not mean it is bad.",
        )
    return Headline(figure, sentence, "", as_sentence(facts.accuracy.how), "", ())


def _per(accuracy: Estimate) -> int:
    """Return the number of images to count in: 1,000 where 100 would hide the difference."""
    rounded = {round(100 * x) for x in (accuracy.value, accuracy.low, accuracy.high)}
    extreme = round(100 * accuracy.value) in (0, 100) and accuracy.value not in (0.0, 1.0)
    return 1000 if extreme or len(rounded) < 2 else 100


def how_measured(estimate: Estimate) -> str:
    """Return the number with its interval, the images behind it and the method."""
    level = percent(estimate.confidence, 0)
    parts = [f"{percent(estimate.value)}, {level} interval {interval(estimate)}"]
    if estimate.n:
        parts.append(f"measured on {plural(estimate.n, 'image')}")
    if estimate.how:
        parts.append(estimate.how)
    return "; ".join(parts) + "."


def chance(facts: Facts) -> float | None:
    """Return the accuracy of always answering the most common class, or None."""
    counts = [c.n for c in facts.data.classes]
    return max(counts) / sum(counts) if counts and sum(counts) else None


def _baseline(facts: Facts, per: int) -> str:
    if facts.zero_shot is not None:
        n = len(facts.zero_shot.classes)
        return f"Guessing among {n} classes would get {per / n:,.0f} of {per:,} right."
    share = chance(facts)
    if share is None or len(facts.data.classes) < 2:
        return ""
    right = f"{per * share:,.0f}" if per * share >= 1 else "fewer than 1"
    return f"Always answering the most common class would get {right} of {per:,} right."


def _dots(accuracy: Estimate) -> tuple[str, ...]:
    low, value, high = (
        round(100 * min(max(x, 0.0), 1.0)) for x in (accuracy.low, accuracy.value, accuracy.high)
    )
    steps = ((low, "sure"), (value, "likely"), (high, "maybe"), (100, "wrong"))
    return tuple(next(word for bound, word in steps if i < bound) for i in range(100))


def held_out_sentence(facts: Facts) -> str:
    """Return what a held-out test says beside the headline, empty when there is none."""
    if facts.test is None or facts.headline is facts.test.accuracy:
        return ""
    held = facts.test.accuracy
    if not held.is_measured:
        return f"The test split says nothing: {as_sentence(held.how or 'it was not measured')}"
    n = plural(facts.test.n or held.n, "image")
    start = f"On the test split ({n} never trained on) it was right for {measured(held)}"
    agree = held.low <= facts.accuracy.high and facts.accuracy.low <= held.high
    return f"{start}, {'in agreement with' if agree else 'outside'} the interval above."


def adapted_sentence(adapted: Adapted | None) -> str:
    """Return what adapting brought, in a sentence."""
    if adapted is None or not adapted.gain.is_measured:
        return "What adapting the backbone brought cannot be measured on these labels."
    gain = adapted.gain
    points = f"{100 * gain.value:+.1f} points ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    if gain.low > 0:
        verdict = "It is better."
    elif gain.high < 0:
        verdict = "It is worse: use the original."
    else:
        verdict = "That is no more than luck can do."
    return f"The adapted backbone changes the accuracy of a linear probe by {points}. {verdict}"


def unlabelled_sentence(pool: Unlabelled | None) -> str:
    """Return what unlabelled images brought, in a sentence; empty where there are none."""
    if pool is None or not pool.there:
        return ""
    if pool.why_not:
        return pool.why_not
    gain = pool.gain
    points = ""
    if gain.is_measured:
        low, high = 100 * gain.low, 100 * gain.high
        points = (
            f" On the same folds accuracy changes by {100 * gain.value:+.1f} points "
            f"({low:+.1f} to {high:+.1f})."
        )
    n = plural(pool.n, "unlabelled image")
    if not pool.used:
        return f"The model does not learn from {n}: they did not help here, or another method was asked for.{points}"
    if not gain.is_measured:
        return (
            f"The model learns from {n} too. What they brought cannot be measured on these labels."
        )
    if gain.low > 0:
        said = "They help."
    elif gain.high < 0:
        said = "They harm: use another --method."
    else:
        said = "The labels are too few to tell that from luck."
    return f"The model learns from {n} too.{points} {said}"


def names_sentence(names: Names | None) -> str:
    """Return what the classes' names brought beside labels, in a sentence; empty without any."""
    if names is None:
        return ""
    said = (
        "The model learns from labels and from the classes' names."
        if names.used
        else "The classes' names did not help here, so the model learns from the labels alone."
    )
    gain = names.gain
    if not gain.is_measured:
        return f"{said} What the names brought cannot be measured on these labels."
    low, high = 100 * gain.low, 100 * gain.high
    return (
        f"{said} With the names accuracy changes by {100 * gain.value:+.1f} points ({low:+.1f} to {high:+.1f}), "
        "on the same images held out."
    )


def zero_shot_sentence(said: ZeroShot | None) -> str:
    """Return what a classifier from names rests on, in sentences; empty where labels made it."""
    if said is None:
        return ""
    refined = f", refined on {plural(said.n, 'image')}" if said.refined else ""
    made = f"Made from the names of {len(said.classes)} classes{refined}; it learned from no label."
    if said.pair:
        fits = (
            ""
            if said.fits is None
            else f" {percent(said.fits, 0)} of the images fit one of them, it says."
        )
        return f"{made} The image-text model {said.pair} compares them with the images.{fits}"
    known = said.known_classes
    unseen = (
        f" By its name alone an unseen class of ImageNet is found among 200 in {measured(known, 0)} of cases."
        if known.is_measured
        else ""
    )
    return (
        f"{made} Read in two ways, by the known classes that a name is like and by a rule from words to images, "
        f"the names give the same answer for {percent(said.agreement, 0)} of the images: the more, the surer.{unseen}"
    )
