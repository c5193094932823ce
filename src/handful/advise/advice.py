"""Ranked plans for one folder on one machine."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from handful.advise.evidence import Evidence, Prior, packaged_evidence
from handful.advise.facts import Data, Machine
from handful.advise.forecast import plan_accuracy, probe_accuracy
from handful.advise.plans import (
    ADAPTED,
    DISTIL,
    DISTIL_MINUTES,
    LABEL,
    LABEL_MINUTES,
    NAMES,
    PROBE,
    SPREADING,
    TITLES,
    ZERO_SHOT,
    Case,
    Plan,
    command,
    trainings,
    why_not,
)
from handful.advise.trial import MORE, MOST_POOL
from handful.core import Estimate

_MOST_POOL = 10_000  # unlabelled images that `handful fit` learns from, at most
_FITS = 30  # of a head, in the folds and the learning curve of one `handful fit`
_WHAT = "expected accuracy"


@dataclass(frozen=True)
class Advice:
    """Plans in the order of their worth, those that are ruled out last.

    Parameters
    ----------
    plans : tuple of Plan
    data : Data
    machine : Machine
    budget : float or None
        Minutes.
    """

    plans: tuple[Plan, ...]
    data: Data
    machine: Machine
    budget: float | None = None

    @property
    def able(self) -> list[Plan]:
        """The plans that make a classifier of what is there, the best first."""
        later = (LABEL, DISTIL)
        return [plan for plan in self.plans if not plan.ruled_out and plan.name not in later]

    @property
    def best(self) -> Plan | None:
        """The first of them, None where none can be carried out."""
        return next(iter(self.able), None)

    @property
    def sentence(self) -> str:
        """The advice in a sentence or two."""
        first = self.plans[0]
        if first.ruled_out:
            return f"No plan can be carried out here. {first.title}: {first.ruled_out}."
        expected = (
            f"{first.accuracy.percent} expected" if first.accuracy.is_measured else "no forecast"
        )
        said = f"{first.title}: {expected}."
        best = self.best
        if best is not None and best is not first:
            now = (
                f"{best.accuracy.percent} expected" if best.accuracy.is_measured else "no forecast"
            )
            said += f" Without it, {best.title[0].lower()}{best.title[1:]}: {now}."
        return said

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        data = {**asdict(self.data), "labels_a_class": round(self.data.labels_a_class, 2)}
        data |= {"imbalance": round(self.data.imbalance, 2), "labelled": self.data.labelled}
        data |= {name: getattr(self.data, name).as_dict() for name in ("purity", "doubted")}
        memory = None if math.isnan(self.machine.memory) else self.machine.memory
        return {
            "sentence": self.sentence,
            "budget": self.budget,
            "best": self.best.name if self.best else None,
            "plans": [
                {**asdict(plan), "accuracy": plan.accuracy.as_dict(),
                 "minutes": round(plan.minutes, 2)}
                for plan in self.plans
            ],
            "data": data,
            "machine": {**asdict(self.machine), "memory": memory},
        }  # fmt: skip


def advise(case: Case, evidence: Evidence | None = None) -> Advice:
    """Rank the plans for a case.

    Parameters
    ----------
    case : Case
    evidence : Evidence, optional
        What the plans gave elsewhere; by default the rows that come with handful.

    Examples
    --------
    >>> from handful.advise.trial import Trial
    >>> nothing = Trial(Estimate.not_measurable("accuracy", "there is no label"))
    >>> case = Case(Data(100, 100), Machine(2, 4.0, False, False), nothing)
    >>> advice = advise(case)
    >>> advice.plans[0].name, advice.best is None
    ('label_more', True)
    """
    known = packaged_evidence() if evidence is None else evidence
    plans = [_plan(name, case, known) for name in TITLES]
    order = sorted(plans, key=lambda plan: (bool(plan.ruled_out), -plan.worth))
    return Advice(tuple(order), case.data, case.machine, case.budget)


def _plan(name: str, case: Case, evidence: Evidence) -> Plan:
    prior = _prior(name, case, evidence, case.data.labels_a_class)
    minutes = _minutes(name, case, prior)
    out = why_not(name, case, minutes)
    accuracy = (
        Estimate.not_measurable(_WHAT, out) if out else _accuracy(name, case, evidence, prior)
    )
    labels = MORE if name == LABEL else 0
    return Plan(name, TITLES[name], accuracy, minutes, labels, command(name, case, minutes), out)


def _prior(plan: str, case: Case, evidence: Evidence, labels: float) -> Prior | None:
    skill = case.names_skill if plan == NAMES else None
    return evidence.gain(kind_of(plan, pool=_has_pool(case)), labels, skill)


def kind_of(plan: str, *, pool: bool) -> str:
    """Return the name of a plan in the evidence: with unlabelled images, names bring other gains."""
    return f"{plan}_and_pool" if plan == NAMES and pool else plan


def _has_pool(case: Case) -> bool:
    return not why_not(SPREADING, replace(case, budget=None), 0.0)


def _minutes(name: str, case: Case, prior: Prior | None) -> float:
    if name == LABEL:
        return MORE * LABEL_MINUTES
    if name == DISTIL:
        return DISTIL_MINUTES
    if name in ADAPTED:
        return (prior.minutes if prior else 0.0) * trainings(name, case)
    grown = min(case.data.unlabelled, _MOST_POOL) / MOST_POOL if name in (SPREADING, NAMES) else 1.0
    return case.trial.seconds.get(name, 0.0) * max(grown, 1.0) * _FITS / case.machine.cores / 60


def _accuracy(name: str, case: Case, evidence: Evidence, prior: Prior | None) -> Estimate:
    labels = case.data.labels_a_class
    if name == ZERO_SHOT:
        assert case.names is not None  # or it is ruled out
        return case.names
    if name == LABEL:
        return _after_labelling(case, evidence)
    if name == DISTIL and not case.has_two_classes:
        return Estimate.not_measurable(_WHAT, "no benchmark has taught one by names alone")
    base = probe_accuracy(case.trial, evidence, labels, case.n_classes)
    if name == PROBE:
        return base
    found = plan_accuracy(base, prior, case.trial.gains.get(name))
    if name == DISTIL:
        return replace(
            found, how=f"{found.how}; make the model that it imitates first, by handful fit"
        )
    return found


def _after_labelling(case: Case, evidence: Evidence) -> Estimate:
    """Return the accuracy of the best plan on vectors after labelling so many more images."""
    if case.n_classes < 2:
        return Estimate.not_measurable(_WHAT, "how many classes there are is not known")
    labels = case.data.labels_a_class + MORE / case.n_classes
    base = _probe_after(case, evidence, labels)
    if not _has_pool(case):
        return base
    gain = case.trial.gains.get(SPREADING)
    found = plan_accuracy(base, evidence.gain(SPREADING, labels), gain)
    return replace(found, how=f"{base.how}; with the unlabelled images {found.how}")


def _probe_after(case: Case, evidence: Evidence, labels: float) -> Estimate:
    now = probe_accuracy(case.trial, evidence, labels, case.n_classes)
    more = case.trial.more
    if not case.trial.probe.is_measured or not more.is_measured:
        return probe_accuracy(
            replace(case.trial, probe=Estimate.not_measurable("accuracy", "they are not given yet")),
            evidence, labels, case.n_classes,
        )  # fmt: skip
    value = min(max(now.value + more.value, 0.0), 1.0)
    low = value - math.hypot(now.value - now.low, more.value - more.low)
    high = value + math.hypot(now.high - now.value, more.high - more.value)
    how = f"the probe's accuracy ({now.how}) and the gain of {MORE} labels ({more.how})"
    return Estimate(value, max(low, 0.0), min(high, 1.0), now.n, _WHAT, how)
