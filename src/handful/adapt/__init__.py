"""Training a better backbone. Importing this room imports no torch; using it does (the extra ``train``)."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from handful.adapt.recipe import Budget, Hardware, Recipe
from handful.core import MissingExtraError

if TYPE_CHECKING:
    from handful.adapt.activations import cached_activations
    from handful.adapt.contrastive_text import ContrastiveText
    from handful.adapt.cut import cut_report
    from handful.adapt.cut_parts import CutSettings
    from handful.adapt.cut_table import CutReport
    from handful.adapt.distil import Distil, Distilling, Held, calibrated_temperature, softened
    from handful.adapt.episodic.episodes import Episodes, Shape
    from handful.adapt.episodic.evaluation import Validation, as_input, task_accuracies
    from handful.adapt.episodic.maml import Maml
    from handful.adapt.episodic.matching import Matching
    from handful.adapt.episodic.pmf import TaskFineTuning, TunedTask, tune_on_task
    from handful.adapt.episodic.prototypical import Prototypical
    from handful.adapt.episodic.relation import Relation
    from handful.adapt.episodic.reptile import Reptile
    from handful.adapt.episodic.saved import load_method, new_method, save_method
    from handful.adapt.feeding import TrainingData
    from handful.adapt.finetune import FineTune, FineTuning, probe_head
    from handful.adapt.log import read_log
    from handful.adapt.loop import plan, train
    from handful.adapt.network import Network, as_chain, export_network, load_network, save_network
    from handful.adapt.pair import new_towers, open_clip, save_pair, tokens_of
    from handful.adapt.pixels import Pixels
    from handful.adapt.pretext import CHECKS, Verdict, check_pretext
    from handful.adapt.retrieval import HeldPairs
    from handful.adapt.selfsupervised.contrastive import Contrastive
    from handful.adapt.selfsupervised.instance import Instance
    from handful.adapt.selfsupervised.masked import Masked
    from handful.adapt.selfsupervised.predictive import Predictive
    from handful.adapt.selfsupervised.rotation import Rotation
    from handful.adapt.semisupervised.consistency import Agreement, Consistency, Marked
    from handful.adapt.semisupervised.noisy_student import Noise, NoisyStudent, School, Taught
    from handful.adapt.semisupervised.pseudo_labels import (
        balanced_rows,
        pseudo_label_rows,
        write_pseudo_labels,
    )
    from handful.adapt.semisupervised.variants import VARIANTS
    from handful.adapt.watching import watch

_HOMES = {
    "Agreement": "handful.adapt.semisupervised.consistency",
    "CHECKS": "handful.adapt.pretext",
    "Consistency": "handful.adapt.semisupervised.consistency",
    "Contrastive": "handful.adapt.selfsupervised.contrastive",
    "ContrastiveText": "handful.adapt.contrastive_text",
    "CutReport": "handful.adapt.cut_table",
    "CutSettings": "handful.adapt.cut_parts",
    "Distil": "handful.adapt.distil",
    "Distilling": "handful.adapt.distil",
    "Episodes": "handful.adapt.episodic.episodes",
    "FineTune": "handful.adapt.finetune",
    "FineTuning": "handful.adapt.finetune",
    "Held": "handful.adapt.distil",
    "HeldPairs": "handful.adapt.retrieval",
    "Instance": "handful.adapt.selfsupervised.instance",
    "Maml": "handful.adapt.episodic.maml",
    "Marked": "handful.adapt.semisupervised.consistency",
    "Masked": "handful.adapt.selfsupervised.masked",
    "Matching": "handful.adapt.episodic.matching",
    "Network": "handful.adapt.network",
    "Noise": "handful.adapt.semisupervised.noisy_student",
    "NoisyStudent": "handful.adapt.semisupervised.noisy_student",
    "Pixels": "handful.adapt.pixels",
    "Predictive": "handful.adapt.selfsupervised.predictive",
    "Prototypical": "handful.adapt.episodic.prototypical",
    "Relation": "handful.adapt.episodic.relation",
    "Reptile": "handful.adapt.episodic.reptile",
    "Rotation": "handful.adapt.selfsupervised.rotation",
    "School": "handful.adapt.semisupervised.noisy_student",
    "Shape": "handful.adapt.episodic.episodes",
    "TaskFineTuning": "handful.adapt.episodic.pmf",
    "Taught": "handful.adapt.semisupervised.noisy_student",
    "TrainingData": "handful.adapt.feeding",
    "TunedTask": "handful.adapt.episodic.pmf",
    "VARIANTS": "handful.adapt.semisupervised.variants",
    "Validation": "handful.adapt.episodic.evaluation",
    "Verdict": "handful.adapt.pretext",
    "as_chain": "handful.adapt.network",
    "as_input": "handful.adapt.episodic.evaluation",
    "balanced_rows": "handful.adapt.semisupervised.pseudo_labels",
    "cached_activations": "handful.adapt.activations",
    "calibrated_temperature": "handful.adapt.distil",
    "check_pretext": "handful.adapt.pretext",
    "cut_report": "handful.adapt.cut",
    "export_network": "handful.adapt.network",
    "load_method": "handful.adapt.episodic.saved",
    "load_network": "handful.adapt.network",
    "new_method": "handful.adapt.episodic.saved",
    "new_towers": "handful.adapt.pair",
    "open_clip": "handful.adapt.pair",
    "plan": "handful.adapt.loop",
    "probe_head": "handful.adapt.finetune",
    "pseudo_label_rows": "handful.adapt.semisupervised.pseudo_labels",
    "read_log": "handful.adapt.log",
    "save_method": "handful.adapt.episodic.saved",
    "save_network": "handful.adapt.network",
    "save_pair": "handful.adapt.pair",
    "softened": "handful.adapt.distil",
    "task_accuracies": "handful.adapt.episodic.evaluation",
    "tokens_of": "handful.adapt.pair",
    "train": "handful.adapt.loop",
    "tune_on_task": "handful.adapt.episodic.pmf",
    "watch": "handful.adapt.watching",
    "write_pseudo_labels": "handful.adapt.semisupervised.pseudo_labels",
}

__all__ = [
    "CHECKS",
    "VARIANTS",
    "Agreement",
    "Budget",
    "Consistency",
    "Contrastive",
    "ContrastiveText",
    "CutReport",
    "CutSettings",
    "Distil",
    "Distilling",
    "Episodes",
    "FineTune",
    "FineTuning",
    "Hardware",
    "Held",
    "HeldPairs",
    "Instance",
    "Maml",
    "Marked",
    "Masked",
    "Matching",
    "Network",
    "Noise",
    "NoisyStudent",
    "Pixels",
    "Predictive",
    "Prototypical",
    "Recipe",
    "Relation",
    "Reptile",
    "Rotation",
    "School",
    "Shape",
    "TaskFineTuning",
    "Taught",
    "TrainingData",
    "TunedTask",
    "Validation",
    "Verdict",
    "as_chain",
    "as_input",
    "balanced_rows",
    "cached_activations",
    "calibrated_temperature",
    "check_pretext",
    "cut_report",
    "export_network",
    "load_method",
    "load_network",
    "new_method",
    "new_towers",
    "open_clip",
    "plan",
    "probe_head",
    "pseudo_label_rows",
    "read_log",
    "save_method",
    "save_network",
    "save_pair",
    "softened",
    "task_accuracies",
    "tokens_of",
    "train",
    "tune_on_task",
    "watch",
    "write_pseudo_labels",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("handful"):
            raise
        raise MissingExtraError("Training a backbone", str(error.name), "train") from error
