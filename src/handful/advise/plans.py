"""The plans: what each is called, how it is done, and when data or machine rule it out."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from handful.advise.facts import Data, Machine
from handful.advise.trial import MORE, Trial
from handful.core import Estimate

ZERO_SHOT, NAMES = "zero_shot", "names_and_labels"
PROTOTYPES, PROBE, SPREADING = "prototypes", "probe", "semi_supervised"
FINETUNE, CONTINUE, DISTIL = "finetune", "self_supervised", "distil"
LABEL = "label_more"

TITLES = {
    ZERO_SHOT: "Classes by their names alone",
    NAMES: "Names and labels together",
    PROTOTYPES: "Few-shot prototypes",
    PROBE: "Linear probe",
    SPREADING: "Probe that learns from unlabelled images too",
    FINETUNE: "Fine-tune the backbone",
    CONTINUE: "Train on without labels, then a probe",
    DISTIL: "Small network that imitates a model",
    LABEL: f"Label {MORE} more first",
}
METHODS = {PROTOTYPES: "prototypes", PROBE: "linear_probe", SPREADING: "spreading_probe"}
"""The ``--method`` of `handful fit` of a plan on vectors."""
ADAPTED = {FINETUNE: "finetune", CONTINUE: "contrastive"}
"""The method of `handful adapt` of a plan that trains."""

LABEL_PRICE = 0.0004
"""Accuracy that a label must be worth: 50 labels, two points."""
MINUTE_PRICE = 0.0005
"""Accuracy that a minute must be worth: ten minutes, half a point."""
DISTIL_MINUTES = 10.0
"""The usual budget of `handful adapt distil`."""
LABEL_MINUTES = 5 / 60
"""Of a person, a label: a guess, since people and images differ."""
FEWEST_UNLABELLED = 10
"""Unlabelled images from which anything can be learnt."""
MOST_LABELS = 50
"""A class, on average: with more, unlabelled images were never worth their time."""
_FEWEST_TO_TRAIN_ON = 1000
_LEAST_SKILL = 0.1  # of the way from guessing: names that know less only disturb the labels
_FEW_LABELS = 100  # fine-tuning then trains four times to be measured, else once
_INSTALL = "torch is not there. Install it with: pip install 'handful[train]'"


@dataclass(frozen=True)
class Case:
    """Everything that a plan is judged by.

    Parameters
    ----------
    data : Data
    machine : Machine
    trial : Trial
    names : Estimate or None
        Accuracy of the classes' names alone, predicted or measured; None without them.
    why_no_names : str
        Why there is none.
    why_no_pool : str
        Why the unlabelled images cannot be learnt from, else empty.
    budget : float or None
        Minutes.
    folder : str
        As in a command.
    options : tuple of str
        Of the commands, about the backbone.
    project : tuple of str
        Of the commands, about where the state is kept.
    """

    data: Data
    machine: Machine
    trial: Trial
    names: Estimate | None = None
    why_no_names: str = "no class has a name yet. Give them with --classes"
    why_no_pool: str = ""
    budget: float | None = None
    folder: str = "IMAGES"
    options: tuple[str, ...] = ()
    project: tuple[str, ...] = ()

    @property
    def has_two_classes(self) -> bool:
        """Whether there is anything to tell apart."""
        return len(self.data.classes) > 1

    @property
    def n_classes(self) -> int:
        """Number of classes with a label or a name."""
        return max(len(self.data.classes), len(self.data.named))

    @property
    def names_skill(self) -> float | None:
        """How far the names alone come on the way from guessing to perfection."""
        if self.names is None or not self.names.is_measured or self.n_classes < 2:
            return None
        chance = 1 / self.n_classes
        return max(0.0, (self.names.value - chance) / (1 - chance))


@dataclass(frozen=True)
class Plan:
    """One way to a classifier.

    Parameters
    ----------
    name, title : str
    accuracy : Estimate
        Expected, on new images mixed like the labelled ones.
    minutes : float
        Of this machine, or of a person for labels.
    labels : int
        To give before.
    command : str
    ruled_out : str
        Why it cannot be done here, else empty.
    """

    name: str
    title: str
    accuracy: Estimate
    minutes: float
    labels: int
    command: str
    ruled_out: str = ""

    @property
    def worth(self) -> float:
        """Expected accuracy less what minutes and labels must be worth; -inf without a number."""
        if not self.accuracy.is_measured:
            return -math.inf
        return self.accuracy.value - MINUTE_PRICE * self.minutes - LABEL_PRICE * self.labels


def command(plan: str, case: Case, minutes: float) -> str:
    """Return the line that carries a plan out.

    Examples
    --------
    >>> from handful.advise.facts import Machine
    >>> nothing = Trial(Estimate.not_measurable("accuracy", "no label"))
    >>> case = Case(Data(9, 3), Machine(2, 4.0, False, False), nothing, folder="my photos")
    >>> command("semi_supervised", case, 1)
    "handful fit 'my photos' --method spreading_probe"
    """
    folder, names = shlex.quote(case.folder), ",".join(case.data.named)
    words = {
        ZERO_SHOT: f"fit {folder} --classes {shlex.quote(names)}",
        NAMES: f"fit {folder} --classes {shlex.quote(names)}",
        DISTIL: f"adapt distil {folder} --teacher model.handful",  # as `handful fit` names it
        LABEL: f"label {folder}",
        **{name: f"fit {folder} --method {method}" for name, method in METHODS.items()},
        **{
            name: f"adapt {method} {folder} --budget {math.ceil(max(minutes, 1))}m"
            for name, method in ADAPTED.items()
        },
    }
    backbone = () if plan == DISTIL else case.options  # the student is another network
    return " ".join(["handful", words[plan], *map(shlex.quote, (*backbone, *case.project))])


def trainings(plan: str, case: Case) -> int:
    """Return how often a plan trains: fine-tuning is measured by copies that saw fewer labels."""
    if plan != FINETUNE:
        return 1
    return 5 if case.data.labelled < _FEW_LABELS else 2


def why_not(plan: str, case: Case, minutes: float) -> str:
    """Return why a plan is ruled out, in words that follow a colon; empty where it is not."""
    found = _RULES[plan](case)
    if not found and case.budget is not None and minutes > case.budget:
        return f"it takes about {minutes:.0f} minutes, and the budget is {case.budget:g}"
    return found


def _by_names(case: Case) -> str:
    if case.data.labelled:
        return "there are labels, which the names are better used together with"
    return "" if case.names is not None else case.why_no_names


def _with_names(case: Case) -> str:
    if found := _two_classes(case):
        return found
    if case.names is None:
        return case.why_no_names
    if (case.names_skill or 0.0) < _LEAST_SKILL:
        right, chance = 100 * case.names.value, 100 / case.n_classes
        return f"the names alone seem right for {right:.0f} % of the images, where guessing gives {chance:.0f} %"
    return ""


def _two_classes(case: Case) -> str:
    if not case.data.labelled:
        return "there is no label"
    if not case.has_two_classes:
        return f"all labels are of one class, {next(iter(case.data.classes))!r}. Label a second one"
    return ""


def _spreading(case: Case) -> str:
    if found := _two_classes(case):
        return found
    if case.data.unlabelled < FEWEST_UNLABELLED:
        return f"{case.data.unlabelled} unlabelled images are too few to learn from"
    if case.why_no_pool:
        return case.why_no_pool.rstrip(".")
    if case.data.labels_a_class > MOST_LABELS:
        return f"with {case.data.labels_a_class:.0f} labels a class unlabelled images bring nothing"
    verdict = case.trial.verdict
    return verdict.reason.rstrip(".") if verdict is not None and verdict.kept == "probe" else ""


def _fine_tuning(case: Case) -> str:
    if found := _two_classes(case):
        return found
    if min(case.data.classes.values()) < 2:
        return "a class has a single label, so that nothing would show whether it helped"
    return _training(case)


def _continuing(case: Case) -> str:
    if found := _two_classes(case):
        return found
    if case.data.images < _FEWEST_TO_TRAIN_ON:
        return (
            f"{case.data.images} images are too few to learn from without labels: it takes about "
            f"{_FEWEST_TO_TRAIN_ON}"
        )
    return _training(case)


def _training(case: Case) -> str:
    if "--tiles" in case.options:
        return "a backbone is adapted on whole images, without --tiles"
    return "" if case.machine.torch else _INSTALL


def _distilling(case: Case) -> str:
    if not case.data.labelled and case.names is None:
        return "it imitates a model, and there is neither a label nor a name to make one from"
    if case.data.unlabelled < FEWEST_UNLABELLED:
        return f"{case.data.unlabelled} unlabelled images are too few to learn from"
    return "" if case.machine.torch else _INSTALL


def _labelling(case: Case) -> str:
    return "" if case.data.unlabelled else "every image has a label. Add images"


_RULES: Mapping[str, Callable[[Case], str]] = {
    ZERO_SHOT: _by_names,
    NAMES: _with_names,
    PROTOTYPES: _two_classes,
    PROBE: _two_classes,
    SPREADING: _spreading,
    FINETUNE: _fine_tuning,
    CONTINUE: _continuing,
    DISTIL: _distilling,
    LABEL: _labelling,
}
