"""What is said of an adapted backbone after it was measured."""

from __future__ import annotations

from handful.measure import BeforeAfter


def is_refused(figures: BeforeAfter | None) -> bool:
    """Return whether measuring shows that the new backbone is no better."""
    return figures is not None and figures.gain.is_measured and figures.gain.value <= 0


def sentence(figures: BeforeAfter | None, *, kept: bool, pool: bool = False) -> str:
    """Return the verdict in words.

    Parameters
    ----------
    figures : BeforeAfter or None
    kept : bool
        Whether the backbone is there to be used.
    pool : bool, default=False
        Whether what it is compared with learnt from the unlabelled images too.
    """
    if figures is None or not figures.gain.is_measured:
        return (
            "Whether it is better cannot be measured: that needs two labels in each of two classes. Give them "
            "before you use it, for it may be worse."
        )
    gain = figures.gain
    points = f"{100 * gain.value:+.1f} points ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
    if gain.value <= 0:
        verdict = (
            "no better, and kept because that was asked for"
            if kept
            else "no better, so it is refused"
        )
    else:
        verdict = (
            "better" if gain.low > 0 else "better on these images, by no more than luck can give"
        )
    over = " over what `fit` makes of the same unlabelled images," if pool else ""
    return (
        f"A linear probe on its vectors gains {points}{over} on {gain.n} images whose labels it had not seen: "
        f"{verdict}."
    )
