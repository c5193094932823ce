"""Honest figures: every number with an interval whose coverage is tested."""

from handful.measure.intervals import clopper_pearson, paired_interval, wilson_interval
from handful.measure.metrics import ClassFigures, ReliabilityBin, TestFigures, test_accuracy
from handful.measure.validation import MethodFigures, Validation, validate

__all__ = [
    "ClassFigures",
    "MethodFigures",
    "ReliabilityBin",
    "TestFigures",
    "Validation",
    "clopper_pearson",
    "paired_interval",
    "test_accuracy",
    "validate",
    "wilson_interval",
]
