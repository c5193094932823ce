"""The verbs a person says, as functions; the command line and the pages call these alone.

They are imported when first used, so that a prediction does not wait for what fitting needs.
No file here is named like its verb: the file would hide the function.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from handful.adapt import Budget, Hardware
    from handful.advise import Advice
    from handful.jobs.adaptation import Adaptation
    from handful.jobs.adapting import AdaptResult, adapt
    from handful.jobs.advising import advise
    from handful.jobs.asking import Question, as_label_studio, next_images
    from handful.jobs.backbone import BackboneChoice
    from handful.jobs.budgeted import fit_within
    from handful.jobs.class_texts import ClassTexts, read_classes
    from handful.jobs.cluster import Cluster, ClusterResult, embed_on_ray, predict_on_ray
    from handful.jobs.cutting import CutResult, cut
    from handful.jobs.demonstration import DemoOutcome, demo
    from handful.jobs.diagnosis import doctor, list_backbones
    from handful.jobs.distilling import Distillation, DistilResult, distil
    from handful.jobs.episodic import EpisodicTraining
    from handful.jobs.fitting import FitResult, Thresholds, fit
    from handful.jobs.folder import (
        export_labels,
        import_labels,
        read_report,
        status,
        undo_import,
        write_report,
    )
    from handful.jobs.labelling import Labelling
    from handful.jobs.pairing import Pairing, PairResult, contrastive_text
    from handful.jobs.predicting import Row, least_certain, predict
    from handful.jobs.predictor import Predictor
    from handful.jobs.pretext import check_images
    from handful.jobs.shots import EPISODE_METHODS, EpisodesResult, episodes
    from handful.jobs.testing_on_tasks import NewTasks, accuracy_on_new_classes
    from handful.jobs.training_on_tasks import adapt_on_tasks
    from handful.jobs.vectors import embed_folder
    from handful.project import ImportReport, Step, escape_cell
    from handful.report import advice_table, summary_table

_HOMES = {
    "AdaptResult": "handful.jobs.adapting",
    "Adaptation": "handful.jobs.adaptation",
    "Advice": "handful.advise",
    "BackboneChoice": "handful.jobs.backbone",
    "Budget": "handful.adapt",
    "ClassTexts": "handful.jobs.class_texts",
    "Cluster": "handful.jobs.cluster",
    "ClusterResult": "handful.jobs.cluster",
    "CutResult": "handful.jobs.cutting",
    "DemoOutcome": "handful.jobs.demonstration",
    "DistilResult": "handful.jobs.distilling",
    "Distillation": "handful.jobs.distilling",
    "EPISODE_METHODS": "handful.jobs.shots",
    "EpisodesResult": "handful.jobs.shots",
    "EpisodicTraining": "handful.jobs.episodic",
    "FitResult": "handful.jobs.fitting",
    "Hardware": "handful.adapt",
    "ImportReport": "handful.project",
    "Labelling": "handful.jobs.labelling",
    "NewTasks": "handful.jobs.testing_on_tasks",
    "PairResult": "handful.jobs.pairing",
    "Pairing": "handful.jobs.pairing",
    "Predictor": "handful.jobs.predictor",
    "Question": "handful.jobs.asking",
    "Row": "handful.jobs.predicting",
    "Step": "handful.project",
    "Thresholds": "handful.jobs.fitting",
    "accuracy_on_new_classes": "handful.jobs.testing_on_tasks",
    "adapt": "handful.jobs.adapting",
    "adapt_on_tasks": "handful.jobs.training_on_tasks",
    "advice_table": "handful.report",
    "advise": "handful.jobs.advising",
    "as_label_studio": "handful.jobs.asking",
    "check_images": "handful.jobs.pretext",
    "contrastive_text": "handful.jobs.pairing",
    "cut": "handful.jobs.cutting",
    "demo": "handful.jobs.demonstration",
    "distil": "handful.jobs.distilling",
    "doctor": "handful.jobs.diagnosis",
    "embed_folder": "handful.jobs.vectors",
    "embed_on_ray": "handful.jobs.cluster",
    "episodes": "handful.jobs.shots",
    "escape_cell": "handful.project",
    "export_labels": "handful.jobs.folder",
    "fit": "handful.jobs.fitting",
    "fit_within": "handful.jobs.budgeted",
    "import_labels": "handful.jobs.folder",
    "least_certain": "handful.jobs.predicting",
    "list_backbones": "handful.jobs.diagnosis",
    "next_images": "handful.jobs.asking",
    "predict": "handful.jobs.predicting",
    "predict_on_ray": "handful.jobs.cluster",
    "read_classes": "handful.jobs.class_texts",
    "read_report": "handful.jobs.folder",
    "status": "handful.jobs.folder",
    "summary_table": "handful.report",
    "undo_import": "handful.jobs.folder",
    "write_report": "handful.jobs.folder",
}

__all__ = [
    "EPISODE_METHODS",
    "AdaptResult",
    "Adaptation",
    "Advice",
    "BackboneChoice",
    "Budget",
    "ClassTexts",
    "Cluster",
    "ClusterResult",
    "CutResult",
    "DemoOutcome",
    "DistilResult",
    "Distillation",
    "EpisodesResult",
    "EpisodicTraining",
    "FitResult",
    "Hardware",
    "ImportReport",
    "Labelling",
    "NewTasks",
    "PairResult",
    "Pairing",
    "Predictor",
    "Question",
    "Row",
    "Step",
    "Thresholds",
    "accuracy_on_new_classes",
    "adapt",
    "adapt_on_tasks",
    "advice_table",
    "advise",
    "as_label_studio",
    "check_images",
    "contrastive_text",
    "cut",
    "demo",
    "distil",
    "doctor",
    "embed_folder",
    "embed_on_ray",
    "episodes",
    "escape_cell",
    "export_labels",
    "fit",
    "fit_within",
    "import_labels",
    "least_certain",
    "list_backbones",
    "next_images",
    "predict",
    "predict_on_ray",
    "read_classes",
    "read_report",
    "status",
    "summary_table",
    "undo_import",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
