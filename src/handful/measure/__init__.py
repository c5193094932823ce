"""Honest figures: every number with an interval whose coverage is tested."""

from handful.measure.acceptance import acceptance_bias
from handful.measure.active_testing import active_accuracy, audited_accuracy, lure
from handful.measure.agreement import Consensus, annotator_agreement, dawid_skene
from handful.measure.auto_label import AutoLabels, auto_labels
from handful.measure.before_after import BeforeAfter, before_after
from handful.measure.calibration import ReliabilityBin
from handful.measure.confidence_sequence import confidence_sequence
from handful.measure.episode_figures import Quartile, difference_over_tasks, over_tasks
from handful.measure.episodes import Realism, sample_episodes
from handful.measure.few_shot import EpisodeFigures, EpisodeReport, evaluate_episodes
from handful.measure.folds import Fold
from handful.measure.intervals import (
    clopper_pearson,
    paired_interval,
    share,
    wilson_interval,
    wilson_of_share,
)
from handful.measure.label_errors import LabelErrors, label_errors
from handful.measure.learning_curve import (
    CurvePoint,
    LearningCurve,
    gain_of_labels,
    learning_curve,
)
from handful.measure.metrics import ClassFigures, TestFigures, test_accuracy
from handful.measure.operating_point import OperatingPoint, labels_needed, operating_point
from handful.measure.pretraining import pretraining_overlap
from handful.measure.semantic import prototype_distances, read_taxonomy, taxonomy_distances
from handful.measure.tasks import Tasks
from handful.measure.validation import MethodFigures, Validation, held_out_folds, validate
from handful.measure.zero_shot import Forecast, forecast_accuracy, untested_forecast

__all__ = [
    "AutoLabels",
    "BeforeAfter",
    "ClassFigures",
    "Consensus",
    "CurvePoint",
    "EpisodeFigures",
    "EpisodeReport",
    "Fold",
    "Forecast",
    "LabelErrors",
    "LearningCurve",
    "MethodFigures",
    "OperatingPoint",
    "Quartile",
    "Realism",
    "ReliabilityBin",
    "Tasks",
    "TestFigures",
    "Validation",
    "acceptance_bias",
    "active_accuracy",
    "annotator_agreement",
    "audited_accuracy",
    "auto_labels",
    "before_after",
    "clopper_pearson",
    "confidence_sequence",
    "dawid_skene",
    "difference_over_tasks",
    "evaluate_episodes",
    "forecast_accuracy",
    "gain_of_labels",
    "held_out_folds",
    "label_errors",
    "labels_needed",
    "learning_curve",
    "lure",
    "operating_point",
    "over_tasks",
    "paired_interval",
    "pretraining_overlap",
    "prototype_distances",
    "read_taxonomy",
    "sample_episodes",
    "share",
    "taxonomy_distances",
    "test_accuracy",
    "untested_forecast",
    "validate",
    "wilson_interval",
    "wilson_of_share",
]
