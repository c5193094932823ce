"""Which images to label next: pure functions on float32 arrays to `Picks`, and the loop around them."""

from handful.select.badge import badge
from handful.select.balance import class_balanced, more_like_these, rare_class
from handful.select.batch_bald import batch_bald
from handful.select.committee import bald, epig
from handful.select.coverage import k_center, k_means
from handful.select.drawing import expected_error, random
from handful.select.dropquery import dropquery
from handful.select.hybrid import default, is_cold, margin_k_means
from handful.select.loop import Batch, Loop, check_strategy
from handful.select.picks import Picks
from handful.select.probcover import probcover
from handful.select.simulate import Curve, Oracle, simulate
from handful.select.space import prepared
from handful.select.stopping import Stop, agreement, stop_rule
from handful.select.strategies import STRATEGIES, Strategy
from handful.select.typical import typiclust
from handful.select.uncertainty import entropy, least_confidence, margin

__all__ = [
    "STRATEGIES",
    "Batch",
    "Curve",
    "Loop",
    "Oracle",
    "Picks",
    "Stop",
    "Strategy",
    "agreement",
    "badge",
    "bald",
    "batch_bald",
    "check_strategy",
    "class_balanced",
    "default",
    "dropquery",
    "entropy",
    "epig",
    "expected_error",
    "is_cold",
    "k_center",
    "k_means",
    "least_confidence",
    "margin",
    "margin_k_means",
    "more_like_these",
    "prepared",
    "probcover",
    "random",
    "rare_class",
    "simulate",
    "stop_rule",
    "typiclust",
]
