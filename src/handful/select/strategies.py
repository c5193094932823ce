"""The rules by name, what each needs to know, and why it picks an image, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from handful.select.badge import badge
from handful.select.balance import class_balanced, rare_class
from handful.select.batch_bald import batch_bald
from handful.select.committee import bald, epig
from handful.select.coverage import k_center, k_means
from handful.select.drawing import random
from handful.select.dropquery import dropquery
from handful.select.hybrid import default, margin_k_means
from handful.select.picks import Picks
from handful.select.probcover import probcover
from handful.select.typical import typiclust
from handful.select.uncertainty import entropy, least_confidence, margin


@dataclass(frozen=True)
class Strategy:
    """A rule as the loop calls it.

    Parameters
    ----------
    rule : callable
        To `Picks`.
    why : str
        Why it picks an image.
    needs : {"proba", "members", "predictor", "counts"}, default="proba"
        Probabilities of the head; of the members of an ensemble; the head itself;
        probabilities and the labels so far. All get vectors too.
    """

    rule: Callable[..., Picks]
    why: str
    needs: Literal["proba", "members", "predictor", "counts"] = "proba"


_UNSURE = "the model is unsure"
STRATEGIES = {
    "default": Strategy(default, f"{_UNSURE}, and the other picks are unlike it"),
    "random": Strategy(random, "drawn at random"),
    "margin": Strategy(margin, f"{_UNSURE} between two classes"),
    "entropy": Strategy(entropy, f"{_UNSURE} among all classes"),
    "least_confidence": Strategy(least_confidence, f"{_UNSURE} of the likeliest class"),
    "bald": Strategy(bald, "likely models disagree", "members"),
    "batch_bald": Strategy(batch_bald, "likely models disagree, beside the other picks", "members"),
    "epig": Strategy(epig, "its label says most about other images", "members"),
    "k_center": Strategy(k_center, "far from every labelled image"),
    "k_means": Strategy(k_means, "in the middle of a cluster"),
    "typiclust": Strategy(typiclust, "typical of images without a label"),
    "probcover": Strategy(probcover, "many images without a label are near"),
    "badge": Strategy(badge, "its label would change the model, otherwise than the other picks"),
    "dropquery": Strategy(dropquery, "its class changes when parts are dropped", "predictor"),
    "margin_k_means": Strategy(margin_k_means, f"{_UNSURE}, and the other picks are unlike it"),
    "class_balanced": Strategy(class_balanced, "its class has few labels", "counts"),
    "rare_class": Strategy(rare_class, "likely of the class with the fewest labels", "counts"),
}
